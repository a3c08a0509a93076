/* tests/crash/store_check.h - what store_driver was promised, and whether a journal and a store keep it.
 *
 * Checked each time, after journal and store were opened as the server does: of every acknowledged batch each line is
 * found exactly once; of any other batch all lines or none; nothing that was not sent; no block counts as damaged.
 * Then, now and then, the same after sealing what is in the head, merging, and opening again. Old batches may be gone: they are
 * past their retention. What is wrong is printed, indented. One thread. */
#ifndef TESTS_STORE_CHECK_H
#define TESTS_STORE_CHECK_H

#include "store_open.h"

#include <stdarg.h>

struct promises {
    bool acked[WRITERS][BATCHES_MAX];
    uint64_t full, failed, sealed, merged; /* batches refused; segments, merges */
};

static bool bad(const char *fmt, ...) PRINTF_LIKE(1, 2);
static bool bad(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("  ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    return false;
}

static void promise_line(struct promises *p, str line)
{
    unsigned long long a = 0, b = 0;
    char text[128], word[16] = "";
    snprintf(text, sizeof text, "%.*s", STR_ARG(line));
    int got = sscanf(text, "%15s %llu %llu", word, &a, &b);
    if (strcmp(word, "ack") == 0 && got == 3 && a < WRITERS && b < BATCHES_MAX)
        p->acked[a][b] = true;
    else if (strcmp(word, "merged") == 0)
        p->merged += a;
    p->full += strcmp(word, "full") == 0;
    p->failed += strcmp(word, "failed") == 0;
    p->sealed += strcmp(word, "sealed") == 0;
}

/* Whole lines only: the last one may have been cut by the kill. */
static void promise_text(struct promises *p, str text)
{
    while (str_chr(text, '\n') >= 0)
        promise_line(p, str_cut(&text, '\n'));
}

struct found {
    uint8_t times[WRITERS][BATCHES_MAX][LINES_MAX];
};

static bool take_lines(struct found *f, str lines)
{
    while (lines.n) {
        uint64_t w, n, i;
        str line = str_cut(&lines, '\n');
        if (!batch_read_line(line, &w, &n, &i) || w >= WRITERS || n >= BATCHES_MAX || i >= LINES_MAX)
            return bad("a line is not one that was sent: %.200s", line.p);
        f->times[w][n][i]++;
    }
    return true;
}

static bool read_store(struct store *s, struct found *f)
{
    struct store_view *v = store_view_open(s);
    struct buf scratch = BUF_INIT(1u << 30);
    bool right = true;
    memset(f, 0, sizeof *f);
    for (size_t i = 0; right && i < store_view_count(v); i++) {
        struct err e;
        str lines;
        right = store_view_lines(v, i, &scratch, &lines, &e) == 0 ? take_lines(f, lines) : bad("%s", e.text);
    }
    store_view_close(v);
    buf_done(&scratch);
    return right;
}

static bool batch_right(const struct promises *p, const struct found *f, uint64_t w, uint64_t n)
{
    uint32_t lines = batch_is_events(w, n) ? batch_lines(w, n) : 0, there = 0, more = 0;
    bool old = batch_is_old(w, n);
    for (uint32_t i = 0; i < LINES_MAX; i++) {
        there += f->times[w][n][i] > 0;
        more += f->times[w][n][i] > 1;
    }
    if (more)
        return bad("batch %llu %llu: %u of its %u lines are there more than once", (unsigned long long)w,
                   (unsigned long long)n, more, lines);
    if (there == lines || (!there && !p->acked[w][n]) || old)
        return true;
    return bad("batch %llu %llu, %s: %u of its %u lines are there", (unsigned long long)w, (unsigned long long)n,
               p->acked[w][n] ? "acknowledged" : "not acknowledged", there, lines);
}

static bool promises_kept(const struct promises *p, struct store *s)
{
    static struct found f;
    struct store_stats st;
    bool right = read_store(s, &f);
    for (uint64_t w = 0; right && w < WRITERS; w++)
        for (uint64_t n = 0; right && n < BATCHES_MAX; n++)
            right = batch_right(p, &f, w, n);
    store_stats(s, &st);
    return right && (st.corrupt_blocks == 0 || bad("%llu count as damaged", (unsigned long long)st.corrupt_blocks));
}

/* A segment is named when it is whole: what else lies there goes at the start. */
static bool only_segments(const char *dir)
{
    char **names;
    size_t n;
    struct err e;
    bool right = true;
    if (dir_list(dir, &names, &n, &e) < 0)
        return bad("%s", e.text);
    for (size_t i = 0; i < n; i++)
        if (!str_ends(str_of(names[i]), S(".seg")) && strcmp(names[i], "sealed") != 0)
            right = bad("'%s' is left over", names[i]);
    dir_list_free(names, n);
    return right;
}

static bool folder_right(const char *dir, const struct promises *p)
{
    static struct opened o;
    static uint64_t checked;
    bool right = true, deep = ++checked % 4 == 0;
    for (int round = 0; right && round < (deep ? 2 : 1); round++) {
        struct journal_config jc = {0};
        struct store_config sc = {0};
        struct err e;
        if (open_both(dir, &jc, &sc, &o, &e) < 0)
            return bad("it does not open: %s", e.text);
        right = promises_kept(p, o.store);
        if (right && deep && (store_seal(o.store, &e) < 0 || store_merge(o.store, &e) < 0))
            right = bad("%s", e.text);
        right = right && (!deep || promises_kept(p, o.store));
        close_both(&o);
        right = right && (!deep || only_segments(o.segments_dir));
    }
    return right;
}

#endif
