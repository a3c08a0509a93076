/* Sends StatsD packets open loop: RATE a second for SECONDS, whatever becomes of them; prints how many left.
 * usage: packets PORT RATE SECONDS, or packets SOCKET RATE SECONDS for a Unix socket (a full one makes it wait) */
#include "base/base.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

enum { BURST = 50, SERIES = 200 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_to(const char *where)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(where)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    bool local = where[0] == '/';
    snprintf(un.sun_path, sizeof un.sun_path, "%s", where);
    int fd = socket(local ? AF_UNIX : AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, local ? (void *)&un : (void *)&in, local ? sizeof un : sizeof in) < 0) {
        perror(where);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    static char text[SERIES][64];
    struct iovec v[BURST];
    struct mmsghdr m[BURST];
    if (argc != 4)
        return 2;
    int fd = open_to(argv[1]);
    double rate = atof(argv[2]), seconds = atof(argv[3]), began = now();
    uint64_t sent = 0, due = 0;
    for (int i = 0; i < SERIES; i++)
        snprintf(text[i], sizeof text[i], "bench.hits:1|c|#page:p%d", i);
    while (now() - began < seconds) {
        due = (uint64_t)((now() - began) * rate);
        if (sent + BURST > due) {
            nanosleep(&(struct timespec){0, 200000}, NULL);
            continue;
        }
        for (size_t i = 0; i < BURST; i++) {
            char *t = text[(sent + i) % SERIES];
            v[i] = (struct iovec){t, strlen(t)};
            m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &v[i], .msg_iovlen = 1}};
        }
        int n = sendmmsg(fd, m, BURST, 0);
        sent += n > 0 ? (uint64_t)n : 0;
    }
    printf("%llu %.3f\n", (unsigned long long)sent, now() - began);
    return 0;
}
