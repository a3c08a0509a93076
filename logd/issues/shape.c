/* issues/shape.c - see shape.h.
 *
 * One pass by classes of bytes: a table says what each byte is, a word gathers the classes it has seen, and only words
 * with a digit or another mark of a value are looked at twice. No regular expressions. */
#include "issues/shape.h"
#include "base/str.h"

enum {
    DIGIT = 1,  /* 0-9 */
    HEX = 2,    /* a-f A-F */
    LETTER = 4, /* the other letters, _ and all above ASCII */
    BREAK = 8,  /* stands alone */
    BLANK = 16,
    DOT = 32,
    COLON = 64,
    OTHER = 128 /* what may be inside a word: / - + @ % # ... */
};

static const uint8_t classes[256] = {
    [0 ... 32] = BLANK,     ['0' ... '9'] = DIGIT, ['a' ... 'f'] = HEX,    ['A' ... 'F'] = HEX, ['g' ... 'z'] = LETTER,
    ['G' ... 'Z'] = LETTER, ['_'] = LETTER,        [127 ... 255] = LETTER, ['.'] = DOT,         [':'] = COLON,
    ['='] = BREAK,          [','] = BREAK,         [';'] = BREAK,          ['('] = BREAK,       [')'] = BREAK,
    ['['] = BREAK,          [']'] = BREAK,         ['{'] = BREAK,          ['}'] = BREAK,       ['"'] = BREAK,
    ['<'] = BREAK,          ['>'] = BREAK,         ['|'] = BREAK,          ['!'] = BREAK,       ['?'] = BREAK,
    ['\''] = BREAK,         ['`'] = BREAK,         ['#'] = OTHER,          ['$'] = OTHER,       ['%'] = OTHER,
    ['&'] = OTHER,          ['*'] = OTHER,         ['+'] = OTHER,          ['-'] = OTHER,       ['/'] = OTHER,
    ['@'] = OTHER,          ['\\'] = OTHER,        ['^'] = OTHER,          ['~'] = OTHER,
};
enum { QUOTE_MAX = 120 };
#define VALUE_HASH TOKEN_VALUE_HASH

static inline uint8_t class_of(char c) { return classes[(unsigned char)c]; }
static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool is_alpha(char c) { return class_of(c) & (HEX | LETTER); }
static inline bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

static inline uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static uint64_t hash_text(str s)
{
    uint64_t h = s.n * 0x9e3779b97f4a7c15u, last = 0;
    while (s.n >= 8) {
        h = mix(h, load8(s.p));
        s = (str){s.p + 8, s.n - 8};
    }
    for (size_t i = 0; i < s.n; i++)
        last = last << 8 | (unsigned char)s.p[i];
    return mix(h, last);
}

static bool among(str s, const str *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].n == s.n && str_eq_nocase(s, list[i]))
            return true;
    return false;
}
#define AMONG(s, list) among(s, list, LENGTH(list))

/* ---- is a word a value? ---- */
static bool is_unit(str s)
{
    static const str units[] = {
        S("ms"),      S("s"),     S("sec"),          S("secs"),         S("second"), S("seconds"), S("us"),
        S("ns"),      S("msec"),  S("msecs"),        S("usec"),         S("min"),    S("mins"),    S("minute"),
        S("minutes"), S("h"),     S("hour"),         S("hours"),        S("day"),    S("days"),    S("b"),
        S("byte"),    S("bytes"), S("kb"),           S("mb"),           S("gb"),     S("tb"),      S("kib"),
        S("mib"),     S("gib"),   S("tib"),          S("kbytes"),       S("mbytes"), S("hz"),      S("khz"),
        S("mhz"),     S("ghz"),   S("mb/s"),         S("kb/s"),         S("%"),      S("bps"),     S("kbps"),
        S("mbps"),    S("gbps"),  S("milliseconds"), S("microseconds"), S("millis")};
    return s.n <= 12 && AMONG(s, units);
}

