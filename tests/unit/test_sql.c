/* Filters in SQL: SQLite gives the answers that filter_match gives, and so do columns. With LOGD_SQL_OUT=DIR rows and
 * queries for ClickHouse are left there, for tests/lib/clickhouse.py. */
#include "random_blocks.h"
#include "query/sql.h"

#include <sqlite3.h>

enum { BLOCKS = 20, FILTERS = 1000 };

/* ---- SQLite ---- */

static sqlite3 *db;

static void must(int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return;
    printf("SQLite: %s\n", sqlite3_errmsg(db));
    abort();
}

static void free_regex(void *re) { regex_free(re); }

/* regexp(pattern, text): `text REGEXP pattern` */
static void regexp(sqlite3_context *c, int n, sqlite3_value **v)
{
    struct arena a = {0};
    bool gave_up = false;
    struct regex *re = sqlite3_get_auxdata(c, 0);
    struct err e;
    size_t at;
    (void)n;
    if (!re) {
        str pattern = str_n((const char *)sqlite3_value_text(v[0]), (size_t)sqlite3_value_bytes(v[0]));
        if (regex_compile(pattern, &re, &at, &e) < 0) {
            sqlite3_result_error(c, e.text, -1);
            return;
        }
        sqlite3_set_auxdata(c, 0, re, free_regex);
        re = sqlite3_get_auxdata(c, 0);
    }
    str text = str_n((const char *)sqlite3_value_text(v[1]), (size_t)sqlite3_value_bytes(v[1]));
    sqlite3_result_int(c, regex_match(re, text, &a, &gave_up));
    arena_done(&a);
}

static void bind(sqlite3_stmt *s, int i, str text)
{
    must(sqlite3_bind_text(s, i, text.p ? text.p : "", (int)text.n, SQLITE_TRANSIENT));
}

static sqlite3_stmt *prepared(str sql)
{
    sqlite3_stmt *s = NULL;
    must(sqlite3_prepare_v2(db, sql.p, (int)sql.n, &s, NULL));
    return s;
}

static void insert(sqlite3_stmt *s)
{
    must(sqlite3_step(s));
    must(sqlite3_reset(s));
}

enum { INSERT_EVENT, INSERT_S, INSERT_N, INSERT_A, INSERTS };

static void insert_row(sqlite3_stmt **in, const struct sql_row *r, sqlite3_int64 event)
{
    bind(in[INSERT_EVENT], 2, r->ev->id);
    bind(in[INSERT_EVENT], 3, r->at);
    must(sqlite3_bind_int64(in[INSERT_EVENT], 4, r->ev->time));
    bind(in[INSERT_EVENT], 5, r->ev->app);
    must(sqlite3_bind_int(in[INSERT_EVENT], 6, r->ev->severity));
    for (int i = 0; i < INSERTS; i++)
        must(sqlite3_bind_int64(in[i], 1, event));
    insert(in[INSERT_EVENT]);
    for (size_t i = 0; i < r->texts_n; i++) {
        bind(in[INSERT_S], 2, r->texts[i].name);
        bind(in[INSERT_S], 3, r->texts[i].text);
        must(sqlite3_bind_int(in[INSERT_S], 4, (int)r->texts[i].kind));
        insert(in[INSERT_S]);
    }
    for (size_t i = 0; i < r->numbers_n; i++) {
        bind(in[INSERT_N], 2, r->numbers[i].name);
        must(sqlite3_bind_double(in[INSERT_N], 3, r->numbers[i].v));
        must(sqlite3_bind_int(in[INSERT_N], 4, (int)r->numbers[i].unit));
        bind(in[INSERT_N], 5, str_of(r->numbers[i].digits));
        insert(in[INSERT_N]);
    }
    for (size_t i = 0; i < r->addresses_n; i++) {
        bind(in[INSERT_A], 2, r->addresses[i].name);
        bind(in[INSERT_A], 3, str_of(r->addresses[i].hex));
        insert(in[INSERT_A]);
    }
}

