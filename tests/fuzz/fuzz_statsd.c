/* Any packet: each line is refused with a reason or read; its numbers are finite, its event is JSON, and what is added up
 * is a record that the fold reads whole. */
#include "base/str.h"
#include "event/json.h"
#include "intake/statsd.h"
#include "stats/gather.h"

#include <math.h>

static const usec now = 1767225600 * USEC_PER_SEC;

static struct db *empty_db(void)
{
    static struct db *db;
    const char *const steps[] = {stats_schema, stats_schema_types, stats_schema_packed};
    struct err e;
    if (!db && db_open(":memory:", DB_NORMAL, steps, LENGTH(steps), &db, &e) < 0)
        abort();
    if (db_exec(db, "DELETE FROM stat_series; DELETE FROM stat_cell; DELETE FROM stat_sample", &e) < 0)
        abort();
    return db;
}

static struct gathered *series_of(struct gather *g, const struct statsd_line *l, struct db *db)
{
    static const str types[] = {S("count"), S("gauge"), S("timing")};
    struct statsd_tag tag[STATSD_TAGS];
    str names[STATSD_TAGS], values[STATSD_TAGS];
    struct gathered *ret = gather_find(g, l->series);
    struct err e = {0};
    size_t n;
    if (ret || statsd_tags(l->tags, tag, &n) < 0)
        return ret;
    for (size_t i = 0; i < n; i++)
        names[i] = tag[i].name, values[i] = tag[i].value;
    struct gather_series s = {1, l->name, types[l->kind], names, values, n, l->time};
    if (gather_make(g, l->series, &s, db, &ret, &e) < 0)
        assert(e.kind == ERR_INPUT && e.text[0] && e.pointer[0]);
    return ret;
}

static void one(struct gather *g, str text, struct db *db)
{
    struct statsd_line l;
    enum statsd_reason why = STATSD_REASONS;
    struct buf json = BUF_INIT(1 << 20);
    double v;
    bool by;
    int rc;
    if (statsd_read(text, &l, &why) < 0) {
        assert(why < STATSD_REASONS && statsd_reasons[why].name);
    } else if (l.kind >= STATSD_EVENT) {
        if (statsd_event(&l, &json, &why) < 0)
            assert(why < STATSD_REASONS);
        else
            assert(json_valid(buf_view(&json), 8));
    } else if (l.kind != STATSD_SET) {
        struct gathered *s = series_of(g, &l, db);
        while ((rc = statsd_value(&l.values, &v, &by)) != 0)
            if (rc > 0) {
                assert(isfinite(v));
                if (s && gather_add(g, s, v, 1 / l.rate, by))
                    assert(gather_waits(g));
            }
    }
    buf_done(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct db *db = empty_db();
    struct gather *g = gather_new();
    struct batch *b = batch_new(RECORD_STATS, 1, now);
    struct err e;
    for (str rest = str_n((const char *)data, size); rest.n;)
        one(g, str_cut(&rest, '\n'), db);
    if (!gather_flush(g, now, b) || stats_apply(db, 1, NULL, buf_view(&b->body), &e) < 0)
        abort();
    for (str rest = buf_view(&b->body); rest.n;)
        assert(json_valid(str_cut(&rest, '\n'), 8));
    batch_free(b);
    gather_free(g);
    return 0;
}