static bool is_date_word(str s)
{
    static const str names[] = {S("jan"), S("feb"), S("mar"), S("apr"),  S("may"), S("jun"), S("jul"),
                                S("aug"), S("sep"), S("oct"), S("nov"),  S("dec"), S("mon"), S("tue"),
                                S("wed"), S("thu"), S("fri"), S("sat"),  S("sun"), S("utc"), S("gmt"),
                                S("pst"), S("pdt"), S("cet"), S("cest"), S("est"), S("edt")};
    return (s.n == 3 || s.n == 4) && is_upper(s.p[0]) && AMONG(s, names);
}

/* Names with digits that say something. */
static bool is_known_name(str s)
{
    static const str names[] = {S("utf-8"),   S("utf8"),    S("utf-16"),   S("utf16"),    S("iso-8859-1"), S("sha1"),
                                S("sha-1"),   S("sha256"),  S("sha-256"),  S("sha512"),   S("md5"),        S("base64"),
                                S("ipv4"),    S("ipv6"),    S("http/1.1"), S("http/1.0"), S("http/2"),     S("tlsv1"),
                                S("tlsv1.2"), S("tlsv1.3"), S("s3"),       S("x509"),     S("x.509"),      S("oauth2"),
                                S("x86_64"),  S("x86"),     S("i386"),     S("int32"),    S("int64"),      S("uint32"),
                                S("uint64"),  S("aes128"),  S("aes256"),   S("crc32"),    S("http2"),      S("http/3"),
                                S("802.1x"),  S("nat64"),   S("e2e"),      S("k8s"),      S("i18n"),       S("amd64"),
                                S("win32"),   S("win64"),   S("arm64"),    S("mp3"),      S("mp4"),        S("h264")};
    return s.n <= 10 && AMONG(s, names);
}

static bool ends_in_tld(str s)
{
    static const str tlds[] = {S("com"),      S("net"), S("org"),         S("edu"), S("gov"), S("io"), S("local"),
                               S("internal"), S("lan"), S("info"),        S("cn"),  S("de"),  S("uk"), S("fr"),
                               S("nl"),       S("ru"),  S("jp"),          S("br"),  S("tw"),  S("it"), S("eu"),
                               S("us"),       S("biz"), S("localdomain"), S("kr"),  S("in"),  S("ca"), S("au"),
                               S("pl"),       S("dev"), S("arpa"),        S("mil"), S("ch"),  S("se")};
    size_t at = s.n;
    while (at > 0 && s.p[at - 1] != '.')
        at--;
    return at > 1 && AMONG(str_skip(s, at), tlds);
}

/* "name-12", "blk_-17", "part.3": a name, then a separator, then a number or hex with a digit to the end */
static bool ends_in_number(str s)
{
    size_t at = s.n, digits = 0, ext = s.n;
    while (ext > 0 && (class_of(s.p[ext - 1]) & (LETTER | HEX)))
        ext--;
    if (ext > 2 && s.n - ext <= 4 && s.n > ext && s.p[ext - 1] == '.' && is_digit(s.p[ext - 2]))
        at = ext - 1; /* "part-3.xml" */
    size_t end = at;
    while (at > 0 && (class_of(s.p[at - 1]) & (DIGIT | HEX))) {
        digits += is_digit(s.p[at - 1]);
        at--;
    }
    if (at == 0 || digits == 0 || (digits < end - at && end - at < 4))
        return false;
    char c = s.p[at - 1];
    return c == '-' || c == '_' || c == '#' || c == '/' || c == '@' || c == ':' || c == '.';
}

static bool word_is_value(str s);

