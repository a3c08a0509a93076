#include "event/regex.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/str.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    REPEAT_MAX = 1000,        /* as in RE2 */
    STEPS_MAX = 500000,       /* some milliseconds */
    HEAP_MAX_KIB = 4096,      /* only where the JIT could not do it */
    COMPILED_MAX = 256 << 10, /* bytes */
};

struct regex {
    pcre2_code *code;
    pcre2_match_context *context;
};

/* ---- the subset ---- */

struct scan {
    str p;
    size_t at;
    struct buf out; /* the pattern as PCRE2 gets it, up to `copied` */
    size_t copied;
};

static int byte_at(const struct scan *s, size_t i) { return i < s->p.n ? (unsigned char)s->p.p[i] : -1; }
static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static bool is_letter(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static int refuse(struct err *e, const char *what)
{
    return err_set(e, ERR_INPUT, "a regular expression here has no %s (RE2 syntax)", what);
}

/* The JIT of PCRE2 10.42 finds no character beyond ASCII for \S, \D and \W, but for [^\s], [^\d] and [^\w]. */
static void rewrite_negated(struct scan *s, int c)
{
    buf_str(&s->out, str_n(s->p.p + s->copied, s->at - s->copied));
    buf_printf(&s->out, "[^\\%c]", c + 'a' - 'A');
    s->copied = s->at + 2;
}

static int check_escape(struct scan *s, bool in_class, struct err *e)
{
    int c = byte_at(s, s->at + 1);
    if (c < 0)
        return err_set(e, ERR_INPUT, "expected a character after the '\\' that ends the regular expression");
    if ((c >= '1' && c <= '9') || c == 'g' || c == 'k')
        return refuse(e, "backreferences");
    bool letter = is_letter(c);
    if (letter && !strchr(in_class ? "dDsSwWafnrtxpP" : "dDsSwWafnrtxpPbBAzQE", c))
        return err_set(e, ERR_INPUT, "'\\%c' is not known %s (RE2 syntax)", c,
                       in_class ? "inside [ ]" : "in a regular expression here");
    if (!in_class && (c == 'S' || c == 'D' || c == 'W'))
        rewrite_negated(s, c);
    s->at += 2;
    if (c == 'Q') { /* literal text up to \E */
        ptrdiff_t end = str_find(str_skip(s->p, s->at), S("\\E"));
        s->at = end < 0 ? s->p.n : s->at + (size_t)end + 2;
    }
    return 0;
}

static int check_class(struct scan *s, struct err *e)
{
    s->at++;
    s->at += byte_at(s, s->at) == '^';
    s->at += byte_at(s, s->at) == ']'; /* first: itself */
    for (int c; (c = byte_at(s, s->at)) != ']';) {
        if (c < 0)
            return 0; /* PCRE2 says it better */
        if (c == '\\' && check_escape(s, true, e) < 0)
            return -1;
        if (c == '[' && byte_at(s, s->at + 1) == ':') {
            int name = byte_at(s, s->at + 2);
            if (!is_letter(name) && name != '^')
                return refuse(e, "such class of characters");
        }
        if (c != '\\')
            s->at++;
    }
    s->at++;
    return 0;
}

/* After "(?": non-capturing, named, flags. */
static int check_group(struct scan *s, struct err *e)
{
    int c = byte_at(s, s->at + 2), next = byte_at(s, s->at + 3);
    if (c == '=' || c == '!')
        return refuse(e, "lookahead");
    if (c == '<' && (next == '=' || next == '!' || next == '*'))
        return refuse(e, "lookbehind");
    if (c == '>')
        return refuse(e, "atomic groups");
    if (c == 'P' && next != '<')
        return refuse(e, "backreferences or recursion");
    if (c == 'R' || c == '&' || c == '+' || is_digit(c) || (c == '-' && is_digit(next)))
        return refuse(e, "recursion");
    if (c == '(')
        return refuse(e, "conditions");
    if (c == ':' || c == '<' || c == 'P') {
        s->at += 3;
        return 0;
    }
    size_t flags = s->at + 2;
    while ((c = byte_at(s, flags)) > 0 && strchr("imsU-", c))
        flags++;
    if (flags == s->at + 2 || (c != ':' && c != ')'))
        return refuse(e, "such '(?' group");
    s->at = flags + 1;
    return 0;
}

/* The largest number of "{n}", "{n,}" or "{n,m}" at s->at; its length, 0 when it is just a brace. */
static size_t repeat_length(const struct scan *s, uint64_t *ret_max)
{
    size_t i = s->at + 1;
    uint64_t number = 0, max = 0;
    if (!is_digit(byte_at(s, i)))
        return 0;
    for (int c; (c = byte_at(s, i)) == ',' || is_digit(c); i++) {
        number = c == ',' ? 0 : number > REPEAT_MAX ? number : number * 10 + (uint64_t)(c - '0');
        max = number > max ? number : max;
    }
    *ret_max = max;
    return byte_at(s, i) == '}' ? i + 1 - s->at : 0;
}

static int check_repeat(struct scan *s, struct err *e)
{
    uint64_t max = 0;
    size_t n = byte_at(s, s->at) == '{' ? repeat_length(s, &max) : 1;
    if (max > REPEAT_MAX)
        return err_set(e, ERR_INPUT, "expected at most %d repeats in { }", REPEAT_MAX);
    s->at += n ? n : 1;
    if (n && byte_at(s, s->at) == '+')
        return refuse(e, "possessive repeats");
    return 0;
}

static int check_subset(struct scan *s, struct err *e)
{
    while (s->at < s->p.n) {
        int c = byte_at(s, s->at), rc = 0;
        if (c == '\\')
            rc = check_escape(s, false, e);
        else if (c == '[')
            rc = check_class(s, e);
        else if (c == '(' && byte_at(s, s->at + 1) == '?')
            rc = check_group(s, e);
        else if (c == '(' && byte_at(s, s->at + 1) == '*')
            rc = refuse(e, "verbs like (*…)");
        else if (strchr("*+?{", c) && c)
            rc = check_repeat(s, e);
        else
            s->at++;
        if (rc < 0)
            return -1;
    }
    buf_str(&s->out, str_skip(s->p, s->copied));
    return 0;
}

/* ---- PCRE2 ---- */

static pcre2_code *compile(str pattern, int *ret_code, size_t *ret_at)
{
    pcre2_compile_context *c = pcre2_compile_context_create(NULL);
    if (!c)
        abort();
    pcre2_set_newline(c, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(c, LIMIT_QUERY_DEPTH);
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C |
                       PCRE2_NO_AUTO_CAPTURE;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, options, ret_code, ret_at, c);
    pcre2_compile_context_free(c);
    return code;
}

/* Checked and rewritten; a place is one of the pattern as it came. */
static pcre2_code *compile_subset(str pattern, size_t *ret_at, struct err *e)
{
    struct scan s = {.p = pattern, .out = BUF_INIT(4 * LIMIT_REGEX)};
    int code = 0;
    pcre2_code *compiled = NULL;
    if (check_subset(&s, e) < 0) {
        *ret_at = s.at;
        goto out;
    }
    compiled = compile(s.out.p ? buf_view(&s.out) : S(""), &code, ret_at);
    if (!compiled && (compiled = compile(pattern, &code, ret_at)) == NULL) {
        PCRE2_UCHAR why[160];
        pcre2_get_error_message(code, why, sizeof why);
        (void)err_set(e, ERR_INPUT, "this regular expression is wrong: %s", (const char *)why);
    }
out:
    buf_done(&s.out);
    return compiled;
}

int regex_compile(str pattern, struct regex **ret, size_t *ret_at, struct err *e)
{
    size_t size = 0;
    *ret_at = 0;
    if (pattern.n > LIMIT_REGEX)
        return err_set(e, ERR_INPUT, "expected a regular expression of at most %u bytes, got %zu", LIMIT_REGEX,
                       pattern.n);
    pcre2_code *code = compile_subset(pattern.p ? pattern : S(""), ret_at, e);
    if (!code)
        return -1;
    struct regex *r = xcalloc(1, sizeof *r);
    r->code = code;
    r->context = pcre2_match_context_create(NULL);
    if (!r->context)
        abort();
    pcre2_set_match_limit(r->context, STEPS_MAX);
    pcre2_set_heap_limit(r->context, HEAP_MAX_KIB);
    (void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it the interpreter does the work */
    (void)pcre2_pattern_info(r->code, PCRE2_INFO_SIZE, &size);
    if (size > COMPILED_MAX) {
        regex_free(r);
        return err_set(e, ERR_INPUT, "this regular expression is too large: %zu bytes when compiled, %d are allowed",
                       size, COMPILED_MAX);
    }
    *ret = r;
    return 0;
}

void regex_free(struct regex *r)
{
    if (!r)
        return;
    pcre2_match_context_free(r->context);
    pcre2_code_free(r->code);
    free(r);
}

static void *take(PCRE2_SIZE n, void *arena) { return arena_alloc(arena, n); }
static void leave(void *p, void *arena) { (void)p, (void)arena; }

static bool match(const struct regex *r, str text, pcre2_match_data *data, bool *gave_up)
{
    PCRE2_SPTR p = (PCRE2_SPTR)(text.p ? text.p : "");
    int rc = pcre2_match(r->code, p, text.n, 0, 0, data, r->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(r->code, p, text.n, 0, PCRE2_NO_JIT, data, r->context);
    if (rc < PCRE2_ERROR_NOMATCH)
        *gave_up = true;
    return rc >= 0;
}

bool regex_match(const struct regex *r, str text, struct arena *a, bool *gave_up)
{
    pcre2_general_context *memory = pcre2_general_context_create(take, leave, a);
    return match(r, text, pcre2_match_data_create(1, memory), gave_up);
}

bool regex_groups(const struct regex *r, str text, str *ret, size_t n, struct arena *a, bool *gave_up)
{
    pcre2_general_context *memory = pcre2_general_context_create(take, leave, a);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(r->code, memory);
    if (!match(r, text, data, gave_up))
        return false;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
    size_t there = pcre2_get_ovector_count(data);
    for (size_t i = 1; i <= n; i++) {
        bool has = i < there && at[2 * i] != PCRE2_UNSET && at[2 * i + 1] >= at[2 * i];
        ret[i - 1] = has ? str_n(text.p + at[2 * i], at[2 * i + 1] - at[2 * i]) : (str){NULL, 0};
    }
    return true;
}

size_t regex_count(const struct regex *r)
{
    uint32_t n = 0;
    (void)pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &n);
    return n;
}

/* Entries of the table are two bytes of a number and a name that ends with NUL. */
const char *regex_name(const struct regex *r, size_t i)
{
    uint32_t n = 0, size = 0;
    PCRE2_SPTR table = NULL;
    (void)pcre2_pattern_info(r->code, PCRE2_INFO_NAMECOUNT, &n);
    (void)pcre2_pattern_info(r->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    (void)pcre2_pattern_info(r->code, PCRE2_INFO_NAMETABLE, &table);
    for (uint32_t k = 0; k < n; k++, table += size)
        if (((size_t)table[0] << 8 | table[1]) == i)
            return (const char *)table + 2;
    return NULL;
}
