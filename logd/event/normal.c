/* What a posted object means: its leaves are gathered under dotted names, the names that several senders use for one
 * thing are settled, then the line is written (write.c). Nothing reaches the batch before the whole object was read
 * and found good, and nothing reaches it unscrubbed. */
#include "base/clock.h"
#include "base/str.h"
#include "event/scrub.h"
#include "event/writer.h"

#include <stdarg.h>

_Static_assert(LIMIT_FIELDS + 1 <= 1 << 11, "an index of a member has 11 bits in a slot");
enum { NAMES_BYTES = 1 << 20, EPOCH_MAX = (1 << 21) - 1, SEVERITY_NUMBER = 2 /* its rank */ };

struct event_writer *event_writer_new(void)
{
    struct event_writer *w = xcalloc(1, sizeof *w);
    names_init(&w->names);
    buf_init(&w->text, NAMES_BYTES);
    (void)buf_grow(&w->text, NAMES_BYTES);
    buf_init(&w->scrubbed, 16 * (size_t)LIMIT_EVENT);
    return w;
}

void event_writer_free(struct event_writer *w)
{
    if (!w)
        return;
    buf_done(&w->text);
    buf_done(&w->decoded);
    buf_done(&w->scrubbed);
    free(w);
}

/* ---- refusing ---- */

/* What came, for a sentence: scrubbed, and not more than 60 bytes of it. */
static const char *came(struct event_writer *w, const struct member *m, char out[80])
{
    static const char *const kinds[] = {
        [J_NULL] = "null", [J_FALSE] = "false", [J_TRUE] = "true", [J_ARRAY] = "an array", [J_OBJECT] = "an object"};
    str s = m->secret.p ? S("[redacted]") : value_scrubbed(w, value_decoded(w, m->raw, m->flags));
    if (kinds[m->kind])
        return m->kind == J_ARRAY && m->raw.p[0] == '{' ? kinds[J_OBJECT] : kinds[m->kind];
    size_t n = s.n < 60 ? s.n : 60;
    while (n < s.n && n > 56 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    snprintf(out, 80, m->kind == J_STRING ? "\"%.*s%s\"" : "%.*s%s", (int)n, s.p, n < s.n ? "…" : "");
    return out;
}

/* A pointer is made of names, and a name may hold a secret. */
static int scrub_pointer(struct event_writer *w, struct err *e)
{
    str pointer = str_of(e->pointer), clean = value_scrubbed(w, pointer);
    if (clean.p != pointer.p) {
        explicit_bzero(e->pointer, sizeof e->pointer);
        snprintf(e->pointer, sizeof e->pointer, "%.*s", STR_ARG(clean));
    }
    return -1;
}

PRINTF_LIKE(4, 5) static int refuse(struct event_writer *w, const char *at, struct err *e, const char *fmt, ...)
{
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)err_set(e, ERR_INPUT, "%s", text);
    json_pointer(w->object, at, e->pointer, sizeof e->pointer);
    return scrub_pointer(w, e);
}

static int refuse_syntax(struct event_writer *w, const struct json *j, struct err *e)
{
    (void)json_err(j, e);
    return scrub_pointer(w, e);
}

/* ---- gathering ---- */

static struct member *member_find(struct event_writer *w, str name, uint64_t hash, uint32_t **ret_slot)
{
    for (uint32_t i = (uint32_t)hash;; i++) {
        uint32_t *slot = &w->slots[i % LENGTH(w->slots)];
        struct member *m = &w->m[*slot & 2047];
        *ret_slot = slot;
        if (*slot >> 11 != w->epoch)
            return NULL;
        if (m->hash == hash && str_eq(m->name, name))
            return m;
    }
}

/* Forgets the names of the event before. */
static void next_epoch(struct event_writer *w)
{
    if (w->epoch == EPOCH_MAX) {
        memset(w->slots, 0, sizeof w->slots);
        w->epoch = 0;
    }
    w->epoch++;
}

/* `prefix`.`name` in w->text, which never moves; absent when there is no room. */
static str joined(struct event_writer *w, str prefix, str name)
{
    struct buf *b = &w->text;
    size_t n = prefix.p ? prefix.n + 1 : 0;
    if (!buf_room(b, n + name.n))
        return (str){NULL, 0};
    char *p = b->p + b->n;
    if (prefix.p) {
        memcpy(p, prefix.p, prefix.n);
        p[prefix.n] = '.';
    }
    memcpy(p + n, name.p, name.n);
    b->n += n + name.n;
    return (str){p, n + name.n};
}