static bool has_digit_value(str s, size_t digits, uint8_t seen)
{
    if (!(seen & (HEX | LETTER)))
        return true; /* numbers, times, addresses, dates */
    if (is_known_name(s))
        return false;
    if (s.n > 1 && strchr("@#~$+-&*", s.p[0])) {
        s = str_skip(s, 1);
        if (word_is_value(s))
            return true;
    }
    if (s.p[0] == '0' && s.n > 2 && (s.p[1] | 32) == 'x')
        return true;
    if (!(seen & LETTER) && s.n >= 4)
        return true; /* hex, uuid, MAC */
    if (is_digit(s.p[0]) || ((s.p[0] == '-' || s.p[0] == '+') && is_digit(s.p[1])))
        return true; /* a number and its unit */
    if (digits * 10 >= s.n * 3 && s.n >= 4)
        return true;
    return ends_in_number(s);
}

/* `seen` holds the classes of its bytes. */
static bool is_value(str s, size_t digits, uint8_t seen)
{
    if (digits && has_digit_value(s, digits, seen))
        return true;
    if (!(seen & (LETTER | OTHER | DIGIT | COLON | DOT)) && s.n >= 8)
        return digits > 0 || s.n % 8 == 0; /* hex without a digit */
    if (seen & OTHER) {
        ptrdiff_t at = str_chr(s, '@'), slash = str_chr(s, '/');
        if (at > 0 && (size_t)at + 1 < s.n)
            return true; /* an address, an object and its place */
        if (slash == 0 && s.n > 1)
            return true;
        if (slash > 0 && (digits || (seen & DOT)) && str_chr(str_skip(s, (size_t)slash + 1), '/') >= 0)
            return true;
    }
    if ((seen & DOT) && (seen & (LETTER | HEX)) && !(seen & COLON) && ends_in_tld(s))
        return true;
    if (digits && (seen & DOT) && str_chr(str_skip(s, (size_t)str_chr(s, '.') + 1), '.') >= 0)
        return true; /* three labels and a digit: a host */
    return s.n == 9 && str_eq_nocase(s, S("localhost"));
}

static bool word_is_value(str s)
{
    uint8_t seen = 0;
    size_t digits = 0;
    for (size_t i = 0; i < s.n; i++) {
        seen |= class_of(s.p[i]);
        digits += is_digit(s.p[i]);
    }
    return s.n && is_value(s, digits, seen);
}

/* ---- tokens ---- */
static void put(struct shape *s, str message, size_t at, size_t n, enum token_kind kind)
{
    if (s->n == SHAPE_TOKENS || n == 0)
        return;
    struct token *t = &s->t[s->n++];
    *t = (struct token){.kind = (uint8_t)kind,
                        .glued = at > 0 && class_of(message.p[at - 1]) != BLANK,
                        .at = (uint32_t)at,
                        .n = (uint32_t)n};
    t->mark = kind == TOKEN_MARK ? message.p[at] : 0;
    t->hash = kind == TOKEN_VALUE ? VALUE_HASH : hash_text(str_n(message.p + at, n)) ^ (uint64_t)kind << 56;
}

static bool mark_is(const struct token *t, char c) { return t->kind == TOKEN_MARK && t->mark == c; }

/* A path or URL goes on to the blank, or to what cannot be of it. */
static size_t end_of_path(str m, size_t i)
{
    int depth = 0;
    while (i < m.n && class_of(m.p[i]) != BLANK && !strchr("\"'<>|,;`", m.p[i])) {
        depth += m.p[i] == '(' || m.p[i] == '[' || m.p[i] == '{';
        depth -= m.p[i] == ')' || m.p[i] == ']' || m.p[i] == '}';
        if (depth < 0)
            break;
        i++;
    }
    while (i > 0 && strchr(".:", m.p[i - 1]))
        i--;
    return i;
}

/* "web:443" is one token, for a host or key without its number. */
static bool put_pair(struct shape *s, str m, size_t at, size_t end)
{
    size_t colon = at, digits;
    while (colon < end && m.p[colon] != ':')
        colon++;
    digits = end - colon - 1;
    if (colon == at || colon + 1 >= end || digits > 5)
        return false;
    for (size_t i = colon + 1; i < end; i++)
        if (!is_digit(m.p[i]))
            return false;
    if (word_is_value(str_n(m.p + at, colon - at))) {
        put(s, m, at, end - at, TOKEN_VALUE);
    } else {
        put(s, m, at, colon - at, TOKEN_PAIR);
    }
    return true;
}

