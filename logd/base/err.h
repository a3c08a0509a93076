/* base/err.h - failing, one way.
 *
 * What can fail returns 0, or -1 with the reason in its last argument. ERR_INPUT text goes back to the
 * sender verbatim: it names the field, what was expected and what came. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/base.h"

enum err_kind {
    ERR_NONE,
    ERR_INPUT,   /* the sender's fault, text is for him */
    ERR_SYS,     /* the operating system said no */
    ERR_CORRUPT, /* what we wrote is not what we read */
    ERR_FULL,    /* a limit of ours: queue, disk, memory; try later */
    ERR_GONE,    /* not there */
    ERR_DENIED,  /* not allowed */
    ERR_REMOTE,  /* another server said no or nothing */
};

struct err {
    enum err_kind kind;
    int sys;           /* errno behind ERR_SYS, else 0 */
    size_t column;     /* 1-based place in a query or line, 0: none */
    size_t line;       /* 1-based line of a file, 0: none */
    char pointer[128]; /* JSON pointer of the offending field, "" : none */
    char text[400];    /* one exact sentence, no newline */
};

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
int err_sys(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);               /* appends strerror(errno) */
int err_at(struct err *e, size_t column, const char *fmt, ...) PRINTF_LIKE(3, 4); /* ERR_INPUT with a column */
/* Puts "WHAT: " before the text that is there. Returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