/* The rows of the sample: into tables, and as ClickHouse takes them. */
static void load(const struct sample *s, struct buf *binary)
{
    static struct event ev;
    sqlite3_stmt *in[INSERTS] = {
        prepared(S("INSERT INTO events (rowid, id, at, time, app, severity) VALUES (?,?,?,?,?,?)")),
        prepared(S("INSERT INTO s (event, k, v, t) VALUES (?,?,?,?)")),
        prepared(S("INSERT INTO n (event, k, v, u, d) VALUES (?,?,?,?,?)")),
        prepared(S("INSERT INTO a (event, k, v) VALUES (?,?,?)"))};
    struct arena a = {0};
    must(sqlite3_exec(db, "BEGIN; DELETE FROM events; DELETE FROM s; DELETE FROM n; DELETE FROM a", NULL, NULL, NULL));
    for (size_t i = 0; i < s->n; i++) {
        struct sql_row r;
        struct err e;
        arena_reset(&a);
        CHECK(event_read(s->lines[i], &ev, &a, &e) == 0);
        sql_row(&ev, &a, &r);
        insert_row(in, &r, (sqlite3_int64)i);
        sql_row_binary(&r, binary);
    }
    must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    for (size_t i = 0; i < INSERTS; i++)
        sqlite3_finalize(in[i]);
    arena_done(&a);
}

static void open_db(void)
{
    must(sqlite3_open(":memory:", &db));
    must(sqlite3_exec(db, sql_schema(SQL_SQLITE), NULL, NULL, NULL));
    must(sqlite3_create_function(db, "regexp", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, regexp, NULL, NULL));
}

static void close_db(void) { must(sqlite3_close(db)); }

/* ---- asked three ways ---- */

struct asking {
    struct sample *s;
    const struct filter *f;
    str text;
    struct arena *scratch;
    uint64_t *lines, *columns, *sqlite;
};

static void bit_set(uint64_t *bits, size_t i) { bits[i / 64] |= 1ull << i % 64; }

static void ask_sqlite(struct asking *q)
{
    struct buf sql = BUF_INIT(1 << 22);
    buf_lit(&sql, "SELECT rowid FROM events WHERE ");
    sql_condition(q->f, SQL_SQLITE, &sql);
    sqlite3_stmt *s = prepared(buf_view(&sql));
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW)
        bit_set(q->sqlite, (size_t)sqlite3_column_int64(s, 0));
    must(rc);
    sqlite3_finalize(s);
    buf_done(&sql);
}

static void ask_columns(struct asking *q)
{
    struct prepared *p = prepare(q->f);
    struct err e;
    for (size_t i = 0; i < q->s->n; i++)
        bit_set(q->columns, i);
    CHECK(columns_match(p, &q->s->block, 0, q->columns, q->scratch, never, NULL, &e) == 0);
    prepared_free(p);
}

static size_t ask_lines(struct asking *q)
{
    struct arena a = {0};
    size_t matched = 0;
    for (size_t i = 0; i < q->s->n; i++)
        if (line_matches(q->f, q->s->lines[i], &a)) {
            bit_set(q->lines, i);
            matched++;
        }
    arena_done(&a);
    return matched;
}

static void say_difference(const struct asking *q)
{
    struct buf sql = BUF_INIT(1 << 22);
    for (size_t i = 0; i < q->s->n; i++) {
        bool lines = bit_at(q->lines, i), columns = bit_at(q->columns, i), sqlite = bit_at(q->sqlite, i);
        if (lines == columns && lines == sqlite)
            continue;
        sql_condition(q->f, SQL_SQLITE, &sql);
        printf("filter  %.*s\nline    %.*s\nSQL     %.*s\nfilter_match says %d, columns_match %d, SQLite %d\n",
               STR_ARG(q->text), STR_ARG(q->s->lines[i]), STR_ARG(buf_view(&sql)), lines, columns, sqlite);
        break;
    }
    buf_done(&sql);
}

