#include "event/json.h"
#include "base/arena.h"
#include "base/file.h"
#include "unit.h"

#include <dirent.h>
#include <jansson.h>
#include <sys/resource.h>
#include <time.h>

/* ---- JSONTestSuite ---- */

static str slurp(const char *path)
{
    static char bytes[1 << 20];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        fclose(f);
    return (str){bytes, n};
}

/* A copy that ends where the text ends, so that the sanitizer sees a read past it. */
static bool valid(str text)
{
    char *p = malloc(text.n ? text.n : 1);
    memcpy(p, text.p, text.n);
    bool ok = json_valid((str){p, text.n}, 512);
    free(p);
    return ok;
}

TEST(json_test_suite_is_decided_as_it_says)
{
    char dir[512], path[1024];
    const char *shared = getenv("LOGD_SHARED");
    int y = 0, n = 0, i = 0;
    snprintf(dir, sizeof dir, "%s/data/json/JSONTestSuite", shared ? shared : "../shared");
    DIR *d = opendir(dir);
    if (!d) {
        printf("skip: no %s (set LOGD_SHARED)\n", dir);
        return;
    }
    for (struct dirent *f; (f = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        if (f->d_name[0] == '.' || f->d_name[1] != '_')
            continue;
        bool ok = valid(slurp(path));
        y += f->d_name[0] == 'y', n += f->d_name[0] == 'n', i += f->d_name[0] == 'i';
        if ((f->d_name[0] == 'y' && !ok) || (f->d_name[0] == 'n' && ok)) {
            printf("%s was %s\n", f->d_name, ok ? "accepted" : "refused");
            unit_failed = true;
        }
    }
    closedir(d);
    CHECK(y >= 90 && n >= 180 && i >= 30);
}

/* ---- the same as jansson, on random documents ---- */

static uint64_t seed;
static uint32_t rnd(uint32_t below)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)((seed >> 11) % below);
}

static void random_text(struct buf *b)
{
    static const char *const pieces[] = {"a",
                                         "bc",
                                         "longer text without anything",
                                         "\\n",
                                         "\\\"",
                                         "\\\\",
                                         "\\/",
                                         "\\u0041",
                                         "\\u00e9",
                                         "\\u20AC",
                                         "\\ud83d\\uDE00",
                                         "é",
                                         "漢字",
                                         "😀",
                                         " ",
                                         "\\t",
                                         "{",
                                         "]",
                                         "\x7f"};
    buf_byte(b, '"');
    for (uint32_t i = rnd(6); i > 0; i--)
        buf_str(b, str_of(pieces[rnd(LENGTH(pieces))]));
    buf_byte(b, '"');
}

static void random_blank(struct buf *b)
{
    static const char *const blank[] = {"", "", "", " ", "\n", "\r\n", "\t", "   "};
    buf_str(b, str_of(blank[rnd(LENGTH(blank))]));
}

static void random_value(struct buf *b, int depth)
{
    static const char *const numbers[] = {"0",   "-0",      "1", "-12", "1.0", "1e3", "2.5E-3", "9223372036854775807",
                                          "0.1", "-1.5e+10"};
    uint32_t kind = rnd(depth > 0 ? 8 : 6), n = rnd(5);
    random_blank(b);
    switch (kind) {
    case 0: buf_lit(b, "null"); break;
    case 1: buf_lit(b, "true"); break;
    case 2: buf_lit(b, "false"); break;
    case 3: buf_str(b, str_of(numbers[rnd(LENGTH(numbers))])); break;
    case 4:
    case 5: random_text(b); break;
    default:
        buf_byte(b, kind == 6 ? '[' : '{');
        for (uint32_t i = 0; i < n; i++) {
            if (i)
                buf_byte(b, ',');
            if (kind == 7) {
                random_blank(b);
                random_text(b);
                random_blank(b);
                buf_byte(b, ':');
            }
            random_value(b, depth - 1);
        }
        random_blank(b);
        buf_byte(b, kind == 6 ? ']' : '}');
    }
    random_blank(b);
}

/* The value that the scanner is about to give, built as jansson would build it. */
static json_t *built(struct json *j, enum json_kind kind, const struct json_token *t)
{
    struct json_token in;
    char text[4096], name[4096];
    json_t *v;
    switch (kind) {
    case J_NULL: return json_null();
    case J_FALSE: return json_false();
    case J_TRUE: return json_true();
    case J_STRING: return json_stringn(text, json_decode(t->raw, text));
    case J_NUMBER:
        memcpy(text, t->raw.p, t->raw.n);
        text[t->raw.n] = '\0';
        return strpbrk(text, ".eE") ? json_real(strtod(text, NULL)) : json_integer(strtoll(text, NULL, 10));
    case J_ARRAY:
    case J_OBJECT:
        v = kind == J_ARRAY ? json_array() : json_object();
        while ((kind = json_next(j, &in)) != J_CLOSE) {
            CHECK(kind != J_ERROR && kind != J_END);
            if (kind == J_ERROR || kind == J_END)
                break;
            if (json_is_array(v)) {
                json_array_append_new(v, built(j, kind, &in));
                continue;
            }
            name[json_decode(in.name, name)] = '\0';
            json_object_set_new(v, name, built(j, kind, &in));
        }
        return v;
    default: return NULL;
    }
}

