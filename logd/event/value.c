/* Values on their way into a stored line: decoded where they must be, scrubbed always, copied as they are when nothing
 * was found, which is the rule. */
#include "base/str.h"
#include "event/scrub.h"
#include "event/writer.h"

/* Room for n bytes in w->decoded. Grows by giving back wiped memory, never by realloc, which would leave a copy. */
static char *decode_room(struct event_writer *w, size_t n)
{
    struct buf *b = &w->decoded;
    if (b->cap < n) {
        if (b->n)
            explicit_bzero(b->p, b->n);
        buf_done(b);
        b->max = n + n / 2 + 4096;
        (void)buf_grow(b, b->max);
    }
    return b->p;
}

str value_decode(struct event_writer *w, str raw, unsigned flags)
{
    char *p = decode_room(w, json_decoded_max(raw.n, flags));
    str s = {p, json_decode(raw, p)};
    if (s.n > w->decoded.n)
        w->decoded.n = s.n; /* how far there is something to wipe */
    return s;
}

str value_scrubbed(struct event_writer *w, str s)
{
    buf_reset(&w->scrubbed);
    if (LIKELY(scrub_clean(s, &w->scrubbed)))
        return s;
    w->dirty = true;
    return buf_view(&w->scrubbed);
}

void value_wipe(struct event_writer *w)
{
    if (!w->dirty)
        return;
    if (w->decoded.n)
        explicit_bzero(w->decoded.p, w->decoded.n);
    if (w->text.n)
        explicit_bzero(w->text.p, w->text.n);
    w->decoded.n = 0;
    w->dirty = false;
}

/* Between the quotes. */
static void write_text(struct event_writer *w, str raw, unsigned flags, struct buf *out)
{
    str decoded = value_decoded(w, raw, flags), clean = value_scrubbed(w, decoded);
    if (clean.p == decoded.p && !(flags & J_BAD))
        buf_str(out, raw); /* keeps its escapes */
    else if (flags)
        json_encode(out, clean);
    else
        buf_str(out, clean);
}

void value_write_string(struct event_writer *w, str raw, unsigned flags, struct buf *out)
{
    buf_byte(out, '"');
    write_text(w, raw, flags, out);
    buf_byte(out, '"');
}

static void write_redacted(struct event_writer *w, str kind, struct buf *out)
{
    w->dirty = true;
    buf_lit(out, "\"[redacted:");
    buf_str(out, kind);
    buf_lit(out, "]\"");
}

enum { NUMBER_MAY_BE_CARD = 13 };

/* A card number is one also when it comes as a number. */
static void write_number(struct event_writer *w, str raw, bool as_text, struct buf *out)
{
    if (raw.n >= NUMBER_MAY_BE_CARD && value_scrubbed(w, raw).p != raw.p) {
        buf_byte(out, '"');
        buf_str(out, buf_view(&w->scrubbed));
        buf_byte(out, '"');
        return;
    }
    if (as_text)
        buf_byte(out, '"');
    buf_str(out, raw);
    if (as_text)
        buf_byte(out, '"');
}

static void write_scalar(struct event_writer *w, enum json_kind kind, str raw, unsigned flags, bool as_text,
                         struct buf *out)
{
    if (kind == J_STRING)
        value_write_string(w, raw, flags, out);
    else
        write_number(w, raw, as_text, out);
}

/* Null, true, false and "" tell nothing and stay, whatever their name. */
static bool tells(enum json_kind kind, str raw) { return kind >= J_NUMBER && (kind != J_STRING || raw.n > 0); }

/* The name of a member inside an array. Returns the kind of secret its value is, or absent. */
static str write_name(struct event_writer *w, const struct json_token *t, struct buf *out)
{
    str name = value_decoded(w, t->name, t->name_flags);
    const struct name *k = names_look(&w->names, name);
    str clean = k->clean ? name : value_scrubbed(w, name);
    buf_byte(out, '"');
    if (clean.p == name.p && !t->name_flags)
        buf_str(out, name);
    else
        json_encode(out, clean);
    buf_lit(out, "\":");
    return k->secret;
}

/* The kind of secret that what stands before a value in an array says it is:
 * [["Cookie","x"]], ["--password","x"], [{"name":"Authorization","value":"x"}]. */
struct told {
    str kind;
    bool member; /* by the member `name`, of the member `value` */
};