static bool all_agree(struct asking *q, size_t *ret_matched)
{
    size_t words = bit_words(q->s->n), bytes = words * sizeof(uint64_t);
    q->lines = arena_zero(q->scratch, bytes);
    q->columns = arena_zero(q->scratch, bytes);
    q->sqlite = arena_zero(q->scratch, bytes);
    *ret_matched = ask_lines(q);
    ask_columns(q);
    ask_sqlite(q);
    bool agree = memcmp(q->lines, q->columns, bytes) == 0 && memcmp(q->lines, q->sqlite, bytes) == 0;
    if (!agree)
        say_difference(q);
    return agree;
}

/* ---- for ClickHouse ---- */

static FILE *left(const char *name)
{
    char path[512];
    const char *dir = getenv("LOGD_SQL_OUT");
    snprintf(path, sizeof path, "%s/%s", dir ? dir : "", name);
    FILE *out = dir ? fopen(path, "w") : NULL;
    if (dir && !out) {
        perror(path);
        abort();
    }
    return out;
}

static void leave(const char *name, str bytes)
{
    FILE *out = left(name);
    if (!out)
        return;
    fwrite(bytes.p, 1, bytes.n, out);
    fclose(out);
}

/* One line: the filter, its condition, the ids of the events that match. */
static void leave_case(FILE *out, const struct asking *q)
{
    struct buf b = BUF_INIT(1 << 24), sql = BUF_INIT(1 << 22);
    const char *before = "";
    sql_condition(q->f, SQL_CLICKHOUSE, &sql);
    buf_lit(&b, "{\"filter\":");
    buf_json(&b, q->text);
    buf_lit(&b, ",\"sql\":");
    buf_json(&b, buf_view(&sql));
    buf_lit(&b, ",\"ids\":[");
    for (size_t i = 0; i < q->s->n; i++)
        if (bit_at(q->lines, i)) {
            buf_printf(&b, "%s\"%.*s\"", before, EVENT_ID_LEN, q->s->lines[i].p + sizeof "{\"id\":\"" - 1);
            before = ",";
        }
    buf_lit(&b, "]}\n");
    fwrite(b.p, 1, b.n, out);
    buf_done(&b);
    buf_done(&sql);
}

/* ---- a sample in all forms ---- */

struct trial {
    struct sample s;
    struct arena scratch;
    FILE *cases; /* NULL: none are left */
};

/* t->s is there. */
static void trial_begin(struct trial *t, const char *name)
{
    struct buf binary = BUF_INIT(1 << 28);
    char file[64];
    t->scratch = (struct arena){0};
    load(&t->s, &binary);
    leave("schema", str_of(sql_schema(SQL_CLICKHOUSE)));
    snprintf(file, sizeof file, "%s.rows", name);
    leave(file, buf_view(&binary));
    snprintf(file, sizeof file, "%s.cases", name);
    t->cases = left(file);
    buf_done(&binary);
}

static bool trial_ask(struct trial *t, const struct filter *f, str text, size_t *ret_matched)
{
    struct asking q = {.s = &t->s, .f = f, .text = text, .scratch = &t->scratch};
    arena_reset(&t->scratch);
    bool agree = all_agree(&q, ret_matched);
    if (t->cases)
        leave_case(t->cases, &q);
    return agree;
}

static void trial_end(struct trial *t)
{
    if (t->cases)
        fclose(t->cases);
    sample_done(&t->s);
    arena_done(&t->scratch);
}

/* ---- tests ---- */

/* True: all agreed on all filters of one block. */
static bool block_agrees(unsigned k, struct drawing *d, size_t filters, size_t *ret_some)
{
    static const unsigned sizes[] = {1, 10, 64, 100, 300, 400};
    struct buf text = BUF_INIT(1 << 20);
    struct trial t;
    char name[40];
    bool agree = true;
    snprintf(name, sizeof name, "random%u", k);
    sample_random(&t.s, PICK(sizes));
    trial_begin(&t, name);
    for (size_t i = 0; i < filters && agree; i++) {
        struct filter *f = random_filter(d, t.s.lines[roll((unsigned)t.s.n)], &text);
        size_t matched;
        agree = trial_ask(&t, f, buf_view(&text), &matched);
        *ret_some += matched > 0 && matched < t.s.n;
        filter_free(f);
    }
    trial_end(&t);
    buf_done(&text);
    return agree;
}

