#include "base/clock.h"
#include "intake/debug.h"
#include "intake/json.h"
#include "unit.h"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>

#define NOW 1764063321123456
static struct event_source src = {.app = S("shop"), .now = NOW};
static struct err e;
static struct batch *b;
static struct event_writer *w;
static int rc;

static void post(str body)
{
    batch_free(b);
    b = batch_new(RECORD_EVENTS, 1, NOW);
    if (!w)
        w = event_writer_new();
    char *exact = malloc(body.n ? body.n : 1); /* so that the sanitizer sees a read past the end */
    if (body.n)
        memcpy(exact, body.p, body.n);
    rc = intake_json(w, &src, (str){exact, body.n}, b, &e);
    free(exact);
    CHECK(b->accepted == b->events);
}

/* "1 2 !1 4": the values of field n of what was stored, then the indexes of what was refused. */
static str took(const char *body)
{
    static char out[400];
    size_t n = 0;
    post(str_of(body));
    if (rc < 0)
        return str_of(e.text);
    out[0] = '\0';
    for (str lines = buf_view(&b->body); lines.n;) {
        str line = str_cut(&lines, '\n');
        ptrdiff_t at = str_find(line, S("\"n\":"));
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%c", n ? " " : "", at < 0 ? '?' : line.p[at + 4]);
    }
    for (str errors = buf_view(&b->errors); errors.n;) {
        ptrdiff_t at = str_find(errors, S("{\"index\":"));
        if (at < 0)
            break;
        errors = str_skip(errors, (size_t)at + 9);
        n += (size_t)snprintf(out + n, sizeof out - n, "%s!%.*s", n ? " " : "", (int)str_chr(errors, ','), errors.p);
    }
    return str_of(out);
}

TEST(one_object_an_array_and_lines_are_the_same)
{
    static const char *const bodies[] = {
        "{\"n\":1}{\"n\":2}{\"n\":3}",
        "{\"n\":1}\n{\"n\":2}\n{\"n\":3}",
        "{\"n\":1}\r\n\r\n  \n{\"n\":2}\r\n{\"n\":3}\r\n\n",
        "\xef\xbb\xbf{\"n\":1}\n{\"n\":2} {\"n\":3}\n",
        "[{\"n\":1},{\"n\":2},{\"n\":3}]",
        " [ {\"n\":1} ,\n {\"n\":2} ,\n {\"n\":3} ] \n",
        "[{\"n\":1}]\n[{\"n\":2},{\"n\":3}]\n[]\n",
        "{\"n\":1}\n[{\"n\":2}]{\"n\":3}",
        "{\n  \"n\": 1\n}\n{\n  \"n\": 2,\n  \"a\": {\n    \"b\": []\n  }\n}\n{\n  \"n\": 3\n}\n",
        "[\n  {\n    \"n\": 1\n  },\n  {\n    \"n\": 2\n  },\n  {\n    \"n\": 3\n  }\n]\n",
    };
    for (size_t i = 0; i < LENGTH(bodies); i++)
        CHECK_STR(took(bodies[i]), S("1 2 3"));
    CHECK_STR(took("{\"n\":1}"), S("1"));
}

TEST(an_empty_body_is_no_events_and_no_error)
{
    static const char *const bodies[] = {"", "\n\n", "[]", " [ ] ", "\xef\xbb\xbf", "[][]\n[]"};
    for (size_t i = 0; i < LENGTH(bodies); i++)
        CHECK_STR(took(bodies[i]), S(""));
}