/* What the next member is probably called, by what followed the one before it when that came last. *ret_own: without the
 * names of the objects around it. */
static const struct name *guess(const struct event_writer *w, str prefix, str *ret_own)
{
    const struct name *k = names_guess(&w->names, w->before);
    size_t n = prefix.p ? prefix.n + 1 : 0;
    if (!k || k->n <= n || !k->plain || (n && (k->text[n - 1] != '.' || !same_bytes(k->text, prefix.p, prefix.n))))
        return NULL;
    *ret_own = (str){k->text + n, k->n - n};
    return k;
}

/* The member's whole name, decoded and scrubbed, and what is known of it. */
static int full_name(struct event_writer *w, str prefix, const struct json_token *t, str *ret,
                     const struct name **ret_k, struct err *e)
{
    str name = value_decoded(w, t->name, t->name_flags);
    size_t n = prefix.p ? prefix.n + 1 + name.n : name.n;
    if (n > LIMIT_NAME)
        return refuse(w, t->raw.p, e, "expected names of at most %u bytes after flattening, got %zu", LIMIT_NAME, n);
    if (prefix.p || t->name_flags)
        name = joined(w, prefix, name);
    const struct name *k = names_look(&w->names, name);
    if (UNLIKELY(!k->clean)) {
        w->dirty = true;
        name = joined(w, (str){NULL, 0}, value_scrubbed(w, name));
        k = names_look(&w->names, name);
        if (name.n > LIMIT_NAME) /* what stands for a secret may be longer than it */
            return refuse(w, t->raw.p, e, "expected names of at most %u bytes after flattening, got %zu", LIMIT_NAME,
                          name.n);
    }
    if (!name.p)
        return refuse(w, t->raw.p, e, "expected at most %d bytes of names after flattening", NAMES_BYTES);
    *ret = name;
    *ret_k = k;
    return 0;
}

/* What a level's member says; 0: nothing that can be read. */
static int severity_of(struct event_writer *w, const struct member *m)
{
    int64_t n;
    if (m->kind != J_STRING && m->kind != J_NUMBER)
        return 0;
    str text = value_decoded(w, m->raw, m->flags);
    if (m->rank != SEVERITY_NUMBER)
        return level_read(text);
    return str_i64(text, &n) && n >= 1 && n <= 24 ? (int)n : 0;
}

/* May this member give its part? What may not is a field like any other. */
static bool is_candidate(struct event_writer *w, const struct member *m)
{
    bool scalar = m->kind < J_ARRAY, own_name = (m->rank & 15) == 1;
    switch (m->part) {
    case PART_NONE: return false;
    case PART_LEVEL: /* "priority": "high" speaks of something else, "severity_number": 0 says that it is not known */
        if (w->severity[m - w->m] == 0 && (m->rank > 4 || (m->rank == SEVERITY_NUMBER && str_eq(m->raw, S("0")))))
            return false;
        break;
    case PART_EVENT_ID: return own_name || m->kind == J_STRING || m->kind == J_NUMBER;
    case PART_ERROR_MESSAGE: /* "error": true says nothing */
        if (m->name.n == root_length(m->root) && m->kind != J_STRING)
            return false;
        break;
    case PART_ERROR_STACK: /* "exc_info": true neither */
        if (!m->root && m->kind != J_STRING)
            return false;
    }
    return scalar || own_name;
}

static void consider(struct event_writer *w, struct member *m)
{
    if (m->root && (m->kind == J_STRING || m->name.n > root_length(m->root)) && (!w->root || m->root < w->root))
        w->root = m->root;
    if (m->part == PART_LEVEL)
        w->severity[m - w->m] = severity_of(w, m);
    if (m->part == PART_LEVEL && m->rank == SEVERITY_NUMBER)
        w->number = m;
    if (m->part == PART_EVENT_ID && m->rank > 1)
        w->id = m;
    struct member *best = w->best[m->part];
    if (is_candidate(w, m) && (!best || m->rank <= best->rank))
        w->best[m->part] = m;
}

static int add(struct event_writer *w, str name, const struct name *k, enum json_kind kind, str raw, unsigned flags,
               struct err *e)
{
    uint32_t *slot;
    struct member *m = member_find(w, name, k->hash, &slot);
    if (k->part && (kind == J_NULL || (k->part == PART_EVENT_ID && kind == J_STRING && raw.n == 0)))
        return 0; /* says nothing about a part that others may give */
    if (!m) {
        if (w->n == w->limit)
            return refuse(w, raw.p, e, "expected at most %zu fields, got more", w->limit);
        *slot = w->epoch << 11 | (uint32_t)w->n;
        m = &w->m[w->n++];
    } else {
        w->repeated = true;
    }
    *m = (struct member){.name = name,
                         .raw = raw,
                         .hash = k->hash,
                         .secret = k->secret,
                         .kind = (uint8_t)kind,
                         .flags = (uint8_t)flags,
                         .part = k->part,
                         .rank = k->rank,
                         .root = k->root,
                         .plain = k->plain};
    if (k->part || k->root)
        consider(w, m);
    return 0;
}