TEST(lines_columns_and_sqlite_give_the_same_answers_to_random_filters)
{
    unsigned drawn = start_chance();
    struct drawing *d = xcalloc(1, sizeof *d);
    size_t filters = filters_wanted(FILTERS), some = 0;
    open_db();
    find_real_messages();
    for (unsigned k = 0; k < BLOCKS && !unit_failed; k++)
        if (!block_agrees(k, d, filters / BLOCKS, &some)) {
            printf("block %u, SEED=%u\n", k, drawn);
            unit_failed = true;
        }
    printf("  %zu filters, %zu of them matched some events and not all\n", filters, some);
    CHECK(unit_failed || some > filters / 4);
    close_db();
    arena_done(&d->a);
    free(d);
}

static void check_filter(struct trial *t, const char *text)
{
    struct filter *f;
    struct err e;
    size_t matched;
    if (filter_parse(str_of(text), &f, &e) < 0) {
        printf("%s: %s\n", text, e.text);
        unit_failed = true;
        return;
    }
    CHECK(trial_ask(t, f, str_of(text), &matched));
    filter_free(f);
}

/* Halves between two whole numbers, and those that a double cannot tell apart. */
static const char *const numbers[] = {"0",
                                      "0.5",
                                      "1.5",
                                      "2.5",
                                      "-0.5",
                                      "-1.5",
                                      "-2.5",
                                      "2",
                                      "3",
                                      "-2",
                                      "2.4999999999999996",
                                      "4503599627370496.5",
                                      "4503599627370497.5",
                                      "9007199254740991",
                                      "9007199254740992",
                                      "9007199254740993",
                                      "9007199254740993.0",
                                      "9007199254740994",
                                      "-9007199254740992",
                                      "-9007199254740993",
                                      "-9007199254740994",
                                      "-9223372036854775808",
                                      "9223372036854775807",
                                      "18446744073709551616",
                                      "123456789012345678901",
                                      "123456789012345678902",
                                      "-123456789012345678901",
                                      "-123456789012345678902",
                                      "1e300",
                                      "-1e300"};

static void make_number_event(struct buf *b, const void *ignored, unsigned row)
{
    const char *x = numbers[row % LENGTH(numbers)];
    (void)ignored;
    buf_printf(b, row < LENGTH(numbers) ? "{\"n\":%s,\"n_ns\":%s}" : "{\"n\":\"%s\",\"n_ns\":\"%s\"}", x, x);
}

TEST(numbers_are_rounded_and_compared_in_sql_as_they_are_in_lines)
{
    static const char *const ops[] = {":", "=", "!=", ">", ">=", "<", "<="};
    struct trial t;
    char text[200];
    open_db();
    sample_of(&t.s, make_batch(make_number_event, NULL, 2 * LENGTH(numbers)));
    trial_begin(&t, "numbers");
    for (size_t i = 0; i < LENGTH(numbers); i++)
        for (size_t k = 0; k < LENGTH(ops); k++) {
            snprintf(text, sizeof text, "n%s%s", ops[k], numbers[i]);
            check_filter(&t, text);
            snprintf(text, sizeof text, "n_ns%s%sns", ops[k], numbers[i]);
            check_filter(&t, text);
        }
    trial_end(&t);
    close_db();
}

static const char *const odd_texts[] = {"a b",          "a\\u000bb", "a\\nb",    "A\\u00c9", "aéb", "É",
                                        "a\\u0000b",    "a",         "a\\u0000", "",         "x-0", "Pro",
                                        "a.b(c)[d]{e}", "a\\tb",     "a|b",      "10%_5"};

