/* A filter over columns says what it says over lines: thousands of random filters over random blocks. */
#include "random_filters.h"
#include "query/columns.h"
#include "store/segment.h"

#include <unistd.h>

enum { BLOCKS = 60, FILTERS = 2000 };

static struct messages real;

/* ---- a block of random events, as lines and as columns ---- */

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
    if (!mkdtemp(dir) || segment_create(dir, 1, 1, &w, &e) < 0 ||
        segment_add(w, buf_view(&s->batch->body), &info, &e) < 0 || segment_finish(w, &s->segment, &e) < 0) {
        printf("no segment: %s\n", e.text);
        abort();
    }
    unlink(s->segment->path);
    rmdir(dir);
}

static void sample_init(struct sample *s, unsigned n)
{
    struct profile p;
    *s = (struct sample){0};
    draw_profile(&p, &real);
    s->batch = make_batch(&p, n);
    s->lines = xcalloc(n, sizeof *s->lines);
    for (str rest = buf_view(&s->batch->body); rest.n;)
        s->lines[s->n++] = str_cut(&rest, '\n');
    seal(s);
    open_block(s);
}

static void sample_done(struct sample *s)
{
    segment_unref(s->segment);
    arena_done(&s->a);
    batch_free(s->batch);
    free(s->lines);
}

/* ---- asked both ways ---- */

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

/* All events are asked for, or some. */
static void draw_mask(uint64_t *mask, size_t n)
{
    unsigned part = one_in(3) ? 1 + roll(40) : 1;
    for (size_t i = 0; i < n; i++)
        mask[i / 64] |= (uint64_t)one_in(part) << i % 64;
}

/* How many events match; SIZE_MAX after the two disagreed, which is printed. */
static size_t compare(struct sample *s, const struct filter *f, str text, struct arena *scratch)
{
    struct prepared *p = prepare(f);
    size_t words = bit_words(s->n), matched = 0;
    uint64_t *mask = arena_zero(scratch, words * sizeof *mask), *bits = arena_alloc(scratch, words * sizeof *bits);
    struct arena a = {0};
    struct err e;
    draw_mask(mask, s->n);
    memcpy(bits, mask, words * sizeof *bits);
    if (columns_match(p, &s->block, 0, bits, scratch, never, NULL, &e) < 0) {
        printf("%.*s: %s\n", STR_ARG(text), e.text);
        matched = SIZE_MAX;
    }
    for (size_t i = 0; i < words * 64 && matched != SIZE_MAX; i++) {
        bool asked = i < s->n && bit_at(mask, i), want = asked && line_matches(f, s->lines[i], &a);
        if (bit_at(bits, i) != want) {
            printf("filter  %.*s\nline    %.*s\nevent %zu of %zu%s: filter_match says %d, columns_match %d\n",
                   STR_ARG(text), STR_ARG(i < s->n ? s->lines[i] : S("")), i, s->n, asked ? "" : ", not asked for",
                   want, !want);
            matched = SIZE_MAX;
        } else {
            matched += want;
        }
    }
    arena_done(&a);
    prepared_free(p);
    return matched;
}

static size_t filters_wanted(void)
{
    const char *given = getenv("LOGD_FILTERS");
    return given ? strtoul(given, NULL, 10) : FILTERS;
}

static unsigned draw_size(unsigned block)
{
    static const unsigned sizes[] = {1, 3, 64, 65, 300, 700, 1000, 1500, 2000};
    return block == 0 ? 4500 : PICK(sizes);
}

/* Fewer filters for the block that is large. */
static size_t share(size_t filters, unsigned block) { return block == 0 ? filters / 200 + 1 : filters / BLOCKS; }

TEST(columns_and_lines_give_the_same_answers_to_random_filters)
{
    unsigned drawn = start_chance();
    struct drawing *d = xcalloc(1, sizeof *d);
    struct buf text = BUF_INIT(1 << 20);
    struct arena scratch = {0};
    size_t asked = 0, some = 0;
    real = real_messages();
    if (!real.n)
        printf("skip real messages: no loghub2k (set LOGD_SHARED)\n");
    for (unsigned k = 0; k < BLOCKS && !unit_failed; k++) {
        struct sample s;
        sample_init(&s, draw_size(k));
        for (size_t i = 0; i < share(filters_wanted(), k) && !unit_failed; i++) {
            struct filter *f = random_filter(d, s.lines[roll((unsigned)s.n)], &text);
            size_t matched;
            if (one_in(10))
                open_block(&s);
            arena_reset(&scratch);
            matched = compare(&s, f, buf_view(&text), &scratch);
            if (matched == SIZE_MAX) {
                printf("block %u, SEED=%u\n", k, drawn);
                unit_failed = true;
            }
            asked++;
            some += matched > 0 && matched < s.n;
            filter_free(f);
        }
        sample_done(&s);
    }
    printf("  %zu filters, %zu of them matched some events and not all\n", asked, some);
    CHECK(unit_failed || some > asked / 3);
    arena_done(&d->a);
    free(d);
    arena_done(&scratch);
    buf_done(&text);
}

UNIT_MAIN
