/* maps/minified.c - the minified file beside its map: does it have the places that the map speaks of, and which of its names
 * are functions?
 *
 * A stack trace calls a function what the minified file calls it. Where that file declares it ("function t(", "t=(e)=>",
 * "class t") the map knows the name that stood there before. No parser: what stands around the name tells. */
#include "base/str.h"
#include "maps/sourcemap.h"

#include <ctype.h>

enum {
    BLANKS = 64,
    ARROW = 2000,
    TOKEN = 256
}; /* how far is looked, so that a hostile file costs no more than its size */

struct cursor { /* goes forward through the file, by line and UTF-16 column */
    str text;
    size_t at;
    uint32_t line, column;
};

static size_t char_len(unsigned char c) { return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4; }

/* LF, CR, CRLF, U+2028 and U+2029 end a line of JavaScript. */
static size_t newline_len(str s, size_t at)
{
    if (s.p[at] == '\n')
        return 1;
    if (s.p[at] == '\r')
        return at + 1 < s.n && s.p[at + 1] == '\n' ? 2 : 1;
    return s.n - at >= 3 && (memcmp(s.p + at, "\xe2\x80\xa8", 3) == 0 || memcmp(s.p + at, "\xe2\x80\xa9", 3) == 0) ? 3
                                                                                                                   : 0;
}

/* False: the file has no such place. Its end, and the end of each line, are places. */
static bool go_to(struct cursor *c, uint32_t line, uint32_t column)
{
    while (c->line < line || c->column < column) {
        if (c->at >= c->text.n)
            return c->line == line && c->column == column;
        size_t newline = newline_len(c->text, c->at), n = char_len((unsigned char)c->text.p[c->at]);
        if (newline && c->line == line)
            return false;
        c->at += newline ? newline : n;
        c->column = newline ? 0 : c->column + (n == 4 ? 2 : 1);
        c->line += newline > 0;
    }
    return c->line == line && c->column == column;
}

static bool is_name(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80; }

static str token_at(str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && n < TOKEN && is_name(s.p[at + n]))
        n++;
    return str_n(s.p + at, n);
}

static str trim_left(str s)
{
    for (int i = 0; i < BLANKS && s.n && isspace((unsigned char)*s.p); i++)
        s = str_skip(s, 1);
    return s;
}

static str trim_right(str s)
{
    for (int i = 0; i < BLANKS && s.n && isspace((unsigned char)s.p[s.n - 1]); i++)
        s.n--;
    return s;
}

static bool ends_in_word(str s, str word)
{
    return str_ends(s, word) && (s.n == word.n || !is_name(s.p[s.n - word.n - 1]));
}

/* "(a,{b}=c)=>" or "a=>" */
static bool is_arrow(str s)
{
    size_t n = 0, limit = s.n < ARROW ? s.n : ARROW;
    if (s.n && *s.p == '(') {
        int depth = 0;
        for (; n < limit; n++) {
            depth += strchr("([{", s.p[n]) && s.p[n] ? 1 : strchr(")]}", s.p[n]) && s.p[n] ? -1 : 0;
            if (depth == 0)
                break;
        }
        n++;
    } else {
        n = token_at(s, 0).n;
    }
    return n && str_starts(trim_left(str_skip(s, n)), S("=>"));
}

static bool is_function(str text, size_t at, size_t n)
{
    str before = trim_right(str_head(text, at)), after = trim_left(str_skip(text, at + n));
    if (str_ends(before, S("*")))
        before = trim_right(str_head(before, before.n - 1));
    if (ends_in_word(before, S("function")) || ends_in_word(before, S("class")))
        return true;
    if (!after.n || (*after.p != '=' && *after.p != ':') || str_starts(after, S("==")) || str_starts(after, S("=>")))
        return false;
    after = trim_left(str_skip(after, 1));
    if (str_starts(after, S("async")) && after.n > 5 && !is_name(after.p[5]))
        after = trim_left(str_skip(after, 5));
    return str_starts(after, S("function")) || str_starts(after, S("class")) || is_arrow(after);
}

int sourcemap_read_minified(struct sourcemap *m, str minified, struct err *e)
{
    struct cursor c = {.text = minified};
    if (str_starts(minified, S("\xef\xbb\xbf")))
        c.text = str_skip(minified, 3);
    for (size_t i = 0; i < m->n; i++) {
        const struct mapping *x = &m->mappings[i];
        if (!go_to(&c, x->line, x->column))
            return err_set(
                e, ERR_INPUT,
                "the map does not belong to the minified file: it speaks of line %u, column %u, which is not there",
                x->line + 1, x->column + 1);
        str token = x->name == MAPS_NONE ? (str){0} : token_at(c.text, c.at);
        if (!token.n || !is_function(c.text, c.at, token.n))
            continue;
        if (m->functions_n == m->functions_cap) {
            m->functions_cap = m->functions_cap ? 2 * m->functions_cap : 64;
            m->functions = xrealloc(m->functions, m->functions_cap * sizeof *m->functions);
        }
        m->functions[m->functions_n++] = (struct function){x->line, x->column, token, x->name};
    }
    return 0;
}

/* ---- comments at the end of it ---- */
static str last_comment(str minified, str name)
{
    str found = {0};
    str tail = minified.n > 65536 && str_eq(name, S("debugId=")) ? str_skip(minified, minified.n - 65536) : minified;
    for (ptrdiff_t at; (at = str_find(tail, name)) >= 0; tail = str_skip(tail, (size_t)at + name.n)) {
        str before = str_head(tail, (size_t)at);
        if (!str_ends(before, S("//# ")) && !str_ends(before, S("//@ ")))
            continue;
        str value = str_skip(tail, (size_t)at + name.n);
        size_t n = 0;
        while (n < value.n && !isspace((unsigned char)value.p[n]))
            n++;
        found = str_head(value, n);
    }
    return found;
}

str minified_debug_id(str minified) { return last_comment(minified, S("debugId=")); }
str minified_map_url(str minified) { return last_comment(minified, S("sourceMappingURL=")); }
