/* A filter over columns says what it says over lines: thousands of random filters over random blocks. */
#include "random_blocks.h"

enum { BLOCKS = 60, FILTERS = 2000 };

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
    find_real_messages();
    for (unsigned k = 0; k < BLOCKS && !unit_failed; k++) {
        struct sample s;
        sample_random(&s, draw_size(k));
        for (size_t i = 0; i < share(filters_wanted(FILTERS), k) && !unit_failed; i++) {
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
