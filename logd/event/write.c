/* How an event is written, once all of it is read, settled and found good: what logd says of it first, then what the
 * sender said, in the sender's order. A line that would be too long is taken back: the batch is as it was. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "event/scrub.h"
#include "event/writer.h"

static void write_head(struct event_writer *w, const struct event_source *src, const struct settled *s, struct batch *b)
{
    char time[TIME_TEXT_MAX], id[EVENT_ID_LEN];
    struct buf *out = &b->body;
    event_id_print(b->recv_us, b->events, id);
    buf_lit(out, "{\"id\":\"");
    buf_add(out, id, sizeof id);
    if (s->id) {
        buf_lit(out, "\",\"event_id\":");
        value_write_string(w, s->id->raw, s->id->flags, out);
        buf_lit(out, ",\"time\":\"");
    } else {
        buf_lit(out, "\",\"time\":\"");
    }
    buf_str(out, s->time_text.p ? s->time_text : (str){time, time_print(s->time, s->digits, time)});
    buf_lit(out, "\",\"app\":\"");
    json_encode(out, src->app);
    buf_lit(out, "\",\"level\":\"");
    buf_str(out, level_name(s->severity));
    buf_lit(out, "\",\"severity_number\":");
    if (s->severity >= 10)
        buf_byte(out, (char)('0' + s->severity / 10));
    buf_byte(out, (char)('0' + s->severity % 10));
}

static bool has_member(const struct event_writer *w, str name)
{
    for (size_t i = 0; i < w->n; i++)
        if (!w->m[i].dropped && str_eq(w->m[i].name, name))
            return true;
    return false;
}

/* ,"name":"text" without secrets. */
static void write_own(struct buf *out, const char *name, str text)
{
    struct buf scrubbed = BUF_INIT(2 * (size_t)LIMIT_EVENT);
    scrubbed.secret = true;
    bool clean = scrub_clean(text, &scrubbed);
    buf_printf(out, ",\"%s\":\"", name);
    json_encode(out, clean ? text : buf_view(&scrubbed));
    buf_byte(out, '"');
    buf_done(&scrubbed);
}

/* A page's error says its type and message once: what the two say together is the event's message. */
static void write_error_message(struct event_writer *w, struct buf *out)
{
    struct member *type = w->best[PART_ERROR_TYPE], *message = w->best[PART_ERROR_MESSAGE];
    struct buf text = BUF_INIT(2 * (size_t)LIMIT_EVENT);
    if (w->best[PART_MESSAGE] || !message || message->kind != J_STRING || !type || type->kind != J_STRING)
        return;
    text.secret = true;
    buf_str(&text, value_decoded(w, type->raw, type->flags));
    buf_lit(&text, ": ");
    buf_str(&text, value_decoded(w, message->raw, message->flags));
    write_own(out, "message", buf_view(&text));
    buf_done(&text);
}

static void write_run(struct buf *out, str *run)
{
    if (run->n) {
        buf_byte(out, ',');
        buf_str(out, *run);
    }
    *run = (str){NULL, 0};
}

/* What stood side by side in the object and is written as it stood is written in one piece. */
static void write_members(struct event_writer *w, const struct event_source *src, struct buf *out)
{
    str run = {NULL, 0}, one;
    for (size_t i = 0; i < w->n; i++) {
        const struct member *m = &w->m[i];
        if (m->dropped || (src->browser && str_eq(m->name, S("trust"))))
            continue;
        if (UNLIKELY(!value_verbatim(w, m, &one))) {
            write_run(out, &run);
            value_write(w, m, out);
        } else if (run.n && run.p + run.n + 1 == one.p && run.p[run.n] == ',') {
            run.n += 1 + one.n;
        } else {
            write_run(out, &run);
            run = one;
        }
    }
    write_run(out, &run);
    if (src->browser) {
        write_error_message(w, out);
        buf_lit(out, ",\"trust\":\"browser\"");
        if (src->ip.n && !w->best[PART_IP]) {
            buf_lit(out, ",\"ip\":\"");
            json_encode(out, src->ip);
            buf_byte(out, '"');
        }
        if (src->agent.n && !has_member(w, S("http.user_agent")))
            write_own(out, "http.user_agent", src->agent);
    }
    buf_lit(out, "}\n");
}

/* Two events of one app with the same id are the same, also when the id looks like a secret: it is hashed as it came. */
static uint64_t id_hash(struct event_writer *w, const struct event_source *src, const struct settled *s,
                        const struct batch *b)
{
    char text[LIMIT_APP + 1 + LIMIT_EVENT_ID];
    str id = value_decoded(w, s->id->raw, s->id->flags), app = str_head(src->app, LIMIT_APP);
    memcpy(text, app.p, app.n);
    text[app.n] = '\0';
    memcpy(text + app.n + 1, id.p, id.n);
    uint64_t hash = siphash(b->id_key, (str){text, app.n + 1 + id.n});
    explicit_bzero(text, sizeof text);
    return hash;
}

int event_write(struct event_writer *w, const struct event_source *src, const struct settled *s, struct batch *b,
                struct err *e)
{
    size_t from = b->body.n,
           most = 4096 + 2 * (size_t)(src->max_event ? src->max_event : LIMIT_EVENT); /* dotted names are longer */
    write_head(w, src, s, b);
    write_members(w, src, &b->body);
    if (b->body.full || b->body.n - from > most) {
        size_t n = b->body.n - from;
        bool full = b->body.full;
        b->body.n = from;
        b->body.full = false;
        if (full)
            return err_set(e, ERR_FULL, "expected at most %zu bytes of events in a request, as stored", b->body.max);
        return err_set(e, ERR_INPUT, "expected an event of at most %zu bytes as stored, got %zu", most, n);
    }
    if (s->id)
        batch_add_id(b, id_hash(w, src, s, b), from, b->body.n - from);
    b->events++;
    b->accepted++;
    if (s->time < b->t_min)
        b->t_min = s->time;
    if (s->time > b->t_max)
        b->t_max = s->time;
    return 0;
}