TEST(a_bad_record_costs_only_itself)
{
    static const struct {
        const char *body, *want;
    } cases[] = {
        /* lines */
        {"{\"n\":1}\n{\"n\":2\n{\"n\":3}\n", "1 3 !1"},
        {"{\"n\":1}\n{\"n\":\"2}\n{\"n\":3}\n", "1 3 !1"},
        {"{\"n\":1}\nnot json\n{\"n\":3}\n", "1 3 !1"},
        {"{\"n\":1}\n{\"n\":2,}\n{\"n\":3}\n", "1 3 !1"},
        {"{\"n\":1}\n{n:2}\n{\"n\":3}\n", "1 3 !1"},
        {"{\"n\":1}\n{\"a\":[{\"n\":2}\n{\"n\":3}\n", "1 3 !1"},
        {"{\"n\":1}\n{\"a\":\"x\ty\"}\n{\"n\":3}\n", "1 3 !1"},
        {"{\"n\":1}\n{\"n\":2,\"level\":\"loud\"}\n{\"n\":3}\n", "1 3 !1"},
        {"{\"n\":1}{\"n\":tru}{\"n\":3}\n{\"n\":4}", "1 3 4 !1"},
        {"{\"n\":1}\n1\n\"x\"\nnull\n{\"n\":5}\n", "1 5 !1 !2 !3"},
        {"{\"n\":1}\n{}\n{\"n\":3}\n", "1 3 !1"},
        {"{\"n\":1,\n\"level\":\"loud\"}\n{\"n\":2}", "2 !0"},
        {"{\"n\":1}\n{\"n\":2", "1 !1"},
        {"{\n \"n\" 1,\n \"a\": {\n }\n}\n{\n \"n\": 2\n}\n", "2 !0"},
        {"{\n \"n\": 1,\n \"level\": \"loud\"\n}\n{\n \"n\": 2\n}\n", "2 !0"},
        /* an array */
        {"[{\"n\":1},{\"n\":tru},{\"n\":3}]", "1 3 !1"},
        {"[{\"n\":1},{\"a\":\"}]\\\"\",\"n\" 2},{\"n\":3}]", "1 3 !1"},
        {"[{\"n\":1},{\"a\":[{\"b\":1}],\"level\":\"loud\"},{\"n\":3}]", "1 3 !1"},
        {"[{\"n\":1},2,\"a,]{\",null,[1,[{\"n\":9}]],{\"n\":6}]", "1 6 !1 !2 !3 !4"},
        {"[1,{\"n\":2}]", "2 !0"},
        {"[{\"n\":1},]", "1 !1"},
        {"[{\"n\":1} {\"n\":2}]", "1 2 !1"},
        {"[{\"n\":1},{\"n\":2}", "1 2 !2"},
        {"[{\"n\":1},{\"n\":2", "1 !1"},
        {"[{\"n\":1},", "1 !1"},
        {"[", "!0"},
        {"[{\"n\":1}]\n[{\"n\":x}]\n{\"n\":3}", "1 3 !1"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        str got = took(cases[i].body);
        if (!str_eq(got, str_of(cases[i].want)))
            printf("body %s\n", cases[i].body);
        CHECK_STR(got, str_of(cases[i].want));
    }
}

TEST(a_record_that_is_no_object_says_so_at_the_empty_pointer)
{
    took("[{\"n\":1},17]");
    CHECK_STR(buf_view(&b->errors),
              S("{\"index\":1,\"pointer\":\"\",\"error\":\"expected an object, got '1' at byte 10 of the body\"}"));
    took("\"text\"");
    CHECK_STR(
        buf_view(&b->errors),
        S("{\"index\":0,\"pointer\":\"\",\"error\":\"expected an object or an array, got '\\\"' at byte 1 of the body\"}"));
}

TEST(another_encoding_is_refused_with_a_sentence)
{
    static const str bodies[] = {S("\xff\xfe{\0}\0"), S("\xfe\xff\0{\0}"), S("{\0\"\0"), S("\0{\0\"")};
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        post(bodies[i]);
        CHECK(rc < 0 && e.kind == ERR_INPUT);
        CHECK_STR(str_of(e.text), S("expected a body in UTF-8, got UTF-16 or UTF-32"));
    }
}

TEST(more_records_than_the_limit_refuse_the_whole_request)
{
    src.max_events = 3;
    CHECK_STR(took("{\"n\":1}\n{\"n\":2}\nx\n"), S("1 2 !2"));
    CHECK_STR(took("[{\"n\":1},{\"n\":2},3,{\"n\":4}]"), S("expected at most 3 events in a request, got more"));
    CHECK(rc < 0 && e.kind == ERR_FULL);
    src.max_events = 0;
}

TEST(rows_of_a_batch_have_their_own_ids_and_its_times_are_known)
{
    took("{\"time\":1000,\"n\":1}\n{\"time\":2000,\"n\":2,\"id\":\"a\"}\n{\"time\":1500,\"n\":3}");
    CHECK_INT(b->t_min / NSEC_PER_SEC, 1000);
    CHECK_INT(b->t_max / NSEC_PER_SEC, 2000);
    str lines = buf_view(&b->body), first = str_cut(&lines, '\n'), second = str_cut(&lines, '\n');
    CHECK(str_starts(first, S("{\"id\":\"1i4cvvprqk00000\"")) && str_starts(second, S("{\"id\":\"1i4cvvprqk00001\"")));
    CHECK_INT(b->ids_n, 1);
    CHECK_INT(b->ids[0].offset, first.n + 1);
    CHECK_INT(b->ids[0].length, second.n + 1);
}

/* ---- at random: records in every layout, some of them broken ---- */

static uint64_t seed;
static uint32_t rnd(uint32_t below)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)((seed >> 11) % below);
}

