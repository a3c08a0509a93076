/* Any bytes may be posted as stats: each object is a line that is folded, or a refusal with one sentence; then the sums
 * are what the lines said. */
#include "base/str.h"
#include "stats/stats.h"
#include "stats/unique.h"

#include <jansson.h>

static const usec now = 1767225600 * USEC_PER_SEC;

static struct db *empty_db(void)
{
    static struct db *db;
    const char *const steps[] = {stats_schema, stats_schema_types, stats_schema_packed, unique_schema,
                                 unique_schema_noise};
    struct err e;
    if (!db && db_open(":memory:", DB_NORMAL, steps, LENGTH(steps), &db, &e) < 0)
        abort();
    if (db_exec(db,
                "DELETE FROM stat_series; DELETE FROM stat_cell; DELETE FROM stat_sample;"
                " DELETE FROM unique_series; DELETE FROM unique_open",
                &e) < 0)
        abort();
    return db;
}

/* An answer is JSON, and says what the names' list says. */
static json_int_t total_of(struct db *db, const char *name, const char *by)
{
    struct stats_query q = {.name = str_of(name), .by = str_of(by), .from = INT64_MIN, .to = INT64_MAX};
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct err e;
    if (stats_json(db, &q, &out, &e) < 0)
        abort();
    json_t *o = json_loadb(out.p, out.n, 0, NULL);
    assert(o);
    json_int_t total = json_integer_value(json_object_get(o, "total"));
    json_decref(o);
    buf_done(&out);
    return total;
}

static void put_app(void *arg, uint32_t app, struct buf *out)
{
    (void)arg;
    buf_printf(out, "\"app-%u\"", app);
}

static void check_answers(struct db *db)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct err e;
    if (stats_names_json(db, 0, put_app, NULL, &out, &e) < 0)
        abort();
    json_t *all = json_loadb(out.p, out.n, 0, NULL), *o;
    size_t i;
    assert(all);
    json_array_foreach(json_object_get(all, "stats"), i, o)
    {
        const char *name = json_string_value(json_object_get(o, "name"));
        if (strcmp(json_string_value(json_object_get(o, "type")), "unique") == 0) {
            (void)total_of(db, name, "hour");
            continue;
        }
        json_int_t total = total_of(db, name, "minute");
        assert(total == total_of(db, name, "week") && total == total_of(db, name, "year"));
        if (json_array_size(json_object_get(all, "stats")) == 1 && json_object_get(o, "total"))
            assert(total == json_integer_value(json_object_get(o, "total")));
    }
    json_decref(all);
    buf_done(&out);
}

/* Every id that was taken has its places or was late, and none of its bytes is kept. Frees ids. */
static void fold_ids(struct db *db, struct unique_batch *ids, const struct batch *b)
{
    struct batch *places = batch_new(RECORD_UNIQUE, 1, 0);
    struct uniques *fold = uniques_new(db);
    struct unique_entry x;
    struct err e;
    uint64_t late = unique_late_total();
    unique_write(ids, places);
    unique_batch_free(ids);
    str rest = buf_view(&places->body);
    size_t n = 0;
    while (unique_next(&rest, &x))
        n += x.n;
    assert(rest.n == 0 && (n || b->accepted == b->events || unique_late_total() > late));
    if (uniques_apply(fold, 1, buf_view(&places->body), &e) < 0 || uniques_flush(fold, &e) < 0)
        abort();
    uniques_free(fold);
    batch_free(places);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct secrets *secrets;
    struct db *db = empty_db();
    struct batch *b = batch_new(RECORD_STATS, 1, now);
    struct err e = {0};
    secrets = secrets ? secrets : secrets_open("fuzz", now);
    struct unique_batch *ids = unique_batch_new(secrets, 1, true, now);
    if (stats_read(str_n((const char *)data, size), now, db, ids, b, &e) < 0)
        assert(e.kind == ERR_INPUT && e.text[0]);
    else
        assert(b->accepted >= b->events && (!b->rejected || b->first_error[0]));
    if (stats_apply(db, 1, NULL, buf_view(&b->body), &e) < 0)
        abort();
    fold_ids(db, ids, b);
    check_answers(db);
    batch_free(b);
    return 0;
}
