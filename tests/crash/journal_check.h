/* tests/crash/journal_check.h - what journal_driver was promised, and whether a journal's folder keeps it.
 *
 * Checked each time: every acknowledged batch is there exactly once, whole, with its number; no batch is half there;
 * what a full disk refused does not come back; each writer's order is kept; nothing counts as corrupt; a repeat of any
 * batch that is there is known as one, by its key and by its event_ids, also after its file was released; a batch that
 * is not there is accepted; and the journal goes on. What is wrong is printed, indented. One thread. */
#ifndef TESTS_JOURNAL_CHECK_H
#define TESTS_JOURNAL_CHECK_H

#include "base/clock.h"
#include "batches.h"
#include "disk.h"
#include "journal/journal.h"

#include <semaphore.h>
#include <stdarg.h>

enum { WRITERS = 4, BATCHES_MAX = 4096, SAMPLE = 10 };
#define SEQ_ANY UINT64_MAX /* a repeat of it was known: it is there, under some number */

static struct rng rng;

/* ---- what the driver was told ---- */

struct promises {
    uint64_t seq[WRITERS][BATCHES_MAX]; /* as acknowledged, SEQ_ANY; 0: not */
    bool refused[WRITERS][BATCHES_MAX]; /* a full disk: it must not come back */
    bool late[WRITERS][BATCHES_MAX];    /* sent again by a check, out of its writer's order */
    uint64_t end[WRITERS];              /* batches from there on were never tried */
    uint64_t released;                  /* records up to it may be gone */
    bool wrong;                         /* the driver itself saw something */
};

static void promise_line(struct promises *p, str line)
{
    unsigned long long w = 0, n = 0, seq = 0;
    char text[128], word[16] = "";
    snprintf(text, sizeof text, "%.*s", STR_ARG(line));
    int got = sscanf(text, "%15s %llu %llu %llu", word, &w, &n, &seq);
    if (strcmp(word, "release") == 0 && got == 2)
        p->released = w > p->released ? w : p->released;
    else if (strcmp(word, "full") == 0 && got == 3 && w < WRITERS && n < BATCHES_MAX)
        p->refused[w][n] = true;
    else if (strcmp(word, "ack") == 0 && got == 4 && w < WRITERS && n < BATCHES_MAX)
        p->seq[w][n] = seq;
    else if (strcmp(word, "there") == 0 && got == 3 && w < WRITERS && n < BATCHES_MAX)
        p->seq[w][n] = p->seq[w][n] ? p->seq[w][n] : SEQ_ANY;
    else if (strcmp(word, "wrong") == 0) {
        printf("the driver says: %s\n", text);
        p->wrong = true;
    }
}

/* Whole lines only: the last one may have been cut by the kill. */
static void promise_text(struct promises *p, str text)
{
    while (str_chr(text, '\n') >= 0)
        promise_line(p, str_cut(&text, '\n'));
}

/* ---- checking a folder ---- */

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

struct found {
    uint64_t seq[WRITERS][BATCHES_MAX]; /* 0: not there */
    uint64_t first, last;               /* seq */
};

static bool take_record(const struct promises *p, struct found *f, const struct record *r, uint64_t next[WRITERS])
{
    uint64_t w = 0, n = 0;
    struct buf want = BUF_INIT(1 << 20);
    if (!batch_read_line(r->body, &w, &n) || w >= WRITERS || n >= BATCHES_MAX)
        return bad("record %llu is none of ours", (unsigned long long)r->seq);
    batch_body(&want, w, n);
    bool whole = str_eq(buf_view(&want), r->body) && r->events == batch_lines(w, n);
    buf_done(&want);
    if (!whole)
        return bad("batch %llu %llu is not whole", (unsigned long long)w, (unsigned long long)n);
    if (p->refused[w][n] && !p->seq[w][n])
        return bad("batch %llu %llu was refused and is there", (unsigned long long)w, (unsigned long long)n);
    if (f->seq[w][n])
        return bad("batch %llu %llu is there twice", (unsigned long long)w, (unsigned long long)n);
    if (n < next[w] && !p->late[w][n])
        return bad("batch %llu %llu comes too late", (unsigned long long)w, (unsigned long long)n);
    if (r->seq != f->last + 1 && f->last)
        return bad("record %llu comes after %llu", (unsigned long long)r->seq, (unsigned long long)f->last);
    next[w] = p->late[w][n] ? next[w] : n + 1;
    f->seq[w][n] = r->seq;
    f->first = f->first ? f->first : r->seq;
    f->last = r->seq;
    return true;
}

