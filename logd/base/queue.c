#include "base/queue.h"

#include <errno.h>
#include <time.h>

void queue_init(struct queue *q, size_t cap)
{
    pthread_condattr_t attr;
    *q = (struct queue){.cap = cap, .ring = xcalloc(cap, sizeof(void *))};
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->nonempty, &attr);
    pthread_condattr_destroy(&attr);
}

void queue_done(struct queue *q)
{
    assert(q->n == 0);
    pthread_cond_destroy(&q->nonempty);
    pthread_mutex_destroy(&q->lock);
    free(q->ring);
}

bool queue_push(struct queue *q, void **item)
{
    pthread_mutex_lock(&q->lock);
    bool fits = !q->closed && q->n < q->cap;
    if (fits) {
        q->ring[(q->head + q->n++) % q->cap] = *item;
        *item = NULL;
        pthread_cond_signal(&q->nonempty);
    }
    pthread_mutex_unlock(&q->lock);
    return fits;
}

void *queue_pop(struct queue *q, usec wait)
{
    struct timespec until;
    if (wait >= 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t ns = until.tv_nsec + wait % USEC_PER_SEC * NSEC_PER_USEC;
        until.tv_sec += wait / USEC_PER_SEC + ns / NSEC_PER_SEC;
        until.tv_nsec = ns % NSEC_PER_SEC;
    }
    void *item = NULL;
    pthread_mutex_lock(&q->lock);
    while (q->n == 0 && !q->closed)
        if (wait < 0)
            pthread_cond_wait(&q->nonempty, &q->lock);
        else if (pthread_cond_timedwait(&q->nonempty, &q->lock, &until) == ETIMEDOUT)
            break;
    if (q->n > 0) {
        item = q->ring[q->head];
        q->head = (q->head + 1) % q->cap;
        q->n--;
    }
    pthread_mutex_unlock(&q->lock);
    return item;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->nonempty);
    pthread_mutex_unlock(&q->lock);
}

size_t queue_length(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t n = q->n;
    pthread_mutex_unlock(&q->lock);
    return n;
}
