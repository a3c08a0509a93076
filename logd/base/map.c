#include "base/map.h"
#include "base/hash.h"
#include "base/str.h"

/* The slot of key, or the free one where it would go. Linear probing, at most 3/4 full. */
static size_t probe(const struct map *m, str key, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);
    while (m->slots[i].key && !(m->slots[i].hash == hash && str_eq(str_n(m->slots[i].key, m->slots[i].key_n), key)))
        i = (i + 1) & (m->cap - 1);
    return i;
}

void *map_get(const struct map *m, str key) { return m->cap ? m->slots[probe(m, key, hash_str(key))].value : NULL; }

static void grow(struct map *m)
{
    struct map old = *m;
    m->cap = old.cap ? old.cap * 2 : 16;
    m->slots = xcalloc(m->cap, sizeof *m->slots);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key) {
            struct map_slot *s = &old.slots[i];
            m->slots[probe(m, str_n(s->key, s->key_n), s->hash)] = *s;
        }
    free(old.slots);
}

void map_set(struct map *m, str key, void *value)
{
    assert(value);
    if (m->n + 1 > m->cap - m->cap / 4)
        grow(m);
    uint64_t hash = hash_str(key);
    struct map_slot *s = &m->slots[probe(m, key, hash)];
    if (!s->key) {
        *s = (struct map_slot){.key = str_dup(key), .key_n = key.n, .hash = hash};
        m->n++;
    }
    s->value = value;
}

void *map_del(struct map *m, str key)
{
    if (!m->cap)
        return NULL;
    size_t i = probe(m, key, hash_str(key));
    if (!m->slots[i].key)
        return NULL;
    void *value = m->slots[i].value;
    free(m->slots[i].key);
    m->slots[i] = (struct map_slot){0};
    m->n--;
    /* Close the gap: whoever probed over it moves into it (Knuth 6.4, algorithm R). */
    for (size_t j = (i + 1) & (m->cap - 1); m->slots[j].key; j = (j + 1) & (m->cap - 1)) {
        size_t home = m->slots[j].hash & (m->cap - 1);
        if (((j - home) & (m->cap - 1)) >= ((j - i) & (m->cap - 1))) {
            m->slots[i] = m->slots[j];
            m->slots[j] = (struct map_slot){0};
            i = j;
        }
    }
    return value;
}

struct map_slot *map_next(const struct map *m, size_t *i)
{
    while (*i < m->cap)
        if (m->slots[(*i)++].key)
            return &m->slots[*i - 1];
    return NULL;
}

void map_done(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        free(m->slots[i].key);
    free(m->slots);
    *m = (struct map){0};
}
