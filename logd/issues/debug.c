#include "issues/debug.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/str.h"
#include "issues/issues.h"

enum { TRACE_MAX = 16 << 20 };

int debug_group(const char *app, FILE *in, FILE *out, struct err *e)
{
    struct arena a = {0};
    struct buf ids = BUF_INIT(SIZE_MAX / 2);
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, in)) >= 0;) {
        struct fingerprint fp;
        fingerprint_text(str_of(app), str_trim(str_n(line, (size_t)n)), &a, &fp);
        buf_printf(&ids, "%s\n", fp.id);
        arena_reset(&a);
    }
    int rc = ferror(in) ? err_sys(e, "read the lines") : 0;
    fwrite(ids.p, 1, ids.n, out);
    free(line);
    buf_done(&ids);
    arena_done(&a);
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