TEST(random_bodies_give_each_good_record_and_each_index_of_a_bad_one)
{
    static const char *const good[] = {"{\"n\":%d}", "{\"a\":\"}{][\\\"\",\"n\":%d}",
                                       "{\"a\":[{},{\"b\":[1]}],\"n\":%d,\"c\":{}}"};
    static const char *const bad[] = {"{\"n\":tru}", "{\"n\" 1}",  "{\"level\":\"loud\",\"a\":[{\"b\":\"]}\"}]}",
                                      "17",          "{\"n\":01}", "{}"};
    struct buf body = BUF_INIT(1 << 20);
    seed = (uint64_t)time(NULL) * 2654435761u + 88172645463325252u;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 5000 && !unit_failed; round++) {
        char want[400] = "", errors[200] = "";
        size_t n = 0, m = 0;
        bool array = rnd(2);
        static const char *const gaps[] = {"\n", "\r\n", "\n\n", "\n \n"}, *const commas[] = {",", " ,\n", ", "};
        buf_reset(&body);
        if (array)
            buf_byte(&body, '[');
        for (uint32_t i = 0, count = rnd(12); i < count; i++) {
            if (i)
                buf_str(&body, str_of(array ? commas[rnd(3)] : gaps[rnd(4)]));
            if (rnd(3)) {
                char text[64];
                snprintf(text, sizeof text, good[rnd(3)], i % 10); /* a format of ours */
                buf_str(&body, str_of(text));
                n += (size_t)snprintf(want + n, sizeof want - n, "%s%u", n ? " " : "", i % 10);
            } else {
                buf_str(&body, str_of(bad[rnd(6)]));
                m += (size_t)snprintf(errors + m, sizeof errors - m, " !%u", i);
            }
        }
        if (array)
            buf_byte(&body, ']');
        snprintf(want + n, sizeof want - n, "%s", n ? errors : errors + (m > 0));
        buf_byte(&body, '\0');
        CHECK_STR(took(body.p), str_of(want));
        if (unit_failed)
            printf("body %s\n", body.p);
    }
    buf_done(&body);
}

TEST(every_file_of_the_json_test_suite_is_taken_without_a_crash)
{
    static char bytes[1 << 20], dir[512], path[1024];
    const char *shared = getenv("LOGD_SHARED");
    snprintf(dir, sizeof dir, "%s/data/json/JSONTestSuite", shared ? shared : "../shared");
    DIR *d = opendir(dir);
    if (!d) {
        printf("skip: no %s (set LOGD_SHARED)\n", dir);
        return;
    }
    for (struct dirent *f; (f = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        FILE *in = fopen(path, "rb");
        size_t n = in ? fread(bytes, 1, sizeof bytes, in) : 0;
        if (in)
            fclose(in);
        post((str){bytes, n});
        CHECK(rc < 0 || b->accepted + b->rejected <= n);
    }
    closedir(d);
}

/* KiB that the largest resident size grew by, for 10 MiB of `piece` again and again behind `first`. */
static long cost_of(const char *first, const char *piece)
{
    size_t n = 10 << 20, len = strlen(piece);
    char *p = malloc(n);
    struct rusage before, after;
    for (size_t i = 0; i < n; i++)
        p[i] = piece[i % len];
    memcpy(p, first, strlen(first));
    getrusage(RUSAGE_SELF, &before);
    batch_free(b);
    b = batch_new(RECORD_EVENTS, 1, NOW);
    (void)!intake_json(w, &src, (str){p, n}, b, &e);
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_utime.tv_sec - before.ru_utime.tv_sec < 4); /* never quadratic */
    free(p);
    return after.ru_maxrss - before.ru_maxrss;
}

TEST(ten_megabytes_of_anything_cost_less_than_sixteen)
{
    static const struct {
        const char *first, *piece;
    } bodies[] = {{"[", "{},"},
                  {"", "["},
                  {"", "{"},
                  {"", "{\n"},
                  {"", "{\"a\":"},
                  {"", "{\"a\":[\n"},
                  {"[", "\""},
                  {"{\"", "\\"},
                  {"[", "[[1,2],"},
                  {"[", ","},
                  {"{\"a\":", "0"},
                  {"", "\n"},
                  {"{\"a\":[", "{\"b\":1},"},
                  {"{\"a\":{", "\"b\":{},"},
                  {"", "{\"a\":\"\n"},
                  {"[", "{\"a\":[}},"}};
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        long kib = cost_of(bodies[i].first, bodies[i].piece);
        if (kib >= 16 << 10)
            printf("%s%s… cost %ld KiB\n", bodies[i].first, bodies[i].piece, kib);
        CHECK(kib < 16 << 10);
    }
}

TEST(debug_parse_prints_each_record_in_its_order)
{
    char in[] = "{\"n\":1,\"level\":\"warn\"}\n{\"level\":\"loud\"}\nx\n{\"n\":2}\n", out[2000] = "";
    FILE *from = fmemopen(in, sizeof in - 1, "r"), *to = fmemopen(out, sizeof out, "w");
    CHECK_INT(debug_parse(from, to), 0);
    fclose(from);
    fclose(to);
    str lines = str_of(out), line[4];
    for (int i = 0; i < 4; i++)
        line[i] = str_cut(&lines, '\n');
    CHECK(str_starts(line[0], S("{\"id\":")) &&
          str_ends(line[0], S("\"level\":\"warn\",\"severity_number\":13,\"n\":1}")));
    CHECK(str_starts(line[1], S("{\"error\":\"expected one of trace")) &&
          str_ends(line[1], S(",\"pointer\":\"/level\"}")));
    CHECK(str_starts(line[2], S("{\"error\":\"expected an object or an array, got 'x'")) &&
          str_ends(line[2], S(",\"pointer\":\"\"}")));
    CHECK(str_ends(line[3], S("\"n\":2}")) && lines.n == 0);
}

UNIT_MAIN
