/* base/base.h - what every file of logd includes first.
 *
 * The few words that all modules share (str, usec), the compiler's help spelled once, and a fence: the
 * C library's unbounded string functions do not compile. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int64_t usec; /* microseconds, since the Unix epoch or as a length */
typedef int64_t nsec; /* nanoseconds, since the Unix epoch */

#define USEC_PER_SEC 1000000LL
#define NSEC_PER_USEC 1000LL
#define NSEC_PER_SEC 1000000000LL

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
/* A loop over plain arrays, compiled for the processor's vectors too where it has AVX2; the same result without. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&               \
    !defined(__SANITIZE_THREAD__)
#define VECTORS __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define VECTORS
#endif
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A view of bytes: never owns, not NUL-terminated. An absent string is {NULL, 0}. */
typedef struct {
    const char *p;
    size_t n;
} str;

#define S(literal) ((str){"" literal, sizeof(literal) - 1})
/* For printf's "%.*s". */
#define STR_ARG(s) (int)((s).n > INT_MAX ? INT_MAX : (s).n), (s).p ? (s).p : ""

/* An honest allocation failure aborts: the store is durable and systemd restarts us. A hostile size is
 * refused by a limit before it gets here. */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);

/* clang spells these as macros when _FORTIFY_SOURCE is on */
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok strncpy strncat

#endif
