#include "base/err.h"

#include <errno.h>
#include <stdarg.h>

static void set(struct err *e, enum err_kind kind, int sys, const char *fmt, va_list ap)
{
    *e = (struct err){.kind = kind, .sys = sys};
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    assert(n >= 0);
    for (char *c = e->text; *c; c++) /* one line, whatever was quoted */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
}

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set(e, kind, 0, fmt, ap);
    va_end(ap);
    return -1;
}

int err_sys(struct err *e, const char *fmt, ...)
{
    int sys = errno;
    va_list ap;
    va_start(ap, fmt);
    set(e, ERR_SYS, sys, fmt, ap);
    va_end(ap);
    size_t n = strlen(e->text);
    char why[128];
    snprintf(e->text + n, sizeof e->text - n, ": %s", strerror_r(sys, why, sizeof why));
    return -1;
}

int err_at(struct err *e, size_t column, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set(e, ERR_INPUT, 0, fmt, ap);
    va_end(ap);
    e->column = column;
    return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char what[200], text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    int n = snprintf(text, sizeof text, "%s: %s", what, e->text);
    assert(n >= 0);
    memcpy(e->text, text, sizeof text);
    return -1;
}
