/* base/map.h - text to pointer, open addressing, SipHash. Keys are copied. One thread. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/base.h"

struct map {
    struct map_slot *slots;
    size_t n, cap; /* live entries; slots, a power of two or 0 */
};
struct map_slot {
    char *key; /* NULL: free */
    size_t key_n;
    uint64_t hash;
    void *value;
};

void map_done(struct map *m);                      /* values are not freed */
void *map_get(const struct map *m, str key);       /* NULL: absent */
void map_set(struct map *m, str key, void *value); /* value not NULL */
void *map_del(struct map *m, str key);             /* what was there, or NULL */
/* Walks in no order: `size_t i = 0; while ((slot = map_next(m, &i)))`. Do not change m meanwhile. */
struct map_slot *map_next(const struct map *m, size_t *i);

#endif
