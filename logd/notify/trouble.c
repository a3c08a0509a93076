/* notify/trouble.c - mails that do not get out: told to others, and by another way.
 *
 *   refused for good (5xx)             the mail goes to the next recipient; an incident about that recipient, P2, to the others
 *   the server refuses our login       every mail goes to the next webhook; an incident, P1
 *   ten minutes, and it still waits    a P1 goes to the next recipient who is reached another way; an incident: P1 for the
 *                                      mail server, P2 for a webhook
 *
 * The sender marks a row (trouble = 1), or its age does; what follows from it happens here, in a transaction of the fold, once
 * (trouble = 2). The next recipient is the next of the config, then from its beginning, who was not sent that mail; what is P3 goes
 * to nobody who did not ask for P3. A mail that was handed on and fails too is handed on again, until all were tried. */
#include "base/clock.h"
#include "base/str.h"
#include "notify/links.h"
#include "notify/private.h"

const char notify_schema_trouble[] =
    "ALTER TABLE outbox ADD COLUMN trouble INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX outbox_trouble ON outbox(id) WHERE trouble = 1;"
    "CREATE INDEX outbox_waits ON outbox(created) WHERE status = 'queued' AND trouble = 0;";

#define REFUSED "mail-refused"
#define STUCK "mail-stuck"
#define LATE (10 * MINUTE)
#define UNTRIED (60 * USEC_PER_SEC) /* by the clock that nobody sets */

struct lost {
    int64_t id;
    int rank;
    bool failed, denied; /* neither: it waits too long */
    char *incident, *to, *kind, *rule, *key, *host, *event, *events, *subject, *text, *html, *link, *message_id, *said;
};

static bool is_hook(const char *to) { return strncmp(to, WEBHOOK, strlen(WEBHOOK)) == 0; }
static bool is_own(const char *rule) { return strcmp(rule, REFUSED) == 0 || strcmp(rule, STUCK) == 0; }

bool is_about_troubles_of(const struct incidents *in, const struct strand *s, const char *to)
{
    bool hooks = false;
    if (strcmp(s->rule, REFUSED) == 0)
        return strncmp(s->key, "recipient=", 10) == 0 && strcmp(s->key + 10, to) == 0;
    if (strcmp(s->rule, STUCK) != 0)
        return is_about_bounces_of(s, to);
    if (is_hook(to))
        return strcmp(s->key + strlen("channel="), to) == 0;
    for (size_t i = 0; i < in->to_n; i++)
        hooks |= is_hook(in->to[i].to);
    return hooks && strcmp(s->key, "channel=mail") == 0; /* without another way it is said there, later */
}

/* ---- reading ---- */
static int load(struct incidents *in, usec now, bool untried, struct lost *ret, struct arena *a, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        in->db,
        "SELECT incident, rcpt, kind, rule, key, host, event, events, subject, text, html, link, message_id,"
        " coalesce(response, ''), id, rank, status, trouble FROM outbox WHERE id = (SELECT min(id) FROM"
        " (SELECT min(id) AS id FROM outbox WHERE trouble = 1 UNION ALL SELECT min(id) FROM outbox"
        " INDEXED BY outbox_waits WHERE status = 'queued' AND trouble = 0 AND created <= ?1 AND (tries > 0 OR ?2)))");
    sqlite3_bind_int64(st, 1, now - LATE);
    sqlite3_bind_int(st, 2, untried);
    int rc = db_step(in->db, st, e);
    if (rc <= 0)
        return rc;
    char **texts[] = {&ret->incident, &ret->to,      &ret->kind, &ret->rule, &ret->key,  &ret->host,       &ret->event,
                      &ret->events,   &ret->subject, &ret->text, &ret->html, &ret->link, &ret->message_id, &ret->said};
    for (int i = 0; i < (int)LENGTH(texts); i++)
        *texts[i] = arena_printf(a, "%.*s", STR_ARG(db_str(st, i)));
    ret->id = sqlite3_column_int64(st, 14);
    ret->rank = sqlite3_column_int(st, 15);
    ret->failed = str_eq(db_str(st, 16), S("failed"));
    ret->denied = !ret->failed && sqlite3_column_int(st, 17) == 1;
    sqlite3_reset(st);
    return 1;
}

