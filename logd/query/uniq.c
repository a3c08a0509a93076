#include "query/uniq.h"

#include "base/limits.h"

#include <math.h>

enum { P = 14, M = 1 << P, Q = 64 - P };

/* ---- exact ---- */

static bool set_add(struct uniq *u, uint64_t hash)
{
    size_t i = hash & (u->cap - 1);
    while (u->set[i] && u->set[i] != hash)
        i = (i + 1) & (u->cap - 1);
    bool fresh = !u->set[i];
    u->set[i] = hash;
    u->n += fresh;
    return fresh;
}

static void set_grow(struct uniq *u)
{
    struct uniq old = *u;
    u->cap = old.cap ? 2 * old.cap : 8;
    u->set = xcalloc(u->cap, sizeof *u->set);
    u->n = 0;
    for (size_t i = 0; i < old.cap; i++)
        if (old.set[i])
            (void)set_add(u, old.set[i]);
    free(old.set);
}

/* ---- registers: the first bits choose one, the zeros that lead the others are its value ---- */

static void register_add(struct uniq *u, uint64_t hash)
{
    uint64_t rest = hash << P;
    uint8_t zeros = rest ? (uint8_t)(__builtin_clzll(rest) + 1) : Q + 1;
    uint8_t *at = &u->registers[hash >> Q];
    if (zeros > *at)
        *at = zeros;
}

static void make_registers(struct uniq *u)
{
    u->registers = xcalloc(M, 1);
    for (size_t i = 0; i < u->cap; i++)
        if (u->set[i])
            register_add(u, u->set[i]);
    if (u->zero)
        register_add(u, 0);
    free(u->set);
    u->set = NULL;
    u->n = u->cap = 0;
}

void uniq_add(struct uniq *u, uint64_t hash)
{
    if (u->registers) {
        register_add(u, hash);
        return;
    }
    if (hash == 0) {
        u->zero = true;
        return;
    }
    if (2 * (u->n + 1) > u->cap)
        set_grow(u);
    if (set_add(u, hash) && u->n > LIMIT_UNIQ_EXACT)
        make_registers(u);
}

void uniq_merge(struct uniq *u, const struct uniq *from)
{
    if (from->registers && !u->registers)
        make_registers(u);
    for (size_t i = 0; from->registers && i < M; i++)
        if (from->registers[i] > u->registers[i])
            u->registers[i] = from->registers[i];
    for (size_t i = 0; i < from->cap; i++)
        if (from->set[i])
            uniq_add(u, from->set[i]);
    if (from->zero)
        uniq_add(u, 0);
}

/* ---- the estimate ---- */

static double sigma(double x)
{
    double y = 1, z = x, before;
    if (x == 1)
        return INFINITY;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double tau(double x)
{
    double y = 1, z = 1 - x, before;
    if (x == 0 || x == 1)
        return 0;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

static double estimate(const uint8_t *registers)
{
    uint32_t counts[Q + 2] = {0};
    for (size_t i = 0; i < M; i++)
        counts[registers[i]]++;
    double z = M * tau(1 - (double)counts[Q + 1] / M);
    for (int k = Q; k >= 1; k--)
        z = 0.5 * (z + counts[k]);
    z += M * sigma((double)counts[0] / M);
    return M / (2 * log(2)) * M / z;
}

uint64_t uniq_count(const struct uniq *u)
{
    return u->registers ? (uint64_t)(estimate(u->registers) + 0.5) : (uint64_t)u->n + u->zero;
}

size_t uniq_bytes(const struct uniq *u) { return u->cap * sizeof *u->set + (u->registers ? M : 0); }

void uniq_done(struct uniq *u)
{
    free(u->set);
    free(u->registers);
    *u = (struct uniq){0};
}
