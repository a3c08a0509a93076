/* routes/watch.c - whose client has gone?
 *
 * A suspended connection is not looked at by libmicrohttpd, so a query would run on for nobody. Here the kernel tells at
 * once when a peer closes.
 *
 * Owner   one thread. A set of descriptors (epoll) is waited for without taking anything from it; what happened is taken
 *         under the lock, so nothing is told of a descriptor that was removed. */
#include "routes/exchange.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watched {
    int fd;
    _Atomic bool *gone;
};
struct watch {
    pthread_t thread;
    pthread_mutex_t lock;
    int set, wake;
    _Atomic bool stop;
    struct watched *all;
    size_t n, cap;
};

static void take(struct watch *w)
{
    struct epoll_event events[64];
    pthread_mutex_lock(&w->lock);
    int n = epoll_wait(w->set, events, LENGTH(events), 0);
    for (int i = 0; i < n; i++)
        atomic_store((_Atomic bool *)events[i].data.ptr, true);
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg)
{
    struct watch *w = arg;
    while (!atomic_load(&w->stop)) {
        struct pollfd fds[] = {{w->set, POLLIN, 0}, {w->wake, POLLIN, 0}};
        if (poll(fds, LENGTH(fds), -1) > 0)
            take(w);
    }
    return NULL;
}

struct watch *watch_start(void)
{
    struct watch *w = xcalloc(1, sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    w->set = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->set < 0 || w->wake < 0 || pthread_create(&w->thread, NULL, run, w) != 0)
        abort(); /* at start, as in pool_new */
    return w;
}

void watch_stop(struct watch *w)
{
    if (!w)
        return;
    atomic_store(&w->stop, true);
    (void)!write(w->wake, &(uint64_t){1}, 8);
    pthread_join(w->thread, NULL);
    close(w->set);
    close(w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w->all);
    free(w);
}

/* Told once: EPOLLONESHOT. */
void watch_add(struct watch *w, int fd, _Atomic bool *gone)
{
    struct epoll_event e = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = (void *)gone};
    pthread_mutex_lock(&w->lock);
    if (w->n == w->cap)
        w->all = xrealloc(w->all, (w->cap = w->cap ? 2 * w->cap : 16) * sizeof *w->all);
    w->all[w->n++] = (struct watched){fd, gone};
    (void)epoll_ctl(w->set, EPOLL_CTL_ADD, fd, &e); /* no memory for it: the query runs to its end */
    pthread_mutex_unlock(&w->lock);
}

void watch_remove(struct watch *w, int fd)
{
    pthread_mutex_lock(&w->lock);
    (void)epoll_ctl(w->set, EPOLL_CTL_DEL, fd, NULL);
    for (size_t i = w->n; i-- > 0;)
        if (w->all[i].fd == fd)
            w->all[i] = w->all[--w->n];
    pthread_mutex_unlock(&w->lock);
}

void watch_give_up(struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n; i++)
        atomic_store(w->all[i].gone, true);
    pthread_mutex_unlock(&w->lock);
}