/* ---- the incident ---- */
static int raise(struct incidents *in, const struct lost *l, usec now, struct arena *a, struct err *e)
{
    const char *channel = is_hook(l->to) ? l->to : "mail", *who = is_hook(l->to) ? l->to : "the mail server";
    struct signal s = {.detail = str_of(l->said),
                       .points = S("the rule says so"),
                       .rank = l->failed || is_hook(l->to) ? 2 : 1,
                       .digest = l->failed ? DAY : HOUR,
                       .env = S(ENV_OWN)};
    if (is_own(l->rule))
        return 0;
    if (l->failed) {
        s.rule = S(REFUSED);
        s.why = S("mails to a recipient are refused");
        s.run = S("correct the recipient in the config, or ask whoever runs that server");
        s.key = str_of(arena_printf(a, "recipient=%s", l->to));
        s.title = str_of(arena_printf(a, "Mails to %s are refused", l->to));
    } else {
        s.rule = S(STUCK);
        s.why = l->denied ? S("the mail server refuses the login") : S("mails have waited for ten minutes");
        s.run = S("see `logd doctor` and `logd mail test`; what waits is sent when the server takes it");
        s.key = str_of(arena_printf(a, "channel=%s", channel));
        s.title = str_of(l->denied ? arena_printf(a, "Mails do not get out: %s refuses the login", who)
                                   : arena_printf(a, "Mails do not get out: %s has not taken one for 10 minutes", who));
    }
    return incidents_signal(in, &s, now, a, e);
}

/* ---- the next recipient ---- */
static int was_sent(struct incidents *in, const struct lost *l, const char *to, struct err *e)
{
    str id = str_of(l->message_id); /* INCIDENT.NUMBER.… */
    ptrdiff_t incident = str_chr(id, '.'),
              number = incident < 0 ? -1 : str_chr(str_skip(id, (size_t)incident + 1), '.');
    sqlite3_stmt *st = db_stmt(
        in->db, "SELECT 1 FROM outbox WHERE incident = ?1 AND rcpt = ?2 AND substr(message_id, 1, length(?3)) = ?3");
    db_bind_str(st, 1, str_of(l->incident));
    db_bind_str(st, 2, str_of(to));
    db_bind_str(st, 3, number < 0 ? id : str_head(id, (size_t)(incident + 1 + number + 1)));
    int rc = db_step(in->db, st, e);
    sqlite3_reset(st);
    return rc;
}

/* 1 and who; 0: nobody is left. */
static int next_recipient(struct incidents *in, const struct lost *l, const char **ret, struct err *e)
{
    size_t from = 0;
    for (size_t i = 0; i < in->to_n; i++)
        if (strcmp(in->to[i].to, l->to) == 0)
            from = i + 1;
    for (size_t i = 0; i < in->to_n; i++) {
        const struct recipient *to = &in->to[(from + i) % in->to_n];
        int min;
        if (strcmp(to->to, l->to) == 0 || (!l->failed && !is_hook(l->to) && !is_hook(to->to)))
            continue;
        if (contact_min(in, to, &min, e) < 0)
            return -1;
        if (l->rank > 2 && (l->rank > min || to->after))
            continue;
        int sent = was_sent(in, l, to->to, e);
        if (sent < 0)
            return -1;
        if (sent == 0) {
            *ret = to->to;
            return 1;
        }
    }
    return 0;
}

/* `body` with the mark again in place of the link that was another's. */
static void unlink_body(str body, str link, struct buf *out)
{
    ptrdiff_t at;
    while (link.n && (at = str_find(body, link)) >= 0) {
        buf_str(out, str_head(body, (size_t)at));
        buf_byte(out, LINK_MARK);
        body = str_skip(body, (size_t)at + link.n);
    }
    buf_str(out, body);
}

static void html_with(const struct lost *l, str note, struct buf *out)
{
    struct buf link = BUF_INIT(12000);
    str html = str_of(l->html);
    ptrdiff_t body = str_find(html, S("<body")), end = body < 0 ? -1 : str_chr(str_skip(html, (size_t)body), '>');
    size_t head = end < 0 ? 0 : (size_t)(body + end) + 1;
    buf_html(&link, str_of(l->link));
    buf_str(out, str_head(html, head));
    buf_lit(out, "<p>");
    buf_html(out, note);
    buf_lit(out, "</p>");
    unlink_body(str_skip(html, head), buf_view(&link), out);
    buf_done(&link);
}