static void make_text_event(struct buf *b, const void *ignored, unsigned row)
{
    (void)ignored;
    buf_printf(b, "{\"x\":\"%s\"}", odd_texts[row]);
}

TEST(odd_texts_and_regular_expressions_are_the_same_in_sql)
{
    static const char *const filters[] = {"x~\"a\\sb\"",
                                          "x~\"a\\Db\"",
                                          "x~\"a\\W+b\"",
                                          "x~\"a\\Sb\"",
                                          "x~\"a[\\s]b\"",
                                          "x~\"a.b\"",
                                          "x~\"(?s)a.b\"",
                                          "x~\"(?i)pRO\"",
                                          "x~\"\\x41\"",
                                          "x~\"(?i)é\"",
                                          "x~\"\\é\"",
                                          "x~\"^$\"",
                                          "x~\"^a$\"",
                                          "x~\"a|o\"",
                                          "x~\"\\Qa.b(c)[d\"",
                                          "x~\"(?<n>a)b|r\"",
                                          "x~\"[^a]b\"",
                                          "x~\"[]x]\"",
                                          "x~\"[[:space:]]b\"",
                                          "x~\"\\bb\"",
                                          "x~\"\\-0\"",
                                          "x~\"\"",
                                          "x~\"(?:a)(b)?$\"",
                                          "x~\"a{1}\"",
                                          "x:a*b",
                                          "x:*-0*",
                                          "x:*",
                                          "x:a.b(c)*{e}",
                                          "x:A*",
                                          "x:*é*",
                                          "x:10%*",
                                          "x:*_5",
                                          "x>a",
                                          "x>=a",
                                          "x<=\"a\"",
                                          "x<b",
                                          "x=\"\"",
                                          "x:\"\"",
                                          "x=a",
                                          "x:é",
                                          "x:É",
                                          "~\"(?i)PRO$\"",
                                          "~\"\\x50\"",
                                          "É"};
    struct trial t;
    open_db();
    sample_of(&t.s, make_batch(make_text_event, NULL, LENGTH(odd_texts)));
    trial_begin(&t, "texts");
    for (size_t i = 0; i < LENGTH(filters); i++)
        check_filter(&t, filters[i]);
    trial_end(&t);
    close_db();
}

static void check_sql(const char *filter, enum sql_dialect dialect, str want)
{
    struct buf sql = BUF_INIT(1 << 20);
    struct filter *f;
    struct err e;
    CHECK(filter_parse(str_of(filter), &f, &e) == 0);
    sql_condition(f, dialect, &sql);
    CHECK_STR(buf_view(&sql), want);
    filter_free(f);
    buf_done(&sql);
}

TEST(texts_and_names_stand_quoted)
{
    check_sql("`a'b`=\"x' OR 1=1 -- \\\\\"", SQL_CLICKHOUSE,
              S("((has(sk, 'a\\'b') AND (sv[indexOf(sk, 'a\\'b')] = 'x\\' OR 1=1 -- \\\\')))"));
    check_sql("`a'b`=\"x' OR 1=1 -- \\\\\"", SQL_SQLITE,
              S("(EXISTS (SELECT 1 FROM s WHERE event = events.rowid AND k = 'a''b' AND (v = 'x'' OR 1=1 -- \\')))"));
}

TEST(regular_expressions_are_put_as_re2_writes_them)
{
    check_sql("id~\"(?<n>a\\s)[]\\s[:alpha:]\\s]\\s\\Q(?<\\s\\E\\é\"", SQL_CLICKHOUSE,
              S("(((match(id, '[^\\\\x00-\\\\x{10FFFF}]|(?-s)(?P<n>a[\\\\s\\\\x0b])[]\\\\s\\\\x0b[:alpha:]\\\\s\\\\x0b]"
                "[\\\\s\\\\x0b]\\\\Q(?<\\\\s\\\\Eé'))))"));
}

UNIT_MAIN
