#include "unit.h"
#include "cli.h"

static bool shown_as(str given, bool lines, const char *want)
{
    struct buf b = BUF_INIT(1000);
    text_visible(&b, given, lines);
    bool same = str_eq(buf_view(&b), str_of(want));
    if (!same)
        printf("\"%.*s\" is not \"%s\"\n", STR_ARG(buf_view(&b)), want);
    buf_done(&b);
    return same;
}

TEST(nothing_that_steers_a_terminal_gets_through)
{
    CHECK(shown_as(S("a\x1b[2J\x07 b\x7f"), true, "a\\x1b[2J\\x07 b\\x7f"));
    CHECK(shown_as(S("\xc2\x9b"
                     "31m"),
                   true, "\\u009b31m")); /* CSI as one character */
    CHECK(shown_as(S("\x9b"
                     "31m"),
                   true, "\\x9b31m")); /* and as a byte that is not UTF-8 */
    CHECK(shown_as(S("user\xe2\x80\xaetxt.exe"), true, "user\\u202etxt.exe"));
    CHECK(shown_as(S("\xe2\x81\xa6 \xe2\x80\xa8"), true, "\\u2066 \\u2028"));
    CHECK(shown_as(str_n("a\0b", 3), true, "a\\x00b"));
    CHECK(shown_as(S("cut \xe2\x82"), true, "cut \\xe2\\x82"));
    CHECK(shown_as(S("\r\n"), true, "\\r\n"));
    CHECK(shown_as(S("\r\n"), false, "\\r\\n"));
}

TEST(ordinary_text_stays_as_it_is)
{
    CHECK(shown_as(S("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\ttab \\x1b"), true,
                   "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\ttab \\x1b"));
    CHECK(shown_as(S(""), true, ""));
}

static const struct text_column columns[] = {{"ID", "id"}, {"NAME", "name"}, {"KEYS", "keys"}, {"USED", "used"}};

TEST(a_table_has_columns_as_wide_as_their_widest_cell)
{
    struct err e;
    struct buf b = BUF_INIT(1000);
    str json = S("{\"apps\":[{\"id\":1,\"name\":\"caf\xc3\xa9s\",\"keys\":[\"a-1\",\"b-2\"],\"used\":null},"
                 "{\"id\":22,\"name\":\"x\\u001b[0m\",\"keys\":[]}]}");
    CHECK_INT(text_table(json, "apps", columns, LENGTH(columns), &b, &e), 0);
    CHECK_STR(buf_view(&b), S("ID  NAME      KEYS     USED\n"
                              "1   caf\xc3\xa9s     a-1,b-2  -\n"
                              "22  x\\x1b[0m  -        -\n"));
    buf_done(&b);
}

TEST(an_answer_that_is_not_ours_is_an_error)
{
    struct err e;
    struct buf b = BUF_INIT(1000);
    static const char *const bad[] = {"", "[]", "{", "{\"apps\":{}}", "<html>"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        CHECK_INT(text_table(str_of(bad[i]), "apps", columns, LENGTH(columns), &b, &e), -1);
        CHECK(e.kind == ERR_REMOTE);
    }
    CHECK_INT(text_table(S("{\"apps\":[1,null,\"x\"]}"), "apps", columns, LENGTH(columns), &b, &e), 0);
    buf_done(&b);
}

UNIT_MAIN
