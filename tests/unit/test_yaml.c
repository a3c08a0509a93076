#include "base/yaml.h"
#include "unit.h"

static struct err e;

static struct yaml *parse(const char *text)
{
    struct yaml *y = NULL;
    e = (struct err){0};
    if (yaml_parse("f.yaml", str_of(text), &y, &e) < 0)
        return NULL;
    return y;
}

/* The text is refused with exactly this sentence. */
static void refused(const char *text, const char *sentence)
{
    struct yaml *y = parse(text);
    CHECK(!y);
    CHECK_STR(str_of(e.text), str_of(sentence));
    CHECK_INT(e.kind, y ? ERR_NONE : ERR_INPUT);
    yaml_tree_free(y);
}

TEST(reads_maps_lists_and_scalars_with_their_places)
{
    struct yaml *y = parse(
        "# a comment\nlisten: 1.2.3.4:5\nrules:\n  - a.yaml\n  - 'it''s'\nmail: {url: \"x\\ty\", no: no}\n");
    CHECK(y);
    const struct yaml_node *root = yaml_root(y), *rules = yaml_get(root, "rules"), *mail = yaml_get(root, "mail");
    CHECK_STR(yaml_get(root, "listen")->text, S("1.2.3.4:5"));
    CHECK_INT(yaml_get(root, "listen")->line, 2);
    CHECK_INT(yaml_get(root, "listen")->column, 9);
    CHECK_INT(rules->n, 2);
    CHECK_STR(rules->items[1]->text, S("it's"));
    CHECK(rules->items[1]->quoted && !rules->items[1]->verbatim);
    CHECK(!rules->items[0]->quoted && rules->items[0]->verbatim);
    CHECK_STR(yaml_get(mail, "url")->text, S("x\ty"));
    CHECK_STR(yaml_get(mail, "no")->text, S("no"));
    CHECK_INT(yaml_get(mail, "no")->line, 6);
    CHECK_INT(yaml_get(mail, "no")->column, 25);
    CHECK_STR(mail->keys[1]->text, S("no"));
    CHECK(!yaml_get(root, "absent") && !yaml_get(rules, "a"));
    yaml_tree_free(y);
}

TEST(json_is_accepted_as_it_is)
{
    struct yaml *y = parse(
        "{\"a\":1,\"b\":[true,null,\"x\\u00e9\\/\\\"\"],\n\t\"c\":{\"d\":{}},\"e\":-1.5e3,\"f\":[]}");
    CHECK(y);
    const struct yaml_node *root = yaml_root(y);
    CHECK_STR(yaml_get(root, "a")->text, S("1"));
    CHECK_STR(yaml_get(root, "b")->items[2]->text, S("xé/\""));
    CHECK_INT(yaml_get(yaml_get(root, "c"), "d")->kind, YAML_MAP);
    CHECK_INT(yaml_get(root, "f")->n, 0);
    yaml_tree_free(y);
}

TEST(an_empty_document_is_an_empty_map)
{
    static const char *const empty[] = {"", "\n\n", "# only a comment\n", "---\n", "---\n...\n"};
    for (size_t i = 0; i < LENGTH(empty); i++) {
        struct yaml *y = parse(empty[i]);
        CHECK(y);
        CHECK_INT(y ? (int)yaml_root(y)->kind : -1, YAML_MAP);
        CHECK_INT(y ? yaml_root(y)->n : 9, 0);
        yaml_tree_free(y);
    }
}

TEST(what_is_not_in_the_subset_is_refused_at_its_place)
{
    refused("a: 1\nb: &x 2\n", "f.yaml:2:4: anchors (&x) are not supported");
    refused("a: &x {b: 1}\n", "f.yaml:1:4: anchors (&x) are not supported");
    refused("a: *x\n", "f.yaml:1:4: aliases (*x) are not supported");
    refused("*x : 1\n", "f.yaml:1:1: aliases (*x) are not supported");
    refused("a: !!str 1\n", "f.yaml:1:4: tags (tag:yaml.org,2002:str) are not supported");
    refused("a: ! 1\n", "f.yaml:1:4: tags (!) are not supported");
    refused("a: [1, !x [2]]\n", "f.yaml:1:8: tags (!x) are not supported");
    refused("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document starts here; one file holds one");
    refused("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: key \"a\" is there twice, first on line 1");
    refused("x: {a: 1, \"a\": 3}\n", "f.yaml:1:11: key \"a\" is there twice, first on line 1");
    refused("? [a]\n: 1\n", "f.yaml:1:3: a key must be text, not a list or a map");
}

