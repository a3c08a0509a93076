/* One pass over every three bytes a b c. For each pair of bytes a table tells which questions it may start and which
 * it may continue: where ab starts what bc continues, that question is asked. In a log nearly none is, so the pass
 * costs one table look-up a byte. (The idea is that of Teddy, the literal matcher of Hyperscan, without vectors.) */
#include "event/scrub.h"
#include "event/scrub-private.h"

static uint16_t pairs[65536]; /* by a | b << 8; low byte: starts, high byte: continues. Written once, before main */
uint8_t scrub_class[256];

static inline uint16_t *pair(int a, int b) { return &pairs[(unsigned)(a & 255) | (unsigned)(b & 255) << 8]; }

void scrub_watch(unsigned ask, int a, int b, int c)
{
    *pair(a, b) |= (uint16_t)ask;
    *pair(b, c) |= (uint16_t)(ask << 8);
}

static uint8_t class_of(int c)
{
    bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'Z', low = c >= 'a' && c <= 'z';
    bool hex = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    bool word = digit || upper || low || c == '_' || c == '-', base64 = word || c == '+' || c == '/' || c == '=';
    return (uint8_t)((digit ? C_DIGIT : 0) | (upper ? C_UPPER : 0) | (hex ? C_HEX : 0) |
                     (digit || upper || low ? C_ALNUM : 0) | (word ? C_WORD : 0) | (word || c == '.' ? C_DOTTED : 0) |
                     (base64 ? C_BASE64 : 0) | (base64 || c == '.' || c == '~' ? C_TOKEN : 0));
}

/* Cards by their first two digits, behind what may stand before a number. */
static void watch_cards(void)
{
    for (int a = 0; a < 256; a++)
        for (int b = '2'; b <= '6' && !is((char)a, C_ALNUM); b++)
            for (int c = '0'; c <= '9'; c++)
                if (b == '2' ? c == '2' || (c >= '3' && c <= '7') : b != '3' || c == '0' || c >= '4')
                    scrub_watch(ASK_CARD, a, b, c);
}

__attribute__((constructor)) static void init(void)
{
    for (int c = 0; c < 256; c++)
        scrub_class[c] = class_of(c);
    watch_cards();
    scrub_shapes_init();
    scrub_pairs_init();
}

size_t scrub_word_end(struct scan *s, size_t i)
{
    if (i < s->word || i >= s->word_end) {
        s->word = i;
        s->word_end = run(s, i, C_WORD, s->n);
    }
    return s->word_end;
}

static struct found ask(struct scan *s, size_t i, unsigned what)
{
    struct found f = NOTHING;
    if (what & ASK_PAIR)
        f = scrub_pair(s, i);
    if (!f.kind.p && what & ASK_BLANK)
        f = scrub_blank(s, i);
    if (!f.kind.p && what & ASK_CARD)
        f = scrub_card(s, i);
    if (!f.kind.p && what >= ASK_SHAPE)
        f = scrub_shape(s, i);
    return f;
}

static void replace(struct scan *s, const struct found *f, struct buf *out)
{
    assert(f->from >= s->done && f->to <= s->n && f->from < f->to);
    buf_add(out, s->p + s->done, f->from - s->done);
    buf_str(out, f->left);
    buf_lit(out, "[redacted:");
    buf_str(out, f->kind);
    buf_byte(out, ']');
    buf_str(out, f->right);
    s->done = f->to;
}

static inline uint16_t load(const char *p)
{
    return (uint16_t)((unsigned char)p[0] | (unsigned)(unsigned char)p[1] << 8);
}

/* The next place at or after i with a question, or s->n. *ret_what: which. */
static inline size_t next(const struct scan *s, size_t i, unsigned *ret_what)
{
    unsigned last = *pair(i > 0 ? s->p[i - 1] : 0, s->p[i]);
    for (; i + 4 < s->n; i += 4) {
        unsigned a = pairs[load(s->p + i)], b = pairs[load(s->p + i + 1)], c = pairs[load(s->p + i + 2)];
        unsigned d = pairs[load(s->p + i + 3)];
        if (UNLIKELY(((last & a >> 8) | (a & b >> 8) | (b & c >> 8) | (c & d >> 8)) & 255))
            break;
        last = d;
    }
    for (; i < s->n; i++) {
        unsigned now = *pair(s->p[i], at(s, i + 1));
        if ((*ret_what = last & now >> 8 & 255) != 0)
            return i;
        last = now;
    }
    return i;
}

/* One found thing that reaches into another becomes one with it. */
static void unite(struct found *f, const struct found *later)
{
    f->from = f->from < later->from ? f->from : later->from;
    f->to = f->to > later->to ? f->to : later->to;
}

/* Takes one found thing after another. What is found further on waits, because something may stand before it: the
 * user in a URL with a password may be a token. */
static bool pass(str text, struct buf *out)
{
    struct scan s = {.p = text.p, .n = text.n};
    struct found later = NOTHING;
    unsigned what;
    for (size_t i = 0; i < s.n || later.kind.p;) {
        i = i < s.n ? next(&s, i, &what) : s.n;
        if (later.kind.p && i >= later.from) {
            replace(&s, &later, out);
            later = NOTHING;
            i = s.done;
            continue;
        }
        struct found f = i < s.n ? ask(&s, i, what) : NOTHING;
        i++;
        if (f.kind.p && later.kind.p && f.to > later.from) {
            unite(&later, &f);
        } else if (f.kind.p && f.from > i) {
            later = f;
        } else if (f.kind.p) {
            replace(&s, &f, out);
            i = s.done;
        }
    }
    if (s.done == 0)
        return true;
    buf_add(out, s.p + s.done, s.n - s.done);
    return false;
}

/* What stands around a secret may look like another one when that is gone. So texts that were not clean are looked at
 * again, until nothing is left: scrubbing twice is scrubbing once. */
bool scrub_clean(str text, struct buf *out)
{
    enum { PASSES = 8 };
    size_t start = out->n;
    if (pass(text, out))
        return true;
    struct buf again = BUF_INIT(out->max);
    for (int k = 1; k < PASSES && !pass(str_skip(buf_view(out), start), &again); k++) {
        out->n = start;
        buf_str(out, buf_view(&again));
        buf_reset(&again);
    }
    buf_done(&again);
    return false;
}
