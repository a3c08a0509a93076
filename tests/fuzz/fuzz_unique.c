/* The body of a record of unique counts, whatever its bytes: it is read up to where it stops making sense; what is sifted
 * is smaller, whole, and leaves nothing the second time; the fold takes it. */
#include "base/str.h"
#include "stats/stats.h"
#include "stats/unique.h"

static const usec now = 1767225600 * USEC_PER_SEC;

static size_t places_in(str body, bool *ret_whole)
{
    struct unique_entry x;
    size_t n = 0;
    while (unique_next(&body, &x))
        n += x.n;
    *ret_whole = body.n == 0;
    return n;
}

static void fold(str body)
{
    static struct db *db;
    const char *const steps[] = {stats_schema, unique_schema, unique_schema_noise};
    struct err e;
    if (!db && db_open(":memory:", DB_NORMAL, steps, LENGTH(steps), &db, &e) < 0)
        abort();
    struct uniques *u = uniques_new(db);
    bool sealed = false;
    if (uniques_apply(u, 1, body, &e) < 0 || uniques_seal(u, now, &sealed, &e) < 0 ||
        db_exec(db, "DELETE FROM unique_sealed; DELETE FROM unique_cell; DELETE FROM unique_open", &e) < 0)
        abort();
    uniques_free(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct unique_live *live = unique_live_new();
    struct buf body = BUF_INIT(SIZE_MAX / 2), again = BUF_INIT(SIZE_MAX / 2);
    bool whole;
    buf_add(&body, data, size);
    buf_add(&again, data, size);
    fold(buf_view(&body));
    size_t before = places_in(buf_view(&body), &whole);
    unique_sift(live, 1, &body, INT64_MIN); /* before any period is closed, and forgotten */
    assert(body.n <= size && places_in(buf_view(&body), &whole) <= before && whole);
    unique_sifted(live, true);
    unique_sift(live, 1, &again, INT64_MIN);
    assert(again.n == 0);
    unique_sifted(live, false);
    unique_live_free(live);
    buf_done(&body);
    buf_done(&again);
    return 0;
}
