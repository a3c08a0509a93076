/* One pass over every pair of bytes: a table of 64 KiB tells whether a pair may belong to a secret, which few do, and
 * what to ask then. Names stand before '=' and ':', so the question "is this a secret's name" is asked there and looks
 * back; shapes are asked for at the rarest pair of their prefix. */
#include "event/scrub.h"
#include "event/scrub-private.h"

enum ask { ASK_NOTHING, ASK_PAIR, ASK_PERCENT, ASK_URL, ASK_CARD, ASK_JWT, ASK_PEM, ASK_TELEGRAM, ASK_PREFIX };

static uint8_t pairs[65536]; /* enum ask, by first byte << 8 | second; written once, before main */
uint8_t scrub_class[256];

static uint8_t *pair(int a, int b) { return &pairs[(unsigned)(a & 255) << 8 | (unsigned)(b & 255)]; }

static void init_classes(void)
{
    for (int c = 0; c < 256; c++) {
        bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'Z', low = c >= 'a' && c <= 'z';
        unsigned x = (digit || upper || low) ? C_ALNUM | C_WORD | C_B64 | C_NAME | C_DOTTED : 0;
        x |= digit ? C_DIGIT | C_HEX : 0;
        x |= (low && c <= 'f') || (upper && c <= 'F') ? C_HEX : 0;
        x |= upper ? C_UPPER : 0;
        x |= c == '_' || c == '-' ? C_WORD | C_B64 | C_NAME | C_DOTTED : 0;
        x |= c == '+' || c == '/' || c == '=' ? C_B64 : 0;
        x |= c == '.' ? C_NAME | C_DOTTED : 0;
        scrub_class[c] = (uint8_t)x;
    }
}

__attribute__((constructor)) static void init(void)
{
    static const char ends[] = "dDeEnNtTyYsSpPrRfFvVcCgGhHmMwW12]\"'` \\;";
    init_classes();
    scrub_shapes_init(pairs, ASK_PREFIX);
    for (const char *c = ends; *c; c++)
        *pair(*c, '=') = *pair(*c, ':') = ASK_PAIR;
    *pair('%', '3') = *pair('%', '2') = ASK_PERCENT;
    *pair(':', '/') = *pair(':', '\\') = ASK_URL;
    for (int a = '2'; a <= '6'; a++)
        for (int b = '0'; b <= '9'; b++)
            *pair(a, b) = ASK_CARD;
    *pair('y', 'J') = ASK_JWT;
    *pair('-', 'B') = ASK_PEM;
    *pair(':', 'A') = ASK_TELEGRAM;
}

size_t scrub_word_end(struct scan *s, size_t i)
{
    if (i >= s->word && i < s->word_end)
        return s->word_end;
    size_t end = i;
    while (end < s->n && is(s->p[end], C_WORD))
        end++;
    s->word = i, s->word_end = end;
    return end;
}

/* %3D and %3A, also when their percent sign was encoded once more. */
static struct found ask_percent(struct scan *s, size_t i)
{
    size_t n = 3;
    if (s->p[i + 1] == '2') {
        if (at(s, i + 2) != '5' || at(s, i + 3) != '3')
            return NOTHING;
        n = 5;
    }
    char c = lower(at(s, i + n - 1));
    return c == 'd' || c == 'a' ? scrub_pair(s, i, n) : NOTHING;
}

static struct found ask(struct scan *s, size_t i, enum ask what)
{
    switch (what) {
    case ASK_PAIR: return scrub_pair(s, i + 1, 1);
    case ASK_PERCENT: return ask_percent(s, i);
    case ASK_URL: return scrub_url(s, i);
    case ASK_CARD: return scrub_card(s, i);
    case ASK_JWT: return scrub_jwt(s, i);
    case ASK_PEM: return scrub_pem(s, i);
    case ASK_TELEGRAM: return scrub_telegram(s, i);
    case ASK_PREFIX: return scrub_prefix(s, i);
    case ASK_NOTHING: break;
    }
    return NOTHING;
}

static void quote(struct buf *out, const struct found *f)
{
    for (uint8_t i = 0; f->quote && i < f->escapes; i++)
        buf_byte(out, '\\');
    if (f->quote)
        buf_byte(out, f->quote);
}

static void replace(struct scan *s, const struct found *f, struct buf *out)
{
    assert(f->from >= s->done && f->to <= s->n && f->from < f->to);
    buf_add(out, s->p + s->done, f->from - s->done);
    quote(out, f);
    buf_lit(out, "[redacted:");
    buf_str(out, f->kind);
    buf_byte(out, ']');
    quote(out, f);
    s->done = f->to;
}

bool scrub_clean(str text, struct buf *out)
{
    struct scan s = {text.p, text.n, 0, 0, 0};
    for (size_t i = 0; i + 1 < s.n;) {
        uint8_t what = pairs[(unsigned)(unsigned char)s.p[i] << 8 | (unsigned char)s.p[i + 1]];
        if (LIKELY(!what)) {
            i++;
            continue;
        }
        struct found f = ask(&s, i, what);
        if (f.kind.p) {
            replace(&s, &f, out);
            i = s.done;
        } else {
            i++;
        }
    }
    if (s.done == 0)
        return true;
    buf_add(out, s.p + s.done, s.n - s.done);
    return false;
}
