/* notify/bounced.c - a mail that came back: its row of the outbox says so, and for good, the other recipients are told.
 *
 * Nobody is taken off the list for it: what is urgent is tried all the same. A notice about a bounce does not go to him whose
 * mails bounce, and its own bounces raise nothing. */
#include "base/str.h"
#include "notify/private.h"

#define RULE "mail-bounced"

int outbox_has(struct db *read, str message_id, struct err *e)
{
    sqlite3_stmt *st = db_stmt(read, "SELECT 1 FROM outbox WHERE message_id = ?");
    db_bind_str(st, 1, message_id);
    int rc = db_step(read, st, e);
    sqlite3_reset(st);
    return rc == 0
               ? err_set(e, ERR_GONE, "no mail of ours has the Message-ID \"%.*s\"", STR_ARG(str_head(message_id, 100)))
           : rc < 0 ? -1
                    : 0;
}

bool is_about_bounces_of(const struct strand *s, const char *to)
{
    return strcmp(s->rule, RULE) == 0 && strncmp(s->key, "recipient=", 10) == 0 && strcmp(s->key + 10, to) == 0;
}

static int raise(struct incidents *in, const char *to, const char *reason, usec now, struct arena *a, struct err *e)
{
    struct signal s = {.rule = S(RULE),
                       .why = S("mails of a recipient come back"),
                       .run = S("correct the address in the config, or ask whoever runs its mail server"),
                       .key = str_of(arena_printf(a, "recipient=%s", to)),
                       .detail = str_of(reason),
                       .rank = 2,
                       .points = S("the rule says so"),
                       .digest = DAY,
                       .env = S(ENV_OWN),
                       .title = str_of(arena_printf(a, "Mails to %s come back", to))};
    return incidents_signal(in, &s, now, a, e);
}

int bounce_apply(struct incidents *in, json_t *o, usec now, struct err *e)
{
    const char *id = json_string_value(json_object_get(o, "bounce")),
               *status = json_string_value(json_object_get(o, "status")),
               *said = json_string_value(json_object_get(o, "said"));
    bool permanent = json_is_true(json_object_get(o, "permanent"));
    struct arena a = {0};
    sqlite3_stmt *st = db_stmt(in->db, "SELECT rcpt, incident, rule FROM outbox WHERE message_id = ?");
    db_bind_str(st, 1, str_of(id));
    int rc = db_step(in->db, st, e);
    if (rc <= 0)
        return rc;
    char *to = arena_printf(&a, "%.*s", STR_ARG(db_str(st, 0)));
    str incident = arena_str(&a, db_str(st, 1));
    bool own = str_eq(db_str(st, 2), S(RULE));
    sqlite3_reset(st);
    const char *reason = arena_printf(&a, "the mail to %s came back%s: %s %s", to, permanent ? " for good" : "",
                                      status ? status : "", said ? said : "");
    st = db_stmt(in->db, "UPDATE outbox SET status = CASE WHEN ?1 THEN 'bounced' ELSE status END, response = ?2"
                         " WHERE message_id = ?3");
    sqlite3_bind_int(st, 1, permanent);
    db_bind_str(st, 2, str_of(reason));
    db_bind_str(st, 3, str_of(id));
    rc = db_run(in->db, st, e) < 0 || decide(in, incident, now, "bounced", reason, e) < 0 ||
                 (permanent && !own && raise(in, to, reason, now, &a, e) < 0)
             ? -1
             : 0;
    arena_done(&a);
    return rc;
}