/* `pair`: t is the first of an array in an array. */
static struct told tells_of_next(struct event_writer *w, const struct json_token *t, bool pair)
{
    bool member = t->name.p != NULL;
    str s = value_decoded(w, t->raw, t->flags);
    bool option = !member && str_starts(s, S("--"));
    if (!pair && !option && !(member && name_half(t->name) == HALF_NAME))
        return (struct told){{NULL, 0}, false};
    return (struct told){scrub_name(option ? str_skip(s, 2) : s), member};
}

static bool is_told(const struct told *told, enum json_kind kind, const struct json_token *t)
{
    if (!told->kind.p)
        return false;
    return told->member ? t->name.p && name_half(t->name) == HALF_VALUE
                        : !t->name.p && !(kind == J_STRING && scrub_is_option(t->raw));
}

/* The member that says what a value is may follow it: {"value":"x","name":"Authorization"}. `j` stands behind t. */
static str told_behind(struct event_writer *w, struct json j, enum json_kind kind)
{
    struct json_token t;
    do {
        if (kind >= J_ARRAY && json_skip(&j) == J_ERROR)
            break;
        if ((kind = json_next(&j, &t)) == J_STRING && name_half(t.name) == HALF_NAME)
            return scrub_name(value_decoded(w, t.raw, t.flags));
    } while (kind > J_CLOSE);
    return (str){NULL, 0};
}

/* An array or an empty object: again, compact, scrubbed. */
static void write_json(struct event_writer *w, str raw, struct buf *out)
{
    struct json j;
    struct json_token t;
    struct told told = {{NULL, 0}, false};
    enum json_kind kind, before = J_ARRAY;
    uint64_t arrays = 0; /* what is open, innermost last: 1 an array, 0 an object */
    uint64_t looked = 0; /* the same: 1 an object whose first value has looked for its name */
    json_init(&j, raw, JSON_DEPTH_MAX);
    j.nan = true;
    while ((kind = json_next(&j, &t)) != J_END) {
        assert(kind != J_ERROR); /* it was read before */
        str secret = {NULL, 0};
        bool opens = kind >= J_ARRAY, pair = before == J_ARRAY && (arrays & 3) == 3;
        if (kind == J_CLOSE) {
            buf_str(out, t.raw);
            before = kind;
            arrays >>= 1;
            looked >>= 1;
            told.kind.p = NULL;
            continue;
        }
        if (before != J_ARRAY && before != J_OBJECT)
            buf_byte(out, ',');
        if (t.name.p)
            secret = write_name(w, &t, out);
        if (!secret.p && is_told(&told, kind, &t))
            secret = told.kind;
        else if (!secret.p && t.name.p && !(looked & 1) && name_half(t.name) == HALF_VALUE) {
            secret = told_behind(w, j, kind);
            looked |= 1;
        }
        if (opens || !told.member)
            told.kind.p = NULL;
        before = kind;
        if (secret.p && tells(kind, t.raw)) {
            if (opens)
                before = json_skip(&j);
            write_redacted(w, secret, out);
        } else if (opens) {
            buf_str(out, t.raw);
            arrays = arrays << 1 | (kind == J_ARRAY);
            looked <<= 1;
        } else {
            write_scalar(w, kind, t.raw, t.flags, false, out);
            if (kind == J_STRING && (!told.kind.p || t.name.p == NULL))
                told = tells_of_next(w, &t, pair);
        }
    }
}

/* The way of nearly all members. */
bool value_verbatim(struct event_writer *w, const struct member *m, str *ret)
{
    bool text = m->kind == J_STRING;
    const char *value = m->name.p + m->name.n + 2 + text;
    if (!m->plain || m->flags || m->secret.p || m->kind >= J_ARRAY || m->raw.p != value ||
        value[-1] != (text ? '"' : ':'))
        return false;
    if (!text && (m->as_text || m->raw.n >= NUMBER_MAY_BE_CARD))
        return false;
    if (text && value_scrubbed(w, m->raw).p != m->raw.p)
        return false;
    *ret = (str){m->name.p - 1, m->name.n + m->raw.n + 3 + 2 * (size_t)text};
    return true;
}

void value_write(struct event_writer *w, const struct member *m, struct buf *out)
{
    buf_lit(out, ",\"");
    if (m->plain)
        buf_str(out, m->name);
    else
        json_encode(out, m->name);
    buf_lit(out, "\":");
    if (m->secret.p && tells(m->kind, m->raw))
        write_redacted(w, m->secret, out);
    else if (m->kind >= J_ARRAY)
        write_json(w, m->raw, out);
    else
        write_scalar(w, m->kind, m->raw, m->flags, m->as_text, out);
}
