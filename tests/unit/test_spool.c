#include "agent/spool.h"
#include "base/file.h"
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

TEST(a_full_spool_drops_its_oldest_file_and_keeps_the_newest)
{
    char dir[] = "/tmp/logd-spool-XXXXXX", path[300], line[1000];
    struct spool *s = NULL;
    struct err e;
    struct stat st;
    size_t bytes = 0, n = 0;
    char **names;
    memset(line, 'x', sizeof line);
    CHECK(mkdtemp(dir) && spool_open(dir, "a", &s, &e) == 0);
    for (size_t i = 0; i < (SPOOL_BYTES + 4 * (size_t)SPOOL_FILE_BYTES) / sizeof line; i++)
        spool_add(s, str_n(line, sizeof line));
    spool_close(s);
    snprintf(path, sizeof path, "%s/spool", dir);
    CHECK(dir_list(path, &names, &n, &e) == 0);
    bool first = false, last = false;
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/spool/%s", dir, names[i]);
        CHECK(stat(path, &st) == 0);
        bytes += (size_t)st.st_size;
        first |= strcmp(names[i], "a.log.000001") == 0;
        last |= strcmp(names[i], "a.log.000035") == 0;
        (void)unlink(path);
    }
    dir_list_free(names, n);
    CHECK(!first && last && bytes <= SPOOL_BYTES + SPOOL_FILE_BYTES &&
          bytes > SPOOL_BYTES - 2 * (size_t)SPOOL_FILE_BYTES);
    snprintf(path, sizeof path, "%s/spool", dir);
    CHECK(rmdir(path) == 0 && rmdir(dir) == 0);
}

UNIT_MAIN