/* Splits "a:b:c" where the whole is no value. */
static void put_parts(struct shape *s, str m, size_t at, size_t end)
{
    if (put_pair(s, m, at, end))
        return;
    while (at < end) {
        size_t i = at;
        while (i < end && m.p[i] != ':')
            i++;
        if (i > at)
            put(s, m, at, i - at, word_is_value(str_n(m.p + at, i - at)) ? TOKEN_VALUE : TOKEN_WORD);
        at = i;
        while (at < end && m.p[at] == ':')
            at++;
        put(s, m, i, at - i, TOKEN_MARK);
    }
}

static bool starts_path(str m, size_t i, size_t end)
{
    if ((m.p[i] == '/' && end - i > 1) || (end - i >= 2 && m.p[i] == '\\' && m.p[i + 1] == '\\'))
        return true;
    if (end - i >= 3 && m.p[i + 1] == ':' && m.p[i + 2] == '\\' && is_alpha(m.p[i]))
        return true;
    ptrdiff_t scheme = str_find(str_n(m.p + i, end - i), S("://"));
    return scheme > 0;
}

static size_t put_word(struct shape *s, str m, size_t i)
{
    size_t end = i, digits = 0;
    uint8_t seen = 0;
    for (; end < m.n; end++) {
        uint8_t c = class_of(m.p[end]);
        if (c & (BLANK | BREAK)) {
            if (m.p[end] == '\'' && end > i && end + 1 < m.n && is_alpha(m.p[end - 1]) && is_alpha(m.p[end + 1]))
                continue; /* "can't" */
            break;
        }
        if (c == DOT && end + 1 < m.n && m.p[end + 1] == '.')
            break;
        digits += c == DIGIT;
        seen |= c;
    }
    size_t word = end;
    while (word > i + 1 && (m.p[word - 1] == ':' || m.p[word - 1] == '.'))
        word--;
    if ((seen & OTHER) && starts_path(m, i, end)) {
        size_t path = end_of_path(m, i);
        if (path > i) {
            put(s, m, i, path - i, TOKEN_VALUE);
            return path;
        }
    }
    str w = str_n(m.p + i, word - i);
    if (!(seen & (DIGIT | OTHER | COLON | DOT)) && (seen & LETTER) && w.n != 9)
        put(s, m, i, w.n, TOKEN_WORD);
    else if (is_value(w, digits, seen) && !((seen & LETTER) && str_chr(w, ':') > 0 && is_alpha(w.p[0])))
        put(s, m, i, w.n, TOKEN_VALUE);
    else
        put_parts(s, m, i, word);
    i = word;
    while (i < end && m.p[i] == '.')
        i++; /* the end of a sentence */
    size_t colon = i;
    while (i < end && (m.p[i] == ':' || m.p[i] == '.'))
        i++;
    if (i > colon)
        put(s, m, colon, 1, TOKEN_MARK);
    return i;
}

/* A quoted text: 0, or where it ends. */
static size_t put_quote(struct shape *s, str m, size_t i)
{
    char q = m.p[i];
    size_t end = i + 1, limit = i + QUOTE_MAX < m.n ? i + QUOTE_MAX : m.n;
    while (end < limit && m.p[end] != q && !(q == '`' && m.p[end] == '\''))
        end++;
    if (i > 0 && !(class_of(m.p[i - 1]) & (BLANK | BREAK | COLON)))
        return 0; /* one that closes */
    if (end >= limit || (end + 1 < m.n && (class_of(m.p[end + 1]) & (LETTER | HEX | DIGIT))))
        return 0;
    str in = str_n(m.p + i + 1, end - i - 1);
    bool value = in.n == 0;
    for (size_t k = 0; k < in.n; k++)
        value |= is_digit(in.p[k]) || in.p[k] == '/' || in.p[k] == '\\' || in.p[k] == '@';
    if (value && str_chr(in, ' ') >= 0)
        return 0; /* what is said of values is read on its own */
    if (!is_known_name(in) && (value || word_is_value(in)))
        put(s, m, i, end + 1 - i, TOKEN_VALUE);
    else
        put(s, m, i, end + 1 - i, TOKEN_QUOTE);
    return end + 1;
}