static bool read_all(const struct promises *p, struct journal_reader *r, struct found *f)
{
    struct record rec;
    struct err e;
    uint64_t next[WRITERS] = {0};
    int rc;
    memset(f, 0, sizeof *f);
    while ((rc = journal_reader_next(r, 0, &rec, &e)) == 1)
        if (!take_record(p, f, &rec, next))
            return false;
    if (rc < 0)
        return bad("reading: %s", e.text);
    return journal_reader_corrupt(r) == 0 ||
           bad("the reader skipped %llu records", (unsigned long long)journal_reader_corrupt(r));
}

static bool promises_kept(const struct promises *p, const struct found *f, uint64_t first_seq)
{
    for (uint64_t w = 0; w < WRITERS; w++)
        for (uint64_t n = 0; n < p->end[w]; n++) {
            uint64_t seq = p->seq[w][n];
            bool gone = f->seq[w][n] == 0 && (seq == SEQ_ANY ? p->released : seq <= p->released && seq < first_seq);
            bool there = f->seq[w][n] == seq || (seq == SEQ_ANY && f->seq[w][n]);
            if (seq && !there && !gone)
                return bad("batch %llu %llu was acknowledged as record %llu and is record %llu", (unsigned long long)w,
                           (unsigned long long)n, (unsigned long long)seq, (unsigned long long)f->seq[w][n]);
        }
    return true;
}

struct again {
    struct batch *b;
    uint64_t w, n;
    bool known; /* it must be */
};

static void answered(struct batch *b, void *arg) { (void)b, sem_post(arg); }

static bool answer_right(const struct again *a)
{
    struct batch *fresh = batch_make(a->w, a->n, 0);
    struct buf reply = BUF_INIT(1 << 20);
    batch_reply(fresh, &reply);
    uint32_t lines = fresh->accepted;
    bool right, idempotent = fresh->idempotent;
    if (!a->known)
        right = a->b->status == BATCH_OK && a->b->accepted == lines && a->b->seq > 0;
    else if (idempotent)
        right = a->b->status == BATCH_REPEATED && str_eq(str_of(a->b->repeat), buf_view(&reply));
    else
        right = a->b->status == BATCH_OK && a->b->accepted == 0 && a->b->duplicates == lines;
    batch_free(fresh);
    buf_done(&reply);
    return right || bad("batch %llu %llu, %s there, %s: status %d, %u accepted, %u duplicates",
                        (unsigned long long)a->w, (unsigned long long)a->n, a->known ? "which is" : "which is not",
                        idempotent ? "with a key" : "with ids", (int)a->b->status, a->b->accepted, a->b->duplicates);
}

/* Batches to send again: some that are there or were, and new ones. */
static size_t choose(const struct promises *p, const struct found *f, struct again *a)
{
    size_t n = 0;
    for (uint64_t w = 0; w < WRITERS; w++) {
        for (int i = 0; i < SAMPLE; i++) {
            uint64_t back = rng_below(&rng, i < SAMPLE / 2 ? 6 : p->end[w]);
            uint64_t k = back < p->end[w] ? p->end[w] - 1 - back : 0;
            bool there = p->end[w] > 0 && (p->seq[w][k] || f->seq[w][k]), same = false;
            for (size_t m = 0; m < n; m++)
                same |= a[m].w == w && a[m].n == k;
            if (there && !same && (batch_idempotent(w, k) || batch_has_ids(w, k)))
                a[n++] = (struct again){NULL, w, k, true};
        }
        a[n++] = (struct again){NULL, w, p->end[w], false};
        for (uint64_t k = p->end[w];
             k-- > 0 && p->released == 0;) /* the newest that is not there, though it was tried */
            if (!f->seq[w][k]) {
                a[n++] = (struct again){NULL, w, k, false};
                break;
            }
    }
    return n;
}

