#include "agent/text.h"

#include <errno.h>
#include <iconv.h>
#include <strings.h>

#define NONE ((iconv_t)-1)
#define REPLACEMENT "\xEF\xBF\xBD"

enum kind { AS_IT_IS, NAMED, NAMED_16, NAMED_16LE, NAMED_16BE };

struct text {
    enum kind kind;
    iconv_t to_utf8[3]; /* by width, opened when needed */
    struct buf out;
};

static enum kind kind_of(const char *encoding)
{
    static const struct {
        const char *name;
        enum kind kind;
    } known[] = {{"UTF-16", NAMED_16},     {"UTF16", NAMED_16},     {"UTF-16LE", NAMED_16LE}, {"UTF16LE", NAMED_16LE},
                 {"UTF-16BE", NAMED_16BE}, {"UTF16BE", NAMED_16BE}, {"UTF-8", AS_IT_IS},      {"UTF8", AS_IT_IS}};
    if (!encoding)
        return AS_IT_IS;
    for (size_t i = 0; i < LENGTH(known); i++)
        if (strcasecmp(encoding, known[i].name) == 0)
            return known[i].kind;
    return NAMED;
}

/* The byte 10 is a newline, and ends what is before it. */
static bool ends_lines(iconv_t c)
{
    char in[] = "a\n", out[16], *from = in, *to = out;
    size_t in_n = 2, out_n = sizeof out;
    return iconv(c, &from, &in_n, &to, &out_n) == 0 && to == out + 2 && memcmp(out, "a\n", 2) == 0;
}

int text_new(const char *encoding, struct text **ret, struct err *e)
{
    struct text *t = xcalloc(1, sizeof *t);
    buf_init(&t->out, 4u << 20);
    for (size_t i = 0; i < LENGTH(t->to_utf8); i++)
        t->to_utf8[i] = NONE;
    t->kind = kind_of(encoding);
    int rc = 0;
    if (t->kind == NAMED && (t->to_utf8[TEXT_BYTES] = iconv_open("UTF-8", encoding)) == NONE)
        rc = err_set(e, ERR_INPUT, "expected the name of an encoding as `iconv -l` lists them, got \"%.60s\"",
                     encoding);
    else if (t->kind == NAMED && !ends_lines(t->to_utf8[TEXT_BYTES]))
        rc = err_set(e, ERR_INPUT, "expected utf-16 or an encoding in which the byte 10 ends a line, got \"%.60s\"",
                     encoding);
    if (rc < 0)
        text_free(t);
    else
        *ret = t;
    return rc;
}

void text_free(struct text *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < LENGTH(t->to_utf8); i++)
        if (t->to_utf8[i] != NONE)
            iconv_close(t->to_utf8[i]);
    buf_done(&t->out);
    free(t);
}

enum text_width text_width(const struct text *t, str head)
{
    bool big = str_starts(head, S("\xFE\xFF")), little = str_starts(head, S("\xFF\xFE"));
    switch (t->kind) {
    case NAMED: return TEXT_BYTES;
    case NAMED_16LE: return TEXT_LITTLE;
    case NAMED_16BE: return TEXT_BIG;
    case NAMED_16: return big ? TEXT_BIG : TEXT_LITTLE;
    default: return big ? TEXT_BIG : little ? TEXT_LITTLE : TEXT_BYTES;
    }
}

ptrdiff_t text_end(enum text_width w, str s)
{
    if (w == TEXT_BYTES) {
        const char *end = s.n ? memchr(s.p, '\n', s.n) : NULL;
        return end ? end - s.p : -1;
    }
    const char *unit = w == TEXT_LITTLE ? "\n\0" : "\0\n";
    for (size_t i = 0; i + 1 < s.n; i += 2)
        if (s.p[i] == unit[0] && s.p[i + 1] == unit[1])
            return (ptrdiff_t)i;
    return -1;
}

/* What cannot be read is stepped over, a unit at a time. */
static str convert(struct text *t, enum text_width w, str line)
{
    char *from = (char *)(uintptr_t)line.p;
    size_t left = line.n;
    buf_reset(&t->out);
    (void)iconv(t->to_utf8[w], NULL, NULL, NULL, NULL);
    while (left > 0 && buf_room(&t->out, 4 * left + 16)) {
        char *to = t->out.p + t->out.n;
        size_t room = t->out.cap - t->out.n;
        size_t rc = iconv(t->to_utf8[w], &from, &left, &to, &room);
        int why = rc == (size_t)-1 ? errno : 0;
        t->out.n = (size_t)(to - t->out.p);
        if (why == EILSEQ || why == EINVAL) {
            size_t step = left < text_unit(w) ? left : text_unit(w);
            from += step;
            left -= step;
            buf_lit(&t->out, REPLACEMENT);
        } else if (why != E2BIG) {
            break;
        }
    }
    char *to = t->out.p + t->out.n;
    size_t room = t->out.cap - t->out.n;
    (void)iconv(t->to_utf8[w], NULL, NULL, &to, &room); /* a letter that a mark might have followed */
    t->out.n = t->out.p ? (size_t)(to - t->out.p) : 0;
    return buf_view(&t->out);
}

str text_line(struct text *t, enum text_width w, str line)
{
    static const char *const names[] = {NULL, "UTF-16LE", "UTF-16BE"};
    if (w != TEXT_BYTES && t->to_utf8[w] == NONE)
        t->to_utf8[w] = iconv_open("UTF-8", names[w]);
    if (t->to_utf8[w] != NONE)
        line = convert(t, w, line);
    if (str_starts(line, S("\xEF\xBB\xBF")))
        line = str_skip(line, 3);
    if (str_ends(line, S("\r")))
        line.n--;
    return line;
}
