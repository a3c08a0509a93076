#include "event/lex.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/str.h"

#include <stdarg.h>

static bool is_blank(int c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '@' || c >= 0x80;
}
static bool is_field_byte(int c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-'; }

int lexer_init(struct lexer *l, str text, struct err *e)
{
    *l = (struct lexer){.text = text.p ? text : S("")};
    if (text.n > LIMIT_QUERY)
        return err_at(e, 1, "expected a query of at most %u bytes, got %zu", LIMIT_QUERY, text.n);
    for (size_t i = 0, len; i < text.n; i += len)
        if ((len = utf8_len(text.p + i, text.n - i)) == 0)
            return err_at(e, lexer_column(l, i), "expected UTF-8 text, got byte 0x%02x", (unsigned char)text.p[i]);
    return 0;
}

size_t lexer_column(const struct lexer *l, size_t at)
{
    size_t column = 1;
    for (size_t i = 0; i < at && i < l->text.n; i++)
        column += (l->text.p[i] & 0xc0) != 0x80;
    return column;
}

int lex_byte_at(const struct lexer *l, size_t at) { return at < l->text.n ? (unsigned char)l->text.p[at] : -1; }

void lex_blanks(struct lexer *l)
{
    while (is_blank(lex_byte_at(l, l->at)))
        l->at++;
}

int lex_peek(struct lexer *l)
{
    lex_blanks(l);
    return lex_byte_at(l, l->at);
}

bool lex_take(struct lexer *l, char c)
{
    bool is = lex_peek(l) == (unsigned char)c;
    l->at += is;
    return is;
}

/* What stands at `at`, as people see it: a bracket, quote, comma or pipe alone, else up to a blank; at most 32 bytes. */
static str seen_at(const struct lexer *l, size_t at)
{
    str rest = str_skip(l->text, at);
    size_t n = 0;
    while (n < rest.n && !is_blank((unsigned char)rest.p[n]))
        n++;
    if (n > 0 && strchr("()|,\"", rest.p[0]))
        n = 1;
    if (n > 32)
        for (n = 32; (rest.p[n] & 0xc0) == 0x80;)
            n--;
    return str_head(rest, n);
}

int lex_expected(const struct lexer *l, size_t at, struct err *e, const char *what, ...)
{
    char expected[240];
    va_list ap;
    va_start(ap, what);
    vsnprintf(expected, sizeof expected, what, ap);
    va_end(ap);
    while (is_blank(lex_byte_at(l, at)))
        at++;
    str got = seen_at(l, at);
    size_t column = lexer_column(l, at);
    if (got.n == 0)
        return err_at(e, column, "expected %s, got the end of the query", expected);
    if (got.p[0] == '|')
        return err_at(e, column, "expected %s, got '|' (text with a | in it goes in double quotes)", expected);
    return err_at(e, column, "expected %s, got '%.*s'", expected, STR_ARG(got));
}

bool lex_is_keyword(struct lexer *l, const char *word)
{
    str rest = (lex_blanks(l), str_skip(l->text, l->at)), key = str_of(word);
    if (!str_starts_nocase(rest, key))
        return false;
    int next = lex_byte_at(l, l->at + key.n);
    return next < 0 || is_blank(next) || (next && strchr("()|\"`", next));
}

bool lex_keyword(struct lexer *l, const char *word)
{
    bool is = lex_is_keyword(l, word);
    l->at += is ? strlen(word) : 0;
    return is;
}

/* Just past the bracket that closes the one at `at`, when it closes before a blank, quote or pipe; else `at`. */
static size_t balanced(const struct lexer *l, size_t at)
{
    size_t open = 0;
    for (size_t i = at; i < l->text.n; i++) {
        int c = lex_byte_at(l, i);
        if (is_blank(c) || c == '"' || c == '|')
            return at;
        open += c == '(';
        open -= c == ')';
        if (open == 0)
            return i + 1;
    }
    return at;
}

str lex_word(struct lexer *l, bool list)
{
    lex_blanks(l);
    size_t start = l->at;
    for (int c; (c = lex_byte_at(l, l->at)) >= 0;) {
        if (is_blank(c) || c == '"' || c == '|' || c == ')' || ((list || l->commas) && c == ','))
            break;
        size_t next = c == '(' ? (l->at > start ? balanced(l, l->at) : l->at) : l->at + 1;
        if (next == l->at)
            break;
        l->at = next;
    }
    return str_n(l->text.p + start, l->at - start);
}

bool lex_is_field_name(str s)
{
    if (s.n == 0 || !is_letter((unsigned char)s.p[0]))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!is_field_byte((unsigned char)s.p[i]))
            return false;
    return true;
}

str lex_field_here(struct lexer *l)
{
    size_t start = l->at, end = start;
    if (lex_byte_at(l, start) == '`') {
        ptrdiff_t n = str_chr(str_skip(l->text, start + 1), '`');
        if (n < 0)
            return (str){NULL, 0};
        l->at = start + (size_t)n + 2;
        return str_n(l->text.p + start + 1, (size_t)n);
    }
    if (!is_letter(lex_byte_at(l, start)))
        return (str){NULL, 0};
    while (end < l->text.n && is_field_byte(lex_byte_at(l, end)))
        end++;
    l->at = end;
    return str_n(l->text.p + start, end - start);
}

int lex_field(struct lexer *l, str *ret, struct err *e)
{
    lex_blanks(l);
    str field = lex_field_here(l);
    if (!field.p)
        return lex_expected(l, l->at, e, "the name of a field");
    *ret = field;
    return 0;
}

int lex_string(struct lexer *l, struct arena *a, str *ret, struct err *e)
{
    lex_blanks(l);
    assert(lex_byte_at(l, l->at) == '"');
    size_t i = l->at + 1, n = 0;
    char *p = arena_alloc(a, l->text.n - l->at);
    for (int c; (c = lex_byte_at(l, i)) != '"'; i++) {
        if (c < 0)
            return err_at(e, lexer_column(l, l->at), "expected a closing '\"' for this one, got the end of the query");
        int next = lex_byte_at(l, i + 1);
        if (c == '\\' && (next == '"' || next == '\\'))
            c = next, i++;
        p[n++] = (char)c;
    }
    l->at = i + 1;
    *ret = str_n(p, n);
    return 0;
}

size_t lex_string_offset(const struct lexer *l, size_t start, size_t offset)
{
    size_t i = start + 1;
    while (offset-- > 0) {
        int next = lex_byte_at(l, i + 1);
        i += lex_byte_at(l, i) == '\\' && (next == '"' || next == '\\') ? 2 : 1;
    }
    return i;
}

void lex_print_string(str s, struct buf *out)
{
    buf_byte(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_byte(out, '\\');
        buf_byte(out, s.p[i]);
    }
    buf_byte(out, '"');
}

void lex_print_field(str s, struct buf *out)
{
    bool plain = lex_is_field_name(s);
    if (!plain)
        buf_byte(out, '`');
    buf_str(out, s);
    if (!plain)
        buf_byte(out, '`');
}
