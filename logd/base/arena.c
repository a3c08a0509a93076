#include "base/arena.h"
#include "base/buf.h"

#include <stdarg.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t n, cap;
    _Alignas(16) char bytes[];
};

enum { CHUNK_BYTES = 16 << 10 };

void *arena_alloc(struct arena *a, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    while (!a->now || a->now->cap - a->now->n < n) {
        if (a->now && a->now->next && a->now->next->cap >= n) {
            a->now = a->now->next;
            a->now->n = 0;
            break;
        }
        size_t cap = n > CHUNK_BYTES ? n : CHUNK_BYTES;
        struct arena_chunk *c = xmalloc(sizeof *c + cap);
        *c = (struct arena_chunk){.cap = cap};
        if (a->now) {
            c->next = a->now->next;
            a->now->next = c;
        } else {
            a->first = c;
        }
        a->now = c;
    }
    void *p = a->now->bytes + a->now->n;
    a->now->n += n;
    a->used += n;
    return p;
}

void *arena_zero(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    memset(p, 0, n);
    return p;
}

str arena_str(struct arena *a, str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (str){p, s.n};
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

/* Frees all but the first chunk and what may be kept. */
void arena_reset(struct arena *a)
{
    size_t kept = 0;
    for (struct arena_chunk **link = &a->first, *c; (c = *link);) {
        if (a->secret)
            explicit_bzero(c->bytes, c->n);
        c->n = 0;
        if (c == a->first || (kept += c->cap) <= a->keep) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        free(c);
    }
    a->now = a->first;
    a->used = 0;
}

void arena_done(struct arena *a)
{
    a->keep = 0;
    arena_reset(a);
    free(a->first);
    *a = (struct arena){0};
}
