#include "issues/debug.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/str.h"
#include "issues/issues.h"
#include "issues/templates.h"

enum { TRACE_MAX = 16 << 20, HOPS = 1000 };

/* Ids that became others', in the order they did. */
struct aliases {
    struct alias {
        uint64_t from, into;
    } * pairs;
    size_t n, cap;
};

static void on_join(void *arg, uint64_t from, uint64_t into)
{
    struct aliases *x = arg;
    if (x->n == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 64;
        x->pairs = xrealloc(x->pairs, x->cap * sizeof *x->pairs);
    }
    x->pairs[x->n++] = (struct alias){from, into};
}

static int by_from(const void *a, const void *b)
{
    const struct alias *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

static uint64_t resolve(const struct aliases *x, uint64_t id)
{
    struct alias key = {.from = id}, *found;
    /* what was forgotten and learned again may have turned round: HOPS ends that */
    for (int i = 0; i < HOPS && x->n && (found = bsearch(&key, x->pairs, x->n, sizeof key, by_from)); i++)
        key.from = found->into;
    return key.from;
}

/* Ids wait in a file without a name: of millions of lines only what the miner keeps is in memory. */
static int group_lines(const char *app, FILE *in, FILE *ids, struct aliases *aliases, struct err *e)
{
    struct arena a = {0};
    struct fingerprint fp;
    struct shape shape;
    struct templates *t = templates_new(on_join, aliases);
    char *line = NULL;
    size_t cap = 0;
    fingerprint_text(str_of(app), S(""), &a, &fp);
    for (ssize_t n; (n = getline(&line, &cap, in)) >= 0;) {
        str message = str_trim(str_n(line, (size_t)n));
        shape_read(message, &shape);
        struct template_found f = templates_offer(t, fp.scope, shape_id(fp.scope, &shape), message, &shape);
        fwrite(&f.id, sizeof f.id, 1, ids);
    }
    free(line);
    templates_free(t);
    arena_done(&a);
    return ferror(in) ? err_sys(e, "read the lines") : 0;
}

int debug_group(const char *app, FILE *in, FILE *out, struct err *e)
{
    struct aliases aliases = {0};
    uint64_t id;
    FILE *ids = tmpfile();
    if (!ids)
        return err_sys(e, "make a file for the ids");
    int rc = group_lines(app, in, ids, &aliases, e);
    if (aliases.n)
        qsort(aliases.pairs, aliases.n, sizeof *aliases.pairs, by_from);
    rewind(ids);
    while (fread(&id, sizeof id, 1, ids) == 1)
        fprintf(out, "%016llx\n", (unsigned long long)resolve(&aliases, id));
    if (rc == 0 && ferror(ids))
        rc = err_sys(e, "keep the ids");
    fclose(ids);
    free(aliases.pairs);
    return rc;
}

int debug_group_errors(const char *app, char **files, size_t n, FILE *out, struct err *e)
{
    struct arena a = {0};
    struct buf text = BUF_INIT(TRACE_MAX);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct fingerprint fp;
        buf_reset(&text);
        arena_reset(&a);
        rc = file_read(files[i], TRACE_MAX, &text, e);
        if (rc == 0) {
            fingerprint_trace(str_of(app), buf_view(&text), &a, &fp);
            fprintf(out, "%s\n", fp.id);
        }
    }
    buf_done(&text);
    arena_done(&a);
    return rc;
}