/* Parts whose value is checked; an object under their own name is refused, not flattened. */
static const char *expected_of(enum part part)
{
    switch (part) {
    case PART_TIME: return "a time as RFC 3339 or epoch (s, ms, us or ns)";
    case PART_LEVEL: return "one of trace, debug, info, notice, warn, error, critical, alert, emergency, fatal";
    case PART_EVENT_ID: return "text or a number";
    case PART_AUTH_ACTION:
        return "one of login, logout, signup, verify, recover, reset, password_change, mfa, delete, token";
    case PART_AUTH_OUTCOME: return "success or failure";
    default: return NULL;
    }
}

static int wrong(struct event_writer *w, const struct member *m, struct err *e)
{
    char text[80];
    bool number = m->part == PART_LEVEL && m->rank == SEVERITY_NUMBER;
    return refuse(w, m->raw.p, e, "expected %s, got %s", number ? "a number from 1 to 24" : expected_of(m->part),
                  came(w, m, text));
}

struct open {                  /* an object that is being read */
    str name;                  /* absent: the outermost */
    const char *from;          /* its '{' */
    str half_name, half_value; /* full names of its members `name` and `value`, or the like */
    str says;                  /* what the first of them says, as it stands between quotes */
    unsigned flags;
    size_t since; /* members before the value */
};

static str before_last_part(str name)
{
    while (name.n && name.p[name.n - 1] != '.')
        name.n--;
    return name;
}

/* The kind of secret that the pair's name says its value is, or absent. */
static str told_by_name(struct event_writer *w, const struct open *o)
{
    if (!o->half_name.p || !o->half_value.p || !str_eq(before_last_part(o->half_name), before_last_part(o->half_value)))
        return (str){NULL, 0};
    return scrub_name(value_decoded(w, o->says, o->flags));
}

/* The value came before its name: it is there already, or what is inside it. */
static void hide_value(struct event_writer *w, const struct open *o, str kind)
{
    for (size_t i = w->repeated ? 0 : o->since; i < w->n; i++) {
        struct member *m = &w->m[i];
        if (str_starts(m->name, o->half_value) && (m->name.n == o->half_value.n || m->name.p[o->half_value.n] == '.'))
            m->secret = kind;
    }
}

/* One half of a pair in two members. Returns what kind of secret the value that is being read is, or absent. */
static str take_half(struct event_writer *w, struct open *o, unsigned half, str name, enum json_kind kind,
                     const struct json_token *t)
{
    if (half == HALF_VALUE) {
        o->half_value = name;
        o->since = w->n;
        return told_by_name(w, o);
    }
    if (kind == J_STRING) {
        o->half_name = name;
        o->says = t->raw;
        o->flags = t->flags;
        str told = told_by_name(w, o);
        if (told.p)
            hide_value(w, o, told);
    }
    return (str){NULL, 0};
}

/* An empty object stays as it is; others are gone, their members stand for them. */
static int close_object(struct event_writer *w, const struct json *j, const struct open *o, bool empty, struct err *e)
{
    str raw = {o->from, (size_t)(j->p - o->from)};
    return empty && o->name.p ? add(w, o->name, names_look(&w->names, o->name), J_ARRAY, raw, 0, e) : 0;
}

/* One member of *outer, called *k if that is known. An object whose members follow is noted in *inner. */
static int take(struct event_writer *w, struct json *j, enum json_kind kind, struct json_token *t, const struct name *k,
                struct open *outer, struct open *inner, struct err *e)
{
    struct name told;
    str name = t->name;
    if (k && outer->name.p)
        name = joined(w, outer->name, t->name);
    if ((!k || !name.p) && full_name(w, outer->name, t, &name, &k, e) < 0)
        return -1;
    names_follow(&w->names, w->before, k);
    w->before = k;
    if (UNLIKELY(k->half)) {
        told = *k;
        told.secret = take_half(w, outer, k->half, name, kind, t);
        k = told.secret.p && !k->part ? &told : k;
    }
    if (kind == J_OBJECT && k->rank == 1 && expected_of(k->part))
        return refuse(w, t->raw.p, e, "expected %s, got an object", expected_of(k->part));
    if (kind == J_OBJECT && (!k->secret.p || str_eq(name, S("auth")))) {
        *inner = (struct open){.name = name, .from = t->raw.p};
        return 0;
    }
    if (kind >= J_ARRAY) { /* what is inside an array, or inside an object that is a secret, has no names of its own */
        if (json_skip(j) == J_ERROR)
            return refuse_syntax(w, j, e);
        t->raw.n = (size_t)(j->p - t->raw.p);
        kind = J_ARRAY;
    }
    return add(w, name, k, kind, t->raw, t->flags, e);
}

