/* store/debug.c - `logd debug segment`: what is in a file, and whether all of it can be read. */
#include "base/str.h"
#include "store/segment.h"

static const char *const packings[] = {"const", "dict", "int",  "delta", "decimal",
                                       "ipv4",  "hex",  "uuid", "text",  "ipv6"};
static const char *const kinds[] = {"null", "bool", "number", "string", "json", "escaped", "rest", "own"};
static const char *const own[] = {"app", "shape", "minutes", "recv", "row", "time", "digits", "severity"};

static void print_column(const struct block *b, size_t i, FILE *out)
{
    const struct packed *p = &b->columns[i];
    str name = i < SYSTEM_COLUMNS ? str_of(own[i]) : p->kind == KIND_REST ? S("(rare)") : block_name(b, i);
    fprintf(out, "  %-24.*s %-8s %-8s %5u values, %8u bytes of %8u\n", STR_ARG(name),
            p->kind < LENGTH(kinds) ? kinds[p->kind] : "?", p->packing < LENGTH(packings) ? packings[p->packing] : "?",
            p->values, p->stored, p->bytes);
}

int store_debug(const char *path, FILE *out, struct err *e)
{
    struct segment *s;
    struct buf lines = BUF_INIT(LIMIT_DECODED * 4u);
    struct arena a = {0};
    size_t damaged = 0;
    if (segment_open(path, &s, e) < 0)
        return -1;
    fprintf(out, "segment %s: records %llu-%llu, %zu blocks, %llu events, %llu bytes of lines in %llu (%.1f x)\n", path,
            (unsigned long long)s->first_seq, (unsigned long long)s->last_seq, s->n, (unsigned long long)s->events,
            (unsigned long long)s->raw_bytes, (unsigned long long)s->bytes, (double)s->raw_bytes / (double)s->bytes);
    for (size_t i = 0; i < s->n; i++) {
        struct block b;
        struct signature signature;
        struct err why = {.text = "its signature is damaged"};
        str text;
        arena_reset(&a);
        block_open(s, i, &a, &b);
        bool ok = segment_signature(s, i, &a, &signature) && segment_lines(s, i, &lines, &text, &why) == 0;
        damaged += !ok;
        fprintf(out, "block %zu: app %u, %u events, %llu bytes, ns %lld-%lld, signature %u bytes: %s\n", i, b.head->app,
                b.head->events, (unsigned long long)b.head->raw, (long long)b.head->t_min, (long long)b.head->t_max,
                b.head->signature_bytes, ok ? "ok" : why.text);
        for (uint32_t k = 0; k < b.head->columns; k++)
            print_column(&b, k, out);
    }
    arena_done(&a);
    buf_done(&lines);
    segment_unref(s);
    return damaged ? err_set(e, ERR_CORRUPT, "%zu blocks of '%s' are damaged", damaged, path) : 0;
}
