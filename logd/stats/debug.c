#include "stats/debug.h"
#include "base/str.h"
#include "stats/sketch.h"

#include <math.h>

static bool read_hex(str s, uint64_t *ret)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t v = 0;
    if (str_starts_nocase(s, S("0x")))
        s = str_skip(s, 2);
    for (size_t i = 0; i < s.n; i++) {
        const char *d = memchr(digits, s.p[i] >= 'A' && s.p[i] <= 'F' ? s.p[i] + 32 : s.p[i], 16);
        if (!d)
            return false;
        v = v << 4 | (uint64_t)(d - digits);
    }
    *ret = v;
    return s.n >= 1 && s.n <= 16;
}

static void print(const struct sketch *s, FILE *out)
{
    struct buf code = BUF_INIT(SIZE_MAX / 2), hex = BUF_INIT(SIZE_MAX / 2);
    double n = sketch_estimate(s->p, s->counts);
    sketch_encode(s, &code);
    buf_hex(&hex, code.p, code.n);
    for (int k = 0; k < SKETCH_LEVELS; k++)
        fprintf(out, "%s%u", k ? "," : "{\"counts\":[", s->counts[k]);
    if (isfinite(n))
        fprintf(out, "],\"estimate\":%.6f", n);
    else
        fprintf(out, "],\"estimate\":null");
    fprintf(out, ",\"hex\":\"%.*s\"}\n", STR_ARG(buf_view(&hex)));
    buf_done(&code);
    buf_done(&hex);
}

int debug_sketch(int p, FILE *in, FILE *out, struct err *e)
{
    struct sketch s;
    char *line = NULL;
    size_t cap = 0, number = 0;
    uint64_t hash;
    int rc = 0;
    sketch_init(&s, p);
    for (ssize_t n; rc == 0 && (n = getline(&line, &cap, in)) >= 0;) {
        str text = str_trim(str_n(line, (size_t)n));
        number++;
        if (text.n && !read_hex(text, &hash))
            rc = err_set(e, ERR_INPUT, "line %zu: expected 1 to 16 hex digits, got \"%.*s\"", number,
                         STR_ARG(str_head(text, 40)));
        else if (text.n)
            (void)sketch_add(&s, sketch_cell(p, hash));
    }
    if (rc == 0 && ferror(in))
        rc = err_sys(e, "read the hashes");
    if (rc == 0)
        print(&s, out);
    free(line);
    sketch_done(&s);
    return rc;
}
