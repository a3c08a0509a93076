/* Any bytes as files of a spool: what is read of them is JSON; a place is found again; making room takes whole events, and what
 * is left reads as it did. The first byte says what stands where. */
#include "agent/follow.h"
#include "agent/spool.h"
#include "agent/thin.h"
#include "event/json.h"

#include <fcntl.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char dir[64], spool_dir[80], log_path[100], full_path[100], temp_path[100];
static struct shaper *shapers[2];

static void write_file(const char *path, str text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n)
        abort();
    close(fd);
}

static void remove_all(void)
{
    unlink(log_path);
    unlink(full_path);
    unlink(temp_path);
    rmdir(spool_dir);
    rmdir(dir);
}

static void start(void)
{
    struct err e;
    snprintf(dir, sizeof dir, "/dev/shm/logd-fuzz-XXXXXX");
    if (!mkdtemp(dir))
        abort();
    for (int i = 0; i < 2; i++) {
        struct shape shape = {
            .host = "h", .input = "a", .format = i ? LINE_JSON : LINE_AUTO, .join = i ? JOIN_NONE : JOIN_AUTO};
        if (!(shapers[i] = shaper_new(&shape, &e)))
            abort();
    }
    snprintf(spool_dir, sizeof spool_dir, "%s/spool", dir);
    snprintf(log_path, sizeof log_path, "%s/a.log", spool_dir);
    snprintf(full_path, sizeof full_path, "%s/a.log.000001", spool_dir);
    snprintf(temp_path, sizeof temp_path, "%s/thin.tmp", spool_dir);
    if (mkdir(spool_dir, 0700) < 0)
        abort();
    atexit(remove_all);
}

static void check(str body)
{
    while (body.n) {
        str line = str_cut(&body, '\n');
        if (!json_valid(line, 32))
            abort();
    }
}

/* Opened for writing, and again: it goes on at the place of its last whole line. */
static void write_more(void)
{
    struct spool *s;
    struct err e;
    if (spool_open(dir, "a", SPOOL_BYTES, &s, &e) < 0)
        abort();
    if (!spool_add_placed(s, S("{\"message\":\"x\"}"), S("here")))
        abort();
    spool_close(s);
    if (spool_open(dir, "a", SPOOL_BYTES, &s, &e) < 0 || !str_eq(spool_place(s), S("here")))
        abort();
    spool_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct follow fo;
    struct buf body = BUF_INIT(64u << 20);
    char *patterns[] = {log_path};
    if (!shapers[0])
        start();
    if (n < 2)
        return 0;
    size_t half = (n - 2) * data[1] / 255;
    write_file(full_path, str_n((const char *)data + 2, half));
    write_file(log_path, str_n((const char *)data + 2 + half, n - 2 - half));
    if (data[0] & 1)
        write_more();
    follow_init(&fo, patterns, 1);
    fo.shapers[0] = shapers[data[0] >> 1 & 1];
    struct source *s = follow_source(&fo,
                                     str_of(log_path)); /* as known before, so that what lies beside it is looked at */
    struct file *f = source_file(s, 0);
    f->old = true;
    f->path = xstrdup(full_path);
    follow_scan(&fo, USEC_PER_SEC);
    for (int i = 0; data[0] & 4 && i < 8; i++)
        (void)thin_spool(&fo, s, 0);
    for (usec at = 2; at < 8; at++) {
        follow_scan(&fo, at * USEC_PER_SEC);
        buf_reset(&body);
        (void)follow_fill(&fo, &body, 1 + data[0]);
        check(buf_view(&body));
        follow_acked(&fo, 0, NULL, 0);
    }
    follow_done(&fo);
    buf_done(&body);
    return 0;
}
