/* base/queue.h - a bounded queue of pointers between threads; to pass is to give.
 *
 * Mutex and condition. Closing wakes everybody: pushes are refused, pops drain what is left. */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include "base/base.h"
#include <pthread.h>

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t nonempty;
    void **ring;
    size_t head, n, cap;
    bool closed;
};

void queue_init(struct queue *q, size_t cap);
void queue_done(struct queue *q);
/* *item is given away and becomes NULL; false: full or closed, *item stays yours. Never blocks. */
bool queue_push(struct queue *q, void **item) MUST_CHECK;
/* Waits up to `wait` (monotonic; <0: for ever). NULL: nothing came, or closed and drained. */
void *queue_pop(struct queue *q, usec wait);
void queue_close(struct queue *q);
size_t queue_length(struct queue *q);

#endif