/* Reads the whole object into w->m. */
static int gather(struct event_writer *w, struct json *j, struct err *e)
{
    struct json_token t;
    str own;
    struct open open[JSON_DEPTH_MAX + 2]; /* by depth */
    enum json_kind kind = json_next(j, &t), before;
    assert(kind == J_OBJECT);
    open[1] = (struct open){.from = t.raw.p};
    while (j->depth > 0) {
        uint32_t d = j->depth;
        int rc;
        const struct name *k = guess(w, open[d].name, &own);
        before = kind;
        if (!k || !json_next_named(j, &t, own, &kind)) {
            k = NULL;
            kind = json_next(j, &t);
        }
        if (kind == J_ERROR)
            return refuse_syntax(w, j, e);
        if (kind == J_CLOSE)
            rc = close_object(w, j, &open[d], before == J_OBJECT, e);
        else
            rc = take(w, j, kind, &t, k, &open[d], &open[d + 1], e);
        if (kind == J_OBJECT && j->depth == d)
            kind = J_ARRAY; /* a secret, taken whole: the object around it is not empty */
        if (rc < 0)
            return -1;
    }
    return w->n ? 0 : err_set(e, ERR_INPUT, "expected at least one field, got an empty object");
}

/* ---- settling ---- */

/* Gives m another name; what had that name goes. */
static void rename_member(struct event_writer *w, struct member *m, str name)
{
    uint32_t *slot;
    const struct name *k = names_look(&w->names, name);
    struct member *other = member_find(w, name, k->hash, &slot);
    if (other && other != m)
        other->dropped = true;
    m->name = name;
    m->plain = true;
}

/* Written as time_print would write it. */
static bool is_canonical(str text, int digits)
{
    return text.n == (digits ? 21 + (size_t)digits : 20) && text.p[10] == 'T' && text.p[text.n - 1] == 'Z' &&
           (digits == 0 || text.p[19] == '.') && !(text.p[17] == '6');
}

static int settle_time(struct event_writer *w, const struct event_source *src, struct settled *s, struct err *e)
{
    struct member *m = w->best[PART_TIME];
    char got[80];
    *s = (struct settled){.time = src->now * NSEC_PER_USEC, .digits = 6};
    if (!m)
        return 0;
    str text = value_decoded(w, m->raw, m->flags);
    if ((m->kind != J_STRING && m->kind != J_NUMBER) || time_read(text, &s->time, &s->digits, e) < 0)
        return wrong(w, m, e);
    usec ahead = src->future_limit ? src->future_limit : 86400 * USEC_PER_SEC;
    if (s->time / NSEC_PER_USEC > src->now + ahead)
        return refuse(w, m->raw.p, e, "expected a time at most %lld s from now, got %s",
                      (long long)(ahead / USEC_PER_SEC), came(w, m, got));
    if (text.p == m->raw.p && m->kind == J_STRING && is_canonical(text, s->digits))
        s->time_text = text;
    m->dropped = true;
    return 0;
}

static int settle_level(struct event_writer *w, const struct event_source *src, bool failed, struct settled *s,
                        struct err *e)
{
    struct member *m = w->best[PART_LEVEL], *number = w->number;
    s->severity = failed ? 17 : 9;
    if (m) {
        s->severity = w->severity[m - w->m];
        if (!s->severity)
            return wrong(w, m, e);
        m->dropped = true;
    }
    if (number && number != m) { /* the finer of the two, when they agree; else what they claim is kept */
        int fine = w->severity[number - w->m];
        if (m && fine && str_eq(level_name(fine), level_name(s->severity))) {
            s->severity = fine;
            number->dropped = true;
        } else if (str_eq(number->raw, S("0"))) {
            number->dropped = true;
        } else {
            rename_member(w, number, S("severity_number_claimed"));
        }
    }
    if (src->browser && s->severity > 17)
        s->severity = 17;
    return 0;
}

