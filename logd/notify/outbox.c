/* notify/outbox.c - rows of the outbox: one for each recipient of a mail, with links that are his alone.
 *
 * A row is inserted in the transaction that moves the fold's position. Its Message-ID follows from incident, number and recipient:
 * who is to get the same mail for two reasons gets it once. */
#include "base/hash.h"
#include "base/str.h"
#include "notify/links.h"
#include "notify/private.h"

static void message_id(struct incidents *in, const char *what, int64_t n, const char *to, struct buf *out,
                       struct arena *a)
{
    uint8_t hash[32];
    sha256(str_of(arena_printf(a, "%s %lld %s", what, (long long)n, to)), hash);
    buf_printf(out, "%s.%lld.", what, (long long)n);
    buf_hex(out, hash, 8);
    buf_printf(out, "@%s", in->host);
}

const char notify_schema_channels[] = "ALTER TABLE outbox ADD COLUMN link TEXT NOT NULL DEFAULT '';";

/* What is this recipient's alone: links that he may act with. */
static void own_links(struct incidents *in, const struct outgoing *o, const char *to, struct buf *text,
                      struct buf *html, struct buf *fewer, struct buf *link)
{
    char who[LINK_WHO_LEN + 1], id[64];
    if (in->signs && in->url[0]) {
        link_who(in->key, str_of(to), who);
        snprintf(id, sizeof id, "%s-%s", o->incident, who);
        buf_printf(link, "%s/a/", in->url);
        link_make(in->key, LINK_ACT, str_of(id), o->now + LINK_ACT_ENDS, link);
        buf_printf(fewer, "%s/u/", in->url);
        link_make(in->key, LINK_FEWER, str_of(who), o->now + LINK_FEWER_ENDS, fewer);
    }
    link_fill(o->text, buf_view(link), text);
    struct buf escaped = BUF_INIT(12000);
    buf_html(&escaped, buf_view(link));
    link_fill(o->html, buf_view(&escaped), html);
    buf_done(&escaped);
}

int put_in_outbox(struct incidents *in, const char *to, const struct outgoing *o, struct arena *a, struct err *e)
{
    struct buf id = BUF_INIT(500), text = BUF_INIT(70000), html = BUF_INIT(110000), fewer = BUF_INIT(2000),
               link = BUF_INIT(2000);
    message_id(in, o->incident, o->number, to, &id, a);
    own_links(in, o, to, &text, &html, &fewer, &link);
    sqlite3_stmt *st = db_stmt(
        in->db, "INSERT OR IGNORE INTO outbox(incident, rcpt, kind, rule, subject, text, html, message_id, host,"
                " event, events, key, unsubscribe, link, signals, rank, created, not_before, status)"
                " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?16, ?17, ?17, 'queued')");
    str texts[] = {str_of(o->incident), str_of(to),      str_of(o->kind),  str_of(o->rule), o->subject,
                   buf_view(&text),     buf_view(&html), buf_view(&id),    str_of(o->host), str_of(o->event),
                   o->events,           str_of(o->key),  buf_view(&fewer), buf_view(&link)};
    for (int i = 0; i < (int)LENGTH(texts); i++)
        db_bind_str(st, i + 1, texts[i].p ? texts[i] : S(""));
    sqlite3_bind_int64(st, 15, o->signals);
    sqlite3_bind_int(st, 16, o->rank);
    sqlite3_bind_int64(st, 17, o->now);
    int rc = db_run(in->db, st, e);
    buf_done(&id);
    buf_done(&text);
    buf_done(&html);
    buf_done(&fewer);
    buf_done(&link);
    return rc;
}
