/* notify/digest.c - the digest of the day: what was not mailed at once, for each recipient. */
#include "base/clock.h"
#include "base/str.h"
#include "notify/body.h"
#include "notify/private.h"

static int write_digest(struct incidents *in, const char *to, usec now, struct arena *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db,
                               "SELECT min(rank), title, rule, sum(n), reason, incident FROM digest_item WHERE rcpt = ?"
                               " GROUP BY incident, rule, title ORDER BY min(rank), sum(n) DESC");
    struct digest_mail d = {.now = now, .url = str_of(in->url), .text = BUF_INIT(60000), .html = BUF_INIT(100000)};
    struct buf subject = BUF_INIT(200);
    int rc, rank = 5;
    db_bind_str(st, 1, str_of(to));
    body_digest_begin(&d);
    while ((rc = db_step(in->db, st, e)) > 0) {
        rank = sqlite3_column_int(st, 0) < rank ? sqlite3_column_int(st, 0) : rank;
        body_digest_line(&d, sqlite3_column_int(st, 0), db_str(st, 1), db_str(st, 2),
                         (uint64_t)sqlite3_column_int64(st, 3), db_str(st, 4), db_str(st, 5));
    }
    body_digest_end(&d);
    if (rc == 0 && d.n) {
        char at[TIME_TEXT_MAX];
        time_print(now * NSEC_PER_USEC, 0, at);
        buf_printf(&subject, "[logd] %zu of the last day, %.10s", d.n, at);
        struct outgoing o = {.incident = "digest",
                             .kind = "digest",
                             .rule = "digest",
                             .key = "",
                             .signals = (int64_t)d.n,
                             .host = "",
                             .event = "",
                             .number = now / MINUTE,
                             .rank = rank,
                             .subject = buf_view(&subject),
                             .text = buf_view(&d.text),
                             .html = buf_view(&d.html),
                             .now = now};
        rc = put_in_outbox(in, to, &o, a, e);
    }
    buf_done(&d.text);
    buf_done(&d.html);
    buf_done(&subject);
    return rc < 0 ? -1 : run_with(in, "DELETE FROM digest_item WHERE rcpt = ?", str_of(to), e);
}

int flush_digest(struct incidents *in, usec now, struct err *e)
{
    usec of_day = (usec)in->digest_minute * MINUTE, next = (now - of_day) / DAY * DAY + of_day + DAY;
    struct arena a = {0};
    int rc = 0;
    bool due = in->digest_due && now >= in->digest_due;
    for (size_t i = 0; due && rc == 0 && i < in->to_n; i++)
        rc = write_digest(in, in->to[i].to, now, &a, e);
    if (due && rc == 0)
        rc = weekly_due(in, now, e);
    arena_done(&a);
    in->digest_due = next;
    return rc;
}
