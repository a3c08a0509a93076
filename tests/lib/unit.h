/* tests/lib/unit.h - the whole unit test framework.
 *
 * A test is `TEST(name) { CHECK(...); }` and `UNIT_MAIN` at the end of the file runs them in order, prints
 * one line each ("ok name" or "FAIL name") and exits 1 when one failed. A name is a promise. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

struct unit_test {
    const char *name;
    void (*run)(void);
};
static struct unit_test unit_tests[256];
static size_t unit_count;
static bool unit_failed; /* the test that runs now */

#define TEST(id)                                                                                                       \
    static void unit_##id(void);                                                                                       \
    __attribute__((constructor)) static void unit_add_##id(void)                                                       \
    {                                                                                                                  \
        assert(unit_count < LENGTH(unit_tests));                                                                       \
        unit_tests[unit_count++] = (struct unit_test){#id, unit_##id};                                                 \
    }                                                                                                                  \
    static void unit_##id(void)

#define CHECK(x)                                                                                                       \
    do {                                                                                                               \
        if (!(x)) {                                                                                                    \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #x);                                                   \
            unit_failed = true;                                                                                        \
        }                                                                                                              \
    } while (0)
#define CHECK_INT(got, want)                                                                                           \
    do {                                                                                                               \
        long long unit_g = (long long)(got), unit_w = (long long)(want);                                               \
        if (unit_g != unit_w) {                                                                                        \
            printf("%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, unit_g, unit_w);                         \
            unit_failed = true;                                                                                        \
        }                                                                                                              \
    } while (0)
#define CHECK_STR(got, want)                                                                                           \
    do {                                                                                                               \
        str unit_g = (got), unit_w = (want);                                                                           \
        if (!str_eq(unit_g, unit_w)) {                                                                                 \
            printf("%s:%d: %s is \"%.*s\", not \"%.*s\"\n", __FILE__, __LINE__, #got, STR_ARG(unit_g),                 \
                   STR_ARG(unit_w));                                                                                   \
            unit_failed = true;                                                                                        \
        }                                                                                                              \
    } while (0)

#define UNIT_MAIN                                                                                                      \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        int failed = 0;                                                                                                \
        setvbuf(stdout, NULL, _IOLBF, 0);                                                                              \
        for (size_t i = 0; i < unit_count; i++) {                                                                      \
            unit_failed = false;                                                                                       \
            unit_tests[i].run();                                                                                       \
            printf("%s %s\n", unit_failed ? "FAIL" : "ok", unit_tests[i].name);                                        \
            failed += unit_failed;                                                                                     \
        }                                                                                                              \
        return failed ? 1 : 0;                                                                                         \
    }

#endif
