#include "base/hash.h"
#include "base/str.h"
#include "rules/condition.h"

enum { VALUE_MAX = 200 }; /* bytes of one value in a key; longer ones are cut and hashed */

int rank_of_severity(int severity) { return severity >= 21 ? 2 : severity >= 17 ? 3 : severity >= 13 ? 4 : 5; }

/* ---- keys ---- */

static bool needs_quotes(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == 0x7f)
            return true;
    return !utf8_valid(s);
}

static void put_value(struct buf *out, str s)
{
    uint8_t hash[32];
    str head = s;
    if (s.n > VALUE_MAX) {
        head.n = VALUE_MAX - 40;
        while (head.n && ((unsigned char)s.p[head.n] & 0xc0) == 0x80) /* not inside a character */
            head.n--;
    }
    if (head.n < s.n || needs_quotes(head))
        buf_json(out, head);
    else
        buf_str(out, head);
    if (head.n < s.n) {
        sha256(s, hash);
        buf_byte(out, '#');
        buf_hex(out, hash, 16);
    }
}

/* "app=shop auth.user=bob" */
static void put_key(struct buf *out, const struct rule_fields *by, const struct rules_input *in, struct arena *a)
{
    for (size_t i = 0; i < by->n; i++) {
        str name = str_of(by->name[i]);
        if (i)
            buf_byte(out, ' ');
        buf_str(out, name);
        buf_byte(out, '=');
        put_value(out, str_eq(name, S("fingerprint")) ? in->fingerprint : event_text(in->event, name, a));
    }
}

/* What a rule remembers of a key is found under "ID\x1fVERSION\x1fKEY". */
static str memory_key(struct buf *b, const struct rule *r, const struct rule_fields *by, const struct rules_input *in,
                      struct arena *a)
{
    buf_str(b, str_of(r->id));
    buf_byte(b, 0x1f);
    buf_str(b, str_of(r->cond->version));
    buf_byte(b, 0x1f);
    put_key(b, by, in, a);
    return buf_view(b);
}

/* ---- conditions ---- */

/* Notes the event; true with the one that makes enough of them. */
static bool count_fires(struct rules_memory *m, str key, const struct rule_condition *c, usec now)
{
    struct memory_entry *t = memory_get(m, key);
    uint8_t gone = 0;
    if (!t)
        t = memory_add(m, MEMORY_COUNT, key);
    while (gone < t->n && t->marks[gone] <= now - c->count.window)
        gone++;
    t->n = (uint8_t)(t->n - gone);
    if (gone && t->n)
        memmove(t->marks, t->marks + gone, t->n * sizeof *t->marks);
    if (t->n == 0)
        t->phase = 0;
    if (t->phase == 0)
        memory_mark(t, now);
    t->phase = (t->phase + 1) % c->count.group;
    bool enough = t->n == c->count.marks;
    if (enough)
        t->n = 0, t->phase = 0;
    t->expires = now + c->count.window;
    memory_touch(m, t, now);
    return enough;
}

static bool has_fingerprint(const struct rule_fields *by)
{
    for (size_t i = 0; i < by->n; i++)
        if (strcmp(by->name[i], "fingerprint") == 0)
            return true;
    return false;
}

/* marks[0]: last seen, moved in steps of 1/256 of quiet_after, so that little is written for what goes on all the time.
 * marks[1]: when it fired last; what comes in the digest window behind that belongs to it. */
static bool novel_fires(struct rules_memory *m, str key, const struct rule *r, const struct rules_input *in)
{
    const struct rule_condition *c = r->cond;
    struct memory_entry *t = memory_get(m, key);
    usec now = in->now, step = c->novel.quiet_after / 256;
    bool novel, more = false;
    if (t) {
        novel = now - t->marks[0] >= c->novel.quiet_after;
        more = now - t->marks[1] < r->wait + r->digest;
    } else {
        novel = in->fresh || !memory_full(m, MEMORY_NOVEL) || !has_fingerprint(&c->novel.by);
        t = memory_add(m, MEMORY_NOVEL, key);
        memory_mark(t, now - step);
        memory_mark(t, INT64_MIN / 2);
    }
    novel |= in->regressed && c->novel.regressions && !more;
    if (!novel && now - t->marks[0] < step)
        return more;
    t->marks[0] = now;
    if (novel)
        t->marks[1] = now;
    t->expires = now + c->novel.quiet_after;
    memory_touch(m, t, now);
    return novel || more;
}

static bool fires(const struct rule *r, struct rules_memory *m, const struct rules_input *in, struct arena *a)
{
    const struct rule_condition *c = r->cond;
    struct buf key = BUF_INIT(RULE_FIELDS_MAX * (LIMIT_NAME + 6 * VALUE_MAX) + 200);
    bool yes = true;
    if (!r->enabled || !filter_match(c->filter, in->event, a))
        return false;
    if (c->count.at_least)
        yes = count_fires(m, memory_key(&key, r, &c->by, in, a), c, in->now);
    else if (c->novel.on)
        yes = novel_fires(m, memory_key(&key, r, &c->novel.by, in, a), r, in);
    assert(!key.full);
    buf_done(&key);
    return yes;
}

int rules_eval(const struct rules_set *s, struct rules_memory *m, const struct rules_input *in,
               rules_signal_fn *on_signal, void *arg, struct arena *a)
{
    for (size_t i = 0; s && i < s->n; i++) {
        const struct rule *r = s->rules[i];
        struct buf key = BUF_INIT(RULE_FIELDS_MAX * (LIMIT_NAME + 6 * VALUE_MAX));
        if (!fires(r, m, in, a))
            continue;
        put_key(&key, &r->cond->by, in, a);
        struct rules_signal signal = {.rule = r,
                                      .key = arena_str(a, buf_view(&key)),
                                      .rank = r->rank ? r->rank : rank_of_severity(in->event->severity)};
        buf_done(&key);
        if (on_signal(&signal, arg) < 0)
            return -1;
    }
    return 0;
}