/* The texts of strerror and the like: which one came is a value. */
static size_t cause_at(str m, size_t i)
{
    static const str causes[] = {S("Connection refused"),
                                 S("Connection reset by peer"),
                                 S("Connection reset"),
                                 S("Connection timed out"),
                                 S("No such file or directory"),
                                 S("Permission denied"),
                                 S("Operation not permitted"),
                                 S("Broken pipe"),
                                 S("No route to host"),
                                 S("Network is unreachable"),
                                 S("Host is down"),
                                 S("Network is down"),
                                 S("Input/output error"),
                                 S("Too many open files"),
                                 S("Cannot allocate memory"),
                                 S("Invalid argument"),
                                 S("No space left on device"),
                                 S("Resource temporarily unavailable"),
                                 S("Address already in use"),
                                 S("Operation timed out"),
                                 S("Bad file descriptor"),
                                 S("File exists"),
                                 S("Is a directory"),
                                 S("Not a directory"),
                                 S("Device or resource busy"),
                                 S("Interrupted system call"),
                                 S("Success"),
                                 S("Transport endpoint is not connected"),
                                 S("Cannot assign requested address"),
                                 S("Operation not supported"),
                                 S("Operation now in progress"),
                                 S("Connection aborted"),
                                 S("Software caused connection abort"),
                                 S("Read-only file system"),
                                 S("Stale file handle"),
                                 S("Exec format error"),
                                 S("No child processes"),
                                 S("Block device required"),
                                 S("No such process"),
                                 S("No such device or address"),
                                 S("No such device"),
                                 S("Bad address"),
                                 S("Directory not empty"),
                                 S("File too large"),
                                 S("Name or service not known"),
                                 S("Temporary failure in name resolution"),
                                 S("Function not implemented"),
                                 S("Disk quota exceeded"),
                                 S("Protocol not available"),
                                 S("Protocol error"),
                                 S("Message too long"),
                                 S("Value too large"),
                                 S("Text file busy"),
                                 S("Illegal seek"),
                                 S("Invalid cross-device link"),
                                 S("No buffer space available"),
                                 S("Argument list too long"),
                                 S("Unknown error"),
                                 S("certificate verify failed"),
                                 S("certificate has expired"),
                                 S("Operation already in progress"),
                                 S("No data available"),
                                 S("Destination address required"),
                                 S("Socket operation on non-socket"),
                                 S("Key has expired")};
    if (!is_upper(m.p[i]) && m.p[i] != 'c')
        return 0;
    str rest = str_n(m.p + i, m.n - i);
    for (size_t k = 0; k < LENGTH(causes); k++)
        if (rest.p[0] == causes[k].p[0] && str_starts(rest, causes[k]) &&
            (rest.n == causes[k].n || !(class_of(rest.p[causes[k].n]) & (LETTER | HEX | DIGIT))))
            return i + causes[k].n;
    return 0;
}