static bool windows_right(struct journal *j, struct promises *p, const struct found *f)
{
    struct again a[WRITERS * (SAMPLE + 2)];
    struct journal_stats st;
    sem_t done;
    bool right = true;
    size_t n = choose(p, f, a);
    _Atomic usec stamp;
    journal_stats(j, &st);
    atomic_init(&stamp, st.last_recv_us);
    sem_init(&done, 0, 0);
    for (size_t i = 0; i < n; i++) {
        a[i].b = batch_make(a[i].w, a[i].n, batch_stamp(&stamp, clock_now()));
        a[i].b->done = answered;
        a[i].b->arg = &done;
        journal_submit(j, a[i].b);
    }
    for (size_t i = 0; i < n; i++)
        sem_wait(&done);
    for (size_t i = 0; i < n; i++) {
        right = right && answer_right(&a[i]);
        if (a[i].b->status == BATCH_OK && a[i].b->seq) /* this one is promised now */
            p->seq[a[i].w][a[i].n] = a[i].b->seq;
        p->late[a[i].w][a[i].n] |= !a[i].known && a[i].n < p->end[a[i].w];
        if (a[i].n >= p->end[a[i].w])
            p->end[a[i].w] = a[i].n + 1;
        batch_free(a[i].b);
    }
    sem_destroy(&done);
    return right;
}

/* One key with another body is refused. */
static bool conflict_seen(struct journal *j, const struct promises *p)
{
    for (uint64_t w = 0; w < WRITERS; w++)
        for (uint64_t n = p->end[w]; n-- > 0;) {
            if (!p->seq[w][n] || !batch_idempotent(w, n))
                continue;
            struct batch *b = batch_make(w, n, clock_now());
            b->idem_body[3] ^= 1;
            enum batch_status s = journal_commit(j, b);
            batch_free(b);
            return s == BATCH_CONFLICT || bad("batch %llu %llu with another body: status %d", (unsigned long long)w,
                                              (unsigned long long)n, (int)s);
        }
    return true;
}

/* Opens the folder with the real thing and holds it to the promises; adds what is promised by the check itself. */
static bool folder_right(const char *dir, struct promises *p, bool windows)
{
    static uint64_t checked;
    static struct found f;
    struct journal *j;
    struct journal_reader *r;
    struct journal_stats st;
    struct err e;
    struct journal_config c = {.dir = dir, .reserve_bytes = 1, .file_bytes = 6000};
    checked++;
    if (p->wrong)
        return false;
    if (journal_open(&c, &j, &e) < 0)
        return bad("the journal does not open: %s", e.text);
    journal_stats(j, &st);
    bool right = st.corrupt_records == 0 ||
                 bad("%llu records count as corrupt", (unsigned long long)st.corrupt_records);
    if (journal_reader_open(j, st.first_seq - 1, &r, &e) < 0)
        abort();
    right = right && read_all(p, r, &f) && promises_kept(p, &f, st.first_seq);
    journal_reader_close(r);
    if (right && f.first && f.first != st.first_seq)
        right = bad("the first record is %llu, not %llu", (unsigned long long)f.first,
                    (unsigned long long)st.first_seq);
    if (right && windows)
        right = windows_right(j, p, &f) && conflict_seen(j, p);
    journal_close(j);
    if (!right || checked % 8)
        return right;
    if (journal_reader_open_path(dir, 0, &r, &e) < 0)
        return bad("%s", e.text);
    right = read_all(p, r, &f);
    journal_reader_close(r);
    return right;
}

#endif
