/* tests/lib/random_blocks.h - random events as lines and as the columns of a block, and what lines answer. */
#ifndef TESTS_RANDOM_BLOCKS_H
#define TESTS_RANDOM_BLOCKS_H

#include "random_filters.h"
#include "query/columns.h"
#include "store/segment.h"

#include <unistd.h>

static struct messages real; /* see find_real_messages */

static void find_real_messages(void)
{
    real = real_messages();
    if (!real.n)
        printf("skip real messages: no loghub2k (set LOGD_SHARED)\n");
}

struct sample {
    struct batch *batch;
    str *lines;
    size_t n;
    struct segment *segment;
    struct arena a;
    struct block block;
};

static void open_block(struct sample *s)
{
    arena_reset(&s->a);
    block_open(s->segment, 0, &s->a, &s->block);
}

/* Its file is gone already. */
static void seal(struct sample *s)
{
    struct store_block info = {.t_max = 1, .app = 1, .events = s->batch->events};
    struct segment_writer *w;
    struct err e;
    char dir[] = "/tmp/logd-columns-XXXXXX";
    if (!mkdtemp(dir) || segment_create(dir, 1, 1, SEAL_LEVEL, &w, &e) < 0 ||
        segment_add(w, buf_view(&s->batch->body), &info, &e) < 0 || segment_finish(w, &s->segment, &e) < 0) {
        printf("no segment: %s\n", e.text);
        abort();
    }
    unlink(s->segment->path);
    rmdir(dir);
}

/* Takes the batch. */
static void sample_of(struct sample *s, struct batch *batch)
{
    *s = (struct sample){.batch = batch};
    s->lines = xcalloc(batch->events, sizeof *s->lines);
    for (str rest = buf_view(&s->batch->body); rest.n;)
        s->lines[s->n++] = str_cut(&rest, '\n');
    seal(s);
    open_block(s);
}

static void sample_random(struct sample *s, unsigned n)
{
    struct profile p;
    draw_profile(&p, &real);
    sample_of(s, make_batch(make_event, &p, n));
}

static void sample_done(struct sample *s)
{
    segment_unref(s->segment);
    arena_done(&s->a);
    batch_free(s->batch);
    free(s->lines);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static bool line_matches(const struct filter *f, str line, struct arena *a)
{
    static struct event ev;
    struct err e;
    arena_reset(a);
    if (event_read(line, &ev, a, &e) < 0) {
        printf("%.*s: %s\n", STR_ARG(line), e.text);
        abort();
    }
    return filter_match(f, &ev, a);
}

static bool bit_at(const uint64_t *bits, size_t i) { return bits[i / 64] >> i % 64 & 1; }

static size_t filters_wanted(size_t otherwise)
{
    const char *given = getenv("LOGD_FILTERS");
    return given ? strtoul(given, NULL, 10) : otherwise;
}

#endif
