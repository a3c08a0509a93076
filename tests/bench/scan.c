/* tests/bench/scan.c - the least that looking through everything can cost: memmem of the C library over a file in memory,
 * one thread, nothing decoded, every line that holds the text counted.
 *
 * usage: scan FILE RUNS TEXT...     prints [{"lines":N,"ms":median}, ...], one for each text */
#include "base/clock.h"
#include "base/str.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { RUNS_MAX = 99 };

static uint64_t count(str all, str text)
{
    uint64_t lines = 0;
    while (all.n) {
        const char *hit = memmem(all.p, all.n, text.p, text.n);
        if (!hit)
            break;
        const char *end = memchr(hit, '\n', (size_t)(all.p + all.n - hit));
        all = str_skip(all, end ? (size_t)(end + 1 - all.p) : all.n);
        lines++;
    }
    return lines;
}

static int by_value(const void *a, const void *b)
{
    usec x = *(const usec *)a, y = *(const usec *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct stat st;
    int fd = argc > 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1, runs = argc > 3 ? atoi(argv[2]) : 0;
    if (fd < 0 || fstat(fd, &st) < 0 || runs < 1 || runs > RUNS_MAX) {
        fprintf(stderr, "usage: scan FILE RUNS TEXT...\n");
        return 2;
    }
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (p == MAP_FAILED) {
        perror("scan: mmap");
        return 1;
    }
    for (int i = 3; i < argc; i++) {
        usec took[RUNS_MAX];
        uint64_t lines = 0;
        for (int r = 0; r < runs; r++) {
            usec begun = clock_mono();
            lines = count(str_n(p, (size_t)st.st_size), str_of(argv[i]));
            took[r] = clock_mono() - begun;
        }
        qsort(took, (size_t)runs, sizeof *took, by_value);
        printf("%s{\"lines\":%llu,\"ms\":%.3f}", i == 3 ? "[" : ",", (unsigned long long)lines,
               (double)took[runs / 2] / 1e3);
    }
    printf("]\n");
    return 0;
}
