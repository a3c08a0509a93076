#include "agent/spool.h"
#include "base/file.h"
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

static char dir[40], path[300];

static struct spool *open_spool(uint64_t limit)
{
    struct spool *s = NULL;
    struct err e;
    if (spool_open(dir, "a", limit, &s, &e) < 0)
        printf("%s\n", e.text);
    return s;
}

static struct spool *new_spool(uint64_t limit)
{
    snprintf(dir, sizeof dir, "/tmp/logd-spool-XXXXXX");
    return mkdtemp(dir) ? open_spool(limit) : NULL;
}

/* Bytes of its files, which are removed. */
static size_t remove_all(size_t *ret_n)
{
    char **names;
    size_t bytes = 0;
    struct err e;
    struct buf b = BUF_INIT(64u << 20);
    snprintf(path, sizeof path, "%s/spool", dir);
    if (dir_list(path, &names, ret_n, &e) < 0)
        return 0;
    for (size_t i = 0; i < *ret_n; i++) {
        snprintf(path, sizeof path, "%s/spool/%s", dir, names[i]);
        buf_reset(&b);
        bytes += file_read(path, 64u << 20, &b, &e) == 0 ? b.n : 0;
        (void)unlink(path);
    }
    dir_list_free(names, *ret_n);
    buf_done(&b);
    snprintf(path, sizeof path, "%s/spool", dir);
    CHECK(rmdir(path) == 0 && rmdir(dir) == 0);
    return bytes;
}

TEST(a_spool_that_nobody_empties_has_an_end_and_counts_what_it_did_not_take)
{
    char line[1000];
    size_t n, lines = 120 * 1000, files;
    memset(line, 'x', sizeof line);
    struct spool *s = new_spool(2 * SPOOL_FILE_BYTES);
    CHECK(s);
    for (size_t i = 0; i < lines; i++)
        spool_add(s, str_n(line, sizeof line));
    uint64_t lost = spool_lost(s);
    CHECK(spool_lost(s) == 0);
    spool_close(s);
    n = remove_all(&files);
    CHECK(n <= 2 * (size_t)SPOOL_FILE_BYTES + SPOOL_EXTRA + SPOOL_FILE_BYTES && files >= 10);
    CHECK(lost > 0 && lost == lines - (n - files * strlen(SPOOL_MARK "0123456789abcdef \n")) / 1001);
}

TEST(a_place_is_remembered_with_its_line_or_not_at_all)
{
    struct spool *s = new_spool(SPOOL_BYTES);
    str whole = S("\003{\"message\":\"x\"}\003place 3");
    size_t files;
    CHECK(s && spool_place(s).n == 0 && spool_add_placed(s, S("{}"), S("one")) &&
          spool_add_placed(s, S("{}"), S("two")));
    for (size_t n = 1; n <= whole.n; n++) { /* as a kill leaves it */
        spool_close(s);
        snprintf(path, sizeof path, "%s/spool/a.log", dir);
        int fd = open(path, O_WRONLY | O_APPEND);
        CHECK(fd >= 0 && write(fd, whole.p, n) == (ssize_t)n);
        close(fd);
        CHECK((s = open_spool(SPOOL_BYTES)) && str_eq(spool_place(s), S("two")));
        CHECK(spool_add_placed(s, S("{}"), S("two")));
    }
    spool_close(s);
    struct buf b = BUF_INIT(1u << 20);
    struct err e;
    size_t good = 0;
    CHECK(file_read(path, 1u << 20, &b, &e) == 0);
    for (str rest = buf_view(&b); rest.n;) {
        str line = spool_line(str_cut(&rest, '\n'));
        CHECK(!line.p || str_eq(line, S("{}")));
        good += line.p != NULL;
    }
    CHECK(good == whole.n + 2);
    buf_done(&b);
    CHECK(remove_all(&files) > 0 && files == 1);
}

UNIT_MAIN