TEST(random_documents_read_as_jansson_reads_them)
{
    struct buf b = BUF_INIT(1 << 20);
    seed = (uint64_t)time(NULL) * 2654435761u + 88172645463325252u;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 20000 && !unit_failed; round++) {
        struct json j;
        struct json_token t;
        buf_reset(&b);
        random_value(&b, 5);
        bool broken = rnd(2);
        if (broken && b.n) { /* the verdict must be the same for what is nearly right */
            static const char junk[] = "{}[],:\"\\0-e.tx \n\x01\xff";
            b.p[rnd((uint32_t)b.n)] = junk[rnd(sizeof junk - 1)];
        }
        json_t *want = json_loadb(b.p, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        json_init(&j, buf_view(&b), 64);
        enum json_kind kind = json_next(&j, &t);
        if (want) {
            json_t *got = built(&j, kind, &t);
            CHECK(json_equal(want, got));
            json_decref(got);
        }
        CHECK(json_valid(buf_view(&b), 64) || !want);
        if (!want && utf8_valid(buf_view(&b)) &&
            json_valid(buf_view(&b), 64)) { /* beyond jansson: numbers past its types */
            json_error_t e;
            CHECK(!json_loadb(b.p, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e));
            CHECK(strstr(e.text, "too big") || strstr(e.text, "overflow") || strstr(e.text, "invalid Unicode"));
        }
        if (unit_failed)
            printf("document: %.*s\n", (int)b.n, b.p);
        json_decref(want);
    }
    buf_done(&b);
}

/* ---- promises ---- */

static str value_of(const char *text, unsigned *flags)
{
    struct json j;
    struct json_token t;
    json_init(&j, str_of(text), 8);
    if (json_next(&j, &t) < J_NULL)
        return S("(error)");
    *flags = t.flags;
    return t.raw;
}

TEST(numbers_and_texts_are_given_as_written)
{
    unsigned f;
    static const char *const as_is[] = {
        "1.0", "1e3", "-0", "9223372036854775808", "1234567890123456789012345678901234567890", "1E-400"};
    for (size_t i = 0; i < LENGTH(as_is); i++)
        CHECK_STR(value_of(as_is[i], &f), str_of(as_is[i]));
    CHECK_STR(value_of("\"a\\u0000b\"", &f), S("a\\u0000b"));
    CHECK_INT(f, J_ESCAPED);
    CHECK_STR(value_of("\"\"", &f), S(""));
    CHECK_INT(f, 0);
}

TEST(bad_utf8_and_lone_surrogates_are_flagged_and_become_fffd)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"\"a\xff z\"", "a\xef\xbf\xbd z"},
        {"\"\xc3\"", "\xef\xbf\xbd"},
        {"\"\xed\xa0\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\xc0\xaf\"", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\\ud800\"", "\xef\xbf\xbd"},
        {"\"\\udc00x\"", "\xef\xbf\xbdx"},
        {"\"\\ud800\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\"\\ud800\\n\"", "\xef\xbf\xbd\n"},
    };
    char out[256];
    for (size_t i = 0; i < LENGTH(cases); i++) {
        unsigned f = 0;
        str raw = value_of(cases[i].text, &f);
        CHECK(f & J_BAD);
        CHECK(json_decoded_max(raw.n, f) < sizeof out);
        CHECK_STR(str_n(out, json_decode(raw, out)), str_of(cases[i].want));
    }
}

TEST(every_code_point_survives_decode_and_encode)
{
    struct buf b = BUF_INIT(1 << 10);
    char raw[16], text[16], again[64];
    for (uint32_t c = 0; c <= 0x10ffff; c += c < 0x3000 ? 1 : 37) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        size_t n = c < 0x10000 ? (size_t)snprintf(raw, sizeof raw, "\\u%04x", c)
                               : (size_t)snprintf(raw, sizeof raw, "\\u%04x\\u%04X", 0xd800 + ((c - 0x10000) >> 10),
                                                  0xdc00 + (c & 0x3ff));
        size_t text_n = json_decode(str_n(raw, n), text);
        CHECK(text_n <= n && utf8_valid(str_n(text, text_n)));
        buf_reset(&b);
        json_encode(&b, str_n(text, text_n));
        CHECK_STR(str_n(again, json_decode(buf_view(&b), again)), str_n(text, text_n));
    }
    buf_done(&b);
}

