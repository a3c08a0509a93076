#include "routes/pool.h"
#include "base/queue.h"

struct pool {
    struct queue queue;
    void (*run)(void *item);
    unsigned n;
    pthread_t threads[];
};

static void *work(void *arg)
{
    struct pool *p = arg;
    void *item;
    while ((item = queue_pop(&p->queue, -1)))
        p->run(item);
    return NULL;
}

struct pool *pool_new(unsigned threads, size_t waiting_max, void (*run)(void *item))
{
    struct pool *p = xcalloc(1, sizeof *p + threads * sizeof p->threads[0]);
    queue_init(&p->queue, waiting_max);
    p->run = run;
    p->n = threads;
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&p->threads[i], NULL, work, p) != 0)
            abort(); /* no thread at start is like no memory at start */
    return p;
}

bool pool_give(struct pool *p, void *item) { return queue_push(&p->queue, &item); }

size_t pool_waiting(struct pool *p) { return queue_length(&p->queue); }

void pool_free(struct pool *p)
{
    if (!p)
        return;
    queue_close(&p->queue);
    for (unsigned i = 0; i < p->n; i++)
        pthread_join(p->threads[i], NULL);
    queue_done(&p->queue);
    free(p);
}