TEST(syntax_errors_name_line_and_column)
{
    refused("a: 1\n\tb: 2\n",
            "f.yaml:2:1: found a tab character that violates indentation while scanning a plain scalar");
    refused("a: [1, 2\n", "f.yaml:2:1: did not find expected ',' or ']' while parsing a flow sequence");
    refused("a: 'x\n", "f.yaml:2:1: found unexpected end of stream while scanning a quoted scalar");
    refused("a: 1\nb: \xff\n", "f.yaml:2:4: invalid leading UTF-8 octet");
    refused("a: 1\nb: \x01\n", "f.yaml:2:4: control characters are not allowed");
}

TEST(hostile_sizes_are_refused)
{
    char deep[200], *many = xmalloc(400000);
    memset(deep, '[', 100);
    memset(deep + 100, ']', 99);
    deep[199] = '\0';
    refused(deep, "f.yaml:1:33: nested deeper than 32");
    for (size_t i = 0; i < 100000; i++)
        memcpy(many + 4 * i, "- a\n", 4);
    many[399999] = '\0';
    refused(many, "f.yaml:100000:3: more than 100000 values");
    many[4 * 99999 - 1] = '\0'; /* with the list itself just enough */
    struct yaml *y = parse(many);
    CHECK_INT(y ? yaml_root(y)->n : 0, 99999);
    yaml_tree_free(y);
    free(many);
}

TEST(a_place_inside_a_text_counts_characters)
{
    struct yaml *y = parse("a: é=1 x\nb: \"é=1 x\"\nc: \"\\u00e9=1\"\nd: |\n  block\n");
    const struct yaml_node *r = yaml_root(y);
    CHECK(yaml_fail_in(y, yaml_get(r, "a"), 5, &e, "here") < 0); /* the x */
    CHECK_STR(str_of(e.text), S("f.yaml:1:8: here"));
    CHECK(yaml_fail_in(y, yaml_get(r, "b"), 5, &e, "here") < 0);
    CHECK_STR(str_of(e.text), S("f.yaml:2:9: here"));
    CHECK(yaml_fail_in(y, yaml_get(r, "c"), 3, &e, "here") < 0); /* escapes: only the start is sure */
    CHECK_STR(str_of(e.text), S("f.yaml:3:4: here"));
    CHECK(yaml_fail_in(y, yaml_get(r, "d"), 3, &e, "here") < 0);
    CHECK_STR(str_of(e.text), S("f.yaml:4:4: here"));
    CHECK_INT(e.line, 4);
    CHECK_INT(e.column, 4);
    yaml_tree_free(y);
}

TEST(an_unknown_key_names_the_nearest)
{
    static const char *const known[] = {"listen", "recipients", "rules", "by"};
    struct yaml *y = parse("rules: x\nrecipient: 1\n");
    CHECK(yaml_known(y, yaml_root(y), "", known, 4, &e) < 0);
    CHECK_STR(str_of(e.text), S("f.yaml:2:1: unknown key \"recipient\", did you mean \"recipients\"?"));
    CHECK(yaml_known(y, yaml_root(y), "mail", known, 1, &e) < 0);
    CHECK_STR(str_of(e.text), S("f.yaml:1:1: unknown key \"rules\" in mail"));
    CHECK(yaml_known(y, yaml_get(yaml_root(y), "rules"), "rules", known, 1, &e) < 0);
    CHECK_STR(str_of(e.text), S("f.yaml:1:8: rules: expected a map, got \"x\""));
    yaml_tree_free(y);

    CHECK_STR(str_of(nearest_name(S("LISTNE"), known, 4)), S("listen"));
    CHECK_STR(str_of(nearest_name(S("bY"), known, 4)), S("by"));
    CHECK(!nearest_name(S("x"), known, 4));
    CHECK(!nearest_name(S("retention"), known, 4));
    CHECK(!nearest_name(S(""), known, 4));
}