static int settle_ids(struct event_writer *w, const struct event_source *src, struct settled *s, struct err *e)
{
    struct member *m = w->best[PART_EVENT_ID], *app = w->best[PART_APP];
    if (m && m->kind != J_STRING && m->kind != J_NUMBER)
        return wrong(w, m, e);
    if (m) {
        size_t n = value_decoded(w, m->raw, m->flags).n;
        if (n > LIMIT_EVENT_ID)
            return refuse(w, m->raw.p, e, "expected at most %u bytes, got %zu", LIMIT_EVENT_ID, n);
        m->dropped = true;
    }
    s->id = m;
    if (w->id && w->id != m)
        rename_member(w, w->id, S("id_claimed"));
    if (app && str_eq(value_decoded(w, app->raw, app->flags), src->app))
        app->dropped = true;
    else if (app)
        rename_member(w, app, S("app_claimed"));
    return 0;
}

static int settle_auth(struct event_writer *w, struct err *e)
{
    static const str actions[] = {S("login"), S("logout"),          S("signup"), S("verify"), S("recover"),
                                  S("reset"), S("password_change"), S("mfa"),    S("delete"), S("token")};
    const struct member *action = w->best[PART_AUTH_ACTION], *outcome = w->best[PART_AUTH_OUTCOME];
    bool known = !action;
    for (size_t i = 0; i < LENGTH(actions) && !known; i++)
        known = action->kind == J_STRING && str_eq(action->raw, actions[i]);
    if (!known)
        return wrong(w, action, e);
    if (outcome &&
        (outcome->kind != J_STRING || (!str_eq(outcome->raw, S("success")) && !str_eq(outcome->raw, S("failure")))))
        return wrong(w, outcome, e);
    return 0;
}

/* Gives the texts their own names. True: the event tells of a failure. */
static bool settle_texts(struct event_writer *w)
{
    bool failed = false;
    for (enum part p = PART_MESSAGE; p <= PART_ERROR_STACK; p++) {
        struct member *m = w->best[p];
        if (!m || (m->root && m->root != w->root))
            continue;
        m->as_text = true;
        failed |= p == PART_ERROR_TYPE || p == PART_ERROR_STACK;
        if (!str_eq(m->name, part_name(p)))
            rename_member(w, m, part_name(p));
    }
    for (size_t i = 0; w->root > ROOT_ERROR && i < w->n; i++) {
        struct member *m = &w->m[i];
        if (m->root != w->root || m->as_text || m->name.n == root_length(m->root))
            continue;
        size_t from = w->text.n;
        buf_lit(&w->text, "error");
        buf_str(&w->text, str_skip(m->name, root_length(m->root)));
        m->name = str_skip(buf_view(&w->text), from);
    }
    return failed;
}

static int settle(struct event_writer *w, const struct event_source *src, struct settled *s, struct err *e)
{
    if (settle_time(w, src, s, e) < 0)
        return -1;
    bool failed = settle_texts(w);
    if (settle_level(w, src, failed, s, e) < 0 || settle_ids(w, src, s, e) < 0)
        return -1;
    return settle_auth(w, e);
}

/* ---- all of it ---- */

static uint32_t limit(uint32_t asked, uint32_t most) { return asked && asked < most ? asked : most; }

int event_add(struct event_writer *w, const struct event_source *src, str object, struct batch *b, size_t *ret_n,
              struct err *e)
{
    struct json j;
    struct settled s;
    size_t most = src->max_event ? src->max_event : LIMIT_EVENT;
    assert(object.n > 0 && object.p[0] == '{' && src->app.n <= LIMIT_APP);
    w->object = str_head(object, most);
    w->n = 0;
    w->repeated = false;
    w->limit = limit(src->max_fields, LIMIT_FIELDS);
    w->root = ROOT_NONE;
    w->id = w->number = NULL;
    w->before = NULL;
    memset(w->best, 0, sizeof w->best);
    buf_reset(&w->text);
    next_epoch(w);
    json_init(&j, w->object, src->max_depth ? limit(src->max_depth, JSON_DEPTH_MAX) : LIMIT_DEPTH);
    j.nan = true;
    int rc = gather(w, &j, e);
    *ret_n = (size_t)(j.p - object.p);
    if (rc < 0 && j.p == j.end && object.n > most)
        (void)err_set(e, ERR_INPUT, "expected an event of at most %zu bytes, got more", most);
    if (rc == 0)
        rc = settle(w, src, &s, e);
    if (rc == 0)
        rc = event_write(w, src, &s, b, e);
    w->dirty |= rc < 0; /* of what was refused not all was looked at */
    value_wipe(w);
    return rc;
}