TEST(each_byte_is_decided_right_at_each_place_of_a_word)
{
    char text[32];
    for (int c = 0; c < 256; c++)
        for (size_t n = 1; n <= 18; n++)
            for (size_t at = 0; at < n; at++) {
                memset(text, 'x', sizeof text);
                text[0] = '"';
                text[1 + at] = (char)c;
                text[1 + n] = '"';
                bool ok = valid(str_n(text, n + 2));
                bool want = c >= ' ' && c != '"' && !(c == '\\'); /* "\x" is no escape; a quote ends too early */
                if (c == '\\' && at + 1 == n)
                    want = false;
                CHECK(ok == want);
            }
}

static str why(const char *text, struct err *e)
{
    struct json j;
    struct json_token t;
    enum json_kind kind;
    json_init(&j, str_of(text), 4);
    while ((kind = json_next(&j, &t)) > J_END)
        ;
    if (kind == J_END)
        return S("(valid)");
    json_err(&j, e);
    return str_of(e->text);
}

TEST(an_error_names_what_was_expected_what_came_and_where)
{
    struct err e;
    CHECK_STR(why("{\"a\":tru}", &e), S("expected a value, got 't' at byte 6"));
    CHECK_STR(str_of(e.pointer), S("/a"));
    CHECK_STR(why("{\"a\":1 \"b\":2}", &e), S("expected ',' or '}', got '\"' at byte 8"));
    CHECK_STR(why("{\"a\":[1,{\"b/c~d\":01}]}", &e), S("expected a number as JSON writes it, got '1' at byte 19"));
    CHECK_STR(str_of(e.pointer), S("/a/1/b~1c~0d"));
    CHECK_STR(why("{\"a\":[1,2", &e), S("expected ',' or ']', got the end of the text"));
    CHECK_STR(why("{\"a\":\"x\ny\"}", &e),
              S("expected control characters inside a text to be escaped, got byte 0x0a at byte 8"));
    CHECK_STR(why("{\"a\":\"\\x\"}", &e), S("expected a valid escape, got '\\' at byte 7"));
    CHECK_STR(why("{a:1}", &e), S("expected a name in quotes, got 'a' at byte 2"));
    CHECK_STR(why("{\"a\":NaN}", &e), S("expected a value, got 'N' at byte 6"));
    CHECK_STR(why("[[[[[1]]]]]", &e), S("expected at most 4 levels of nesting, got more"));
    CHECK_STR(why("[[[[1]]]]", &e), S("(valid)"));
}

TEST(a_document_cut_anywhere_is_refused_and_never_read_past_its_end)
{
    static const char *const texts[] = {"{\"a\":[-1.5e+3,true,null,\"\\ud83d\\ude00\\n\xc3\xa9\"],\"b\":false}",
                                        "[0.1E-2]", "{ \"min\": 1e2}"};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        CHECK(valid(str_of(texts[i])));
        for (size_t n = 0; n < strlen(texts[i]); n++)
            CHECK(!valid(str_n(texts[i], n)));
    }
}

TEST(a_pointer_leads_to_the_member_a_byte_lies_in)
{
    str text = S("{\"a\":1,\"b\":{\"c\":[10,{\"d\":\"x\"},30]},\"e\":4}");
    static const struct {
        const char *at, *want;
    } cases[] = {{"1,\"b", "/a"},    {"{\"c\"", "/b"},    {"[10", "/b/c"},  {"10", "/b/c/0"},
                 {"{\"d", "/b/c/1"}, {"x\"", "/b/c/1/d"}, {"30", "/b/c/2"}, {"4}", "/e"}};
    char out[128], tiny[6];
    for (size_t i = 0; i < LENGTH(cases); i++) {
        json_pointer(text, text.p + str_find(text, str_of(cases[i].at)), out, sizeof out);
        CHECK_STR(str_of(out), str_of(cases[i].want));
    }
    json_pointer(text, text.p + str_find(text, S("x\"")), tiny, sizeof tiny);
    CHECK_STR(str_of(tiny), S("/b/c"));
}

TEST(balance_counts_brackets_outside_of_texts_only)
{
    CHECK_INT(json_balance(S("{\"a\":\"}]\\\"}\",tru[]}{\"b\":1}")), 19);
    CHECK_INT(json_balance(S("[{}]")), 4);
    CHECK_INT(json_balance(S("{\"a\":\"}")), 0);
    CHECK_INT(json_balance(S("{\"a\":\"\\")), 0);
}

TEST(ten_megabytes_of_brackets_cost_no_memory)
{
    size_t n = 10 << 20;
    char *p = malloc(n);
    struct rusage before, after;
    memset(p, '[', n);
    getrusage(RUSAGE_SELF, &before);
    CHECK(!json_valid(str_n(p, n), JSON_DEPTH_MAX));
    p[0] = '[';
    for (size_t i = 1; i + 2 < n; i += 3)
        memcpy(p + i, "{},", 3);
    CHECK(!json_valid(str_n(p, n), JSON_DEPTH_MAX));
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 1 << 10);
    free(p);
}

UNIT_MAIN