static int hand_on(struct incidents *in, const struct lost *l, const char *to, usec now, struct arena *a, struct err *e)
{
    struct buf text = BUF_INIT(80000), html = BUF_INIT(130000);
    str id = str_of(l->message_id), rest = str_skip(id, strlen(l->incident) + 1);
    int64_t number = 0;
    if (!str_i64(str_cut(&rest, '.'), &number))
        number = 0;
    const char *note = arena_printf(a, "This was meant for %s, who could not be reached: %s", l->to,
                                    l->said[0] ? l->said : "it waits to be sent");
    buf_printf(&text, "%s\n\n", note);
    unlink_body(str_of(l->text), str_of(l->link), &text);
    html_with(l, str_of(note), &html);
    struct outgoing o = {.incident = l->incident,
                         .kind = l->kind,
                         .rule = l->rule,
                         .key = l->key,
                         .host = l->host,
                         .event = l->event,
                         .number = number,
                         .rank = l->rank,
                         .subject = str_of(l->subject),
                         .text = buf_view(&text),
                         .html = buf_view(&html),
                         .events = str_of(l->events),
                         .now = now};
    int rc = put_in_outbox(in, to, &o, a, e);
    buf_done(&text);
    buf_done(&html);
    return rc;
}

static int settle(struct incidents *in, const struct lost *l, usec now, struct arena *a, struct err *e)
{
    const char *to = NULL, *kind = l->failed ? "refused" : l->denied ? "denied" : "late";
    bool at_once = strcmp(l->kind, "immediate") == 0 || strcmp(l->kind, "reminder") == 0;
    if (at_once && (l->failed || l->denied || l->rank == 1) && next_recipient(in, l, &to, e) < 0)
        return -1;
    if (to && hand_on(in, l, to, now, a, e) < 0)
        return -1;
    const char *reason = arena_printf(a, "the mail to %s %s: %s; %s%s", l->to,
                                      l->failed ? "was refused" : "could not be sent so far", l->said,
                                      to ? "handed on to " : "not handed on to anybody", to ? to : "");
    sqlite3_stmt *st = db_stmt(in->db, "UPDATE outbox SET trouble = 2 WHERE id = ?");
    sqlite3_bind_int64(st, 1, l->id);
    return db_run(in->db, st, e) < 0 || decide(in, str_of(l->incident), now, kind, reason, e) < 0
               ? -1
               : raise(in, l, now, a, e);
}

/* Whether what was never tried counts: the sender does not move. A clock that is set forward makes no mail old. */
static bool is_untried(struct incidents *in, usec now, usec oldest)
{
    if (oldest > now - LATE)
        in->untried = 0;
    else if (!in->untried)
        in->untried = clock_mono();
    return in->untried && clock_mono() - in->untried > UNTRIED;
}

static int oldest_waiting(struct incidents *in, usec *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(in->db, "SELECT min(created) FROM outbox INDEXED BY outbox_waits"
                                       " WHERE status = 'queued' AND trouble = 0");
    if (db_step(in->db, st, e) < 0)
        return -1;
    *ret = sqlite3_column_type(st, 0) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return 0;
}

int trouble_due(struct incidents *in, usec now, struct err *e)
{
    struct arena a = {0};
    usec oldest;
    int rc;
    if (!in->signs) /* who only tries rules sends nothing */
        return 0;
    if (oldest_waiting(in, &oldest, e) < 0)
        return -1;
    bool untried = is_untried(in, now, oldest);
    do {
        struct lost l;
        rc = load(in, now, untried, &l, &a, e);
        if (rc > 0)
            rc = settle(in, &l, now, &a, e) < 0 ? -1 : 1;
        arena_reset(&a);
    } while (rc > 0);
    arena_done(&a);
    return rc;
}

int trouble_next(struct incidents *in, usec now, usec *ret, struct err *e)
{
    usec oldest = INT64_MAX;
    if (in->signs && oldest_waiting(in, &oldest, e) < 0)
        return -1;
    *ret = oldest == INT64_MAX ? INT64_MAX : oldest + LATE > now ? oldest + LATE : now + MINUTE / 4;
    return 0;
}