TEST(typed_values_say_what_was_expected_and_what_came)
{
    struct yaml *y = parse(
        "d: 5 minutes\nn: 12x\nb: yes\nt: \"a\\nb\"\nl: [1]\nempty:\nok: {d: 90s, n: 7, b: true, t: x}\n");
    const struct yaml_node *r = yaml_root(y), *ok = yaml_get(r, "ok");
    usec d = 1;
    uint64_t n = 1;
    bool b = false;
    str t = {0};
    CHECK(yaml_duration(y, yaml_get(r, "d"), "count.window", USEC_PER_SEC, 86400 * USEC_PER_SEC, &d, &e) < 0);
    CHECK_STR(
        str_of(e.text),
        S("f.yaml:1:4: count.window: expected a duration from 1s to 1d, like 90s, 5m, 2h or 3d, got \"5 minutes\""));
    CHECK(yaml_integer(y, yaml_get(r, "n"), "n", 1, 10, &n, &e) < 0);
    CHECK_STR(str_of(e.text), S("f.yaml:2:4: n: expected a number from 1 to 10, got \"12x\""));
    CHECK(yaml_bool(y, yaml_get(r, "b"), "b", &b, &e) < 0);
    CHECK_STR(str_of(e.text), S("f.yaml:3:4: b: expected true or false, got \"yes\""));
    CHECK(yaml_text(y, yaml_get(r, "t"), "t", &t, &e) < 0);
    CHECK_STR(str_of(e.text), S("f.yaml:4:4: t: expected text without control characters, got byte 0x0a at 2"));
    CHECK(yaml_text(y, yaml_get(r, "l"), "l", &t, &e) < 0);
    CHECK_STR(str_of(e.text), S("f.yaml:5:4: l: expected text, got a list"));
    CHECK(yaml_text(y, yaml_get(r, "empty"), "empty", &t, &e) < 0);
    CHECK_STR(str_of(e.text), S("f.yaml:6:7: empty: expected text, got nothing"));
    CHECK(d == 1 && n == 1 && !b && !t.p);

    CHECK_INT(yaml_duration(y, yaml_get(ok, "d"), "d", 0, 100 * USEC_PER_SEC, &d, &e), 0);
    CHECK_INT(yaml_integer(y, yaml_get(ok, "n"), "n", 7, 7, &n, &e), 0);
    CHECK_INT(yaml_bool(y, yaml_get(ok, "b"), "b", &b, &e), 0);
    CHECK_INT(yaml_text(y, yaml_get(ok, "t"), "t", &t, &e), 0);
    CHECK(d == 90 * USEC_PER_SEC && n == 7 && b && str_eq(t, S("x")));
    yaml_tree_free(y);
}

TEST(durations_are_written_in_their_largest_whole_unit)
{
    static const struct {
        usec d;
        const char *text;
    } cases[] = {{0, "0s"},
                 {90 * USEC_PER_SEC, "90s"},
                 {3600 * USEC_PER_SEC, "1h"},
                 {14 * 86400 * USEC_PER_SEC, "14d"},
                 {1500000, "1500ms"},
                 {7, "7us"}};
    char out[DURATION_TEXT_MAX];
    for (size_t i = 0; i < LENGTH(cases); i++)
        CHECK_STR(str_of(duration_text(cases[i].d, out)), str_of(cases[i].text));
}

TEST(a_tree_made_of_text_names_its_source_only)
{
    struct yaml *y = yaml_of_text("LOGD_LISTEN", S("x: y"));
    CHECK_STR(yaml_root(y)->text, S("x: y"));
    CHECK(yaml_fail(y, yaml_root(y), &e, "listen: no") < 0);
    CHECK_STR(str_of(e.text), S("LOGD_LISTEN: listen: no"));
    yaml_tree_free(y);
    str items[] = {S("a"), S("b")};
    y = yaml_of_list("LOGD_RULES", items, 2);
    CHECK_STR(yaml_root(y)->items[1]->text, S("b"));
    yaml_tree_free(y);
}

UNIT_MAIN