void shape_read(str m, struct shape *ret)
{
    ptrdiff_t newline = str_chr(m, '\n');
    m = str_head(newline > 0 ? str_head(m, (size_t)newline) : m, SHAPE_BYTES);
    ret->n = 0;
    for (size_t i = 0, next; i < m.n && ret->n < SHAPE_TOKENS;) {
        char c = m.p[i];
        uint8_t k = class_of(c);
        if (k == BLANK) {
            i++;
        } else if ((c == '"' || c == '\'' || c == '`') && (next = put_quote(ret, m, i)) > 0) {
            i = next;
        } else if (k == BREAK || k == DOT || k == COLON) {
            for (next = i + 1; next < m.n && m.p[next] == c && (k & (DOT | COLON)); next++)
                ;
            if (k != DOT || next > i + 1 ||
                (next < m.n && class_of(m.p[next]) != BLANK)) /* not the end of a sentence */
                put(ret, m, i, 1, TOKEN_MARK);
            i = next;
        } else if ((next = cause_at(m, i)) > 0) {
            put(ret, m, i, next - i, TOKEN_CAUSE);
            i = next;
        } else {
            i = put_word(ret, m, i);
        }
    }
    /* "12 ms", "Sat Jun 18 02:08:12 2005": words that belong to a value beside them */
    for (size_t i = 0; i < ret->n; i++) {
        struct token *t = &ret->t[i];
        if (t->kind != TOKEN_WORD)
            continue;
        str w = str_n(m.p + t->at, t->n);
        static const str states[] = {S("true"), S("false"), S("null"), S("nil"), S("none")};
        bool set = i > 0 && (mark_is(&ret->t[i - 1], '=') || (mark_is(&ret->t[i - 1], ':') && t->glued)) &&
                   AMONG(w, states);
        bool unit = i > 0 && ret->t[i - 1].kind == TOKEN_VALUE && is_unit(w);
        if (unit || set ||
            (is_date_word(w) &&
             ((i > 0 && ret->t[i - 1].kind == TOKEN_VALUE) || (i + 1 < ret->n && ret->t[i + 1].kind == TOKEN_VALUE) ||
              (i + 2 < ret->n && ret->t[i + 2].kind == TOKEN_VALUE &&
               is_date_word(str_n(m.p + ret->t[i + 1].at, ret->t[i + 1].n)))))) {
            t->kind = TOKEN_VALUE;
            t->hash = VALUE_HASH;
        }
    }
    shape_settle(ret);
}

/* ---- values that stand together ---- */
static bool joins(const struct token *t)
{
    return mark_is(t, ',') || mark_is(t, ':') || mark_is(t, '.') || mark_is(t, '<') || mark_is(t, '>');
}

static void widen(struct token *a, const struct token *b) { a->n = b->at + b->n - a->at; }

void shape_settle(struct shape *s)
{
    size_t n = 0;
    struct token *o = s->t;
    for (size_t i = 0; i < s->n; i++) {
        struct token t = s->t[i];
        if (t.kind == TOKEN_VALUE) {
            if (n && mark_is(&o[n - 1], '<') && t.glued && !o[n - 1].glued &&
                !(i + 1 < s->n && mark_is(&s->t[i + 1], '>')))
                n--; /* "<1 sec" */
            if (n && o[n - 1].kind == TOKEN_VALUE) {
                widen(&o[n - 1], &t);
                continue;
            }
            if (n && o[n - 1].mark == ':' && t.glued && !o[n - 1].glued)
                n--; /* "::ffff:10.0.0.1" */
            if (n > 1 && o[n - 2].kind == TOKEN_VALUE && joins(&o[n - 1])) {
                widen(&o[n - 2], &t);
                n--;
                continue;
            }
        }
        if (mark_is(&t, ')') && n > 1 && mark_is(&o[n - 1], '(') && o[n - 2].kind == TOKEN_VALUE) {
            n--; /* <*> () */
            widen(&o[n - 1], &t);
            continue;
        }
        if (mark_is(&t, ')') && n > 2 && o[n - 1].kind == TOKEN_VALUE && mark_is(&o[n - 2], '(') &&
            o[n - 3].kind == TOKEN_VALUE) {
            n -= 2; /* <*> (<*>) */
            widen(&o[n - 1], &t);
            continue;
        }
        if (mark_is(&t, '}') && n > 3 && o[n - 1].kind == TOKEN_VALUE && mark_is(&o[n - 2], '{') && o[n - 2].glued &&
            o[n - 3].kind == TOKEN_WORD && mark_is(&o[n - 4], '=')) {
            n -= 2; /* "by=User{7}" */
            o[n - 1].kind = TOKEN_VALUE;
            o[n - 1].hash = VALUE_HASH;
            o[n - 1].enough = 0;
            widen(&o[n - 1], &t);
            continue;
        }
        o[n++] = t;
    }
    s->n = n;
    s->hash = 0;
    for (size_t i = 0; i < n; i++)
        s->hash = mix(s->hash, o[i].hash) + i;
}

