/* routes/pool.h - worker threads for what may block: SQLite, a query, scrypt.
 *
 * Owner   pool_give from any thread; run is called in a worker. Order is that of giving, but workers overlap. */
#ifndef ROUTES_POOL_H
#define ROUTES_POOL_H

#include "base/base.h"

struct pool;
struct pool *pool_new(unsigned threads, size_t waiting_max, void (*run)(void *item));
bool pool_give(struct pool *p, void *item) MUST_CHECK; /* false: too many wait */
size_t pool_waiting(struct pool *p);
void pool_free(struct pool *p); /* runs what waits, joins; NULL is fine */

#endif