/* ---- how soon a place is a value ---- */
static bool ends_as_verb(str w)
{
    static const str ends[] = {S("ed"), S("ing"), S("tion"), S("able"), S("ible"), S("sion")};
    for (size_t i = 0; i < LENGTH(ends); i++)
        if (w.n > ends[i].n + 2 && str_ends(w, ends[i]))
            return true;
    return false;
}

static bool is_cue(str w)
{
    static const str cues[] = {S("user"), S("host"), S("from"),     S("port"),     S("rhost"),     S("ruser"),
                               S("file"), S("node"), S("username"), S("hostname"), S("logname"),   S("address"),
                               S("addr"), S("db"),   S("table"),    S("database"), S("directory"), S("path")};
    return w.n <= 10 && AMONG(w, cues);
}

static uint8_t weigh(str m, const struct shape *s, size_t i)
{
    const struct token *t = &s->t[i], *before = i ? t - 1 : NULL, *after = i + 1 < s->n ? t + 1 : NULL;
    str w = str_n(m.p + t->at, t->n);
    bool odd = false, caps = true;
    static const str methods[] = {S("GET"), S("POST"), S("PUT"), S("DELETE"), S("HEAD"), S("PATCH"), S("OPTIONS")};
    if (t->kind == TOKEN_VALUE || t->kind == TOKEN_MARK)
        return 0;
    if (t->kind == TOKEN_CAUSE || t->kind == TOKEN_PAIR)
        return 2;
    if (t->kind == TOKEN_QUOTE)
        return after && mark_is(after, ':') && after->glued && before && before->kind == TOKEN_MARK ? 0 /* a JSON key */
                                                                                                    : 3;
    for (size_t k = 0; k < w.n; k++) {
        odd |= (class_of(w.p[k]) & (DIGIT | DOT)) || w.p[k] == '/' || w.p[k] == '\\';
        caps &= is_upper(w.p[k]) || w.p[k] == '_' || w.p[k] == '-';
    }
    if (AMONG(w, methods))
        return 0;
    if (odd)
        return 3;
    bool named = before && before->kind == TOKEN_WORD; /* "cannot open shop: why", not "why: ..." */
    if (after && (mark_is(after, '=') ||
                  (mark_is(after, ':') && after->glued && (!named || (i + 2 < s->n && s->t[i + 2].glued)))))
        return 0;
    if (i == 0)
        return 12;
    if (ends_as_verb(w))
        return 12;
    if (before && (mark_is(before, '=') || mark_is(before, '[')))
        return 3;
    if (before && after && mark_is(before, '(') && mark_is(after, ')'))
        return 3;
    if (before && before->kind == TOKEN_WORD && is_cue(str_n(m.p + before->at, before->n)))
        return 2;
    return caps && w.n > 1 ? 6 : 4;
}

void shape_weigh(str m, struct shape *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->t[i].enough = weigh(m, s, i);
}

void shape_print(str m, const struct shape *s, struct buf *out)
{
    size_t end = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct token *t = &s->t[i];
        if (i && t->at > end)
            buf_byte(out, ' ');
        if (t->kind == TOKEN_VALUE)
            buf_lit(out, "<*>");
        else
            buf_str(out, str_n(m.p + t->at, t->n));
        if (t->kind == TOKEN_PAIR)
            buf_lit(out, ":<*>");
        end = t->at + t->n;
        if (t->kind == TOKEN_PAIR) /* and its number */
            for (end++; end < m.n && is_digit(m.p[end]); end++)
                ;
    }
}
