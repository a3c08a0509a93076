#include "base/hash.h"
#include "base/str.h"
#include "rules/condition.h"

#include <arpa/inet.h>

enum { VALUE_MAX = 200 }; /* bytes of one value in a key; longer ones are cut and hashed */

/* Points of the score, and the rank that a sum of them is. */
static int points_of_severity(int severity)
{
    return severity >= 21 ? 40 : severity >= 17 ? 22 : severity >= 13 ? 8 : 0;
}
static int rank_of_score(int score)
{
    return score >= 80 ? 1 : score >= 60 ? 2 : score >= 40 ? 3 : score >= 20 ? 4 : 5;
}

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

/* /24 of an IPv4 address, /48 of an IPv6 one: what one household or office has. */
static str network_of(str address, struct arena *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    ip i;
    char text[INET6_ADDRSTRLEN] = "";
    if (!ip_read(address, &i))
        return (str){0};
    bool four = memcmp(i.b, mapped, sizeof mapped) == 0;
    memset(i.b + (four ? 15 : 6), 0, four ? 1 : 10);
    inet_ntop(four ? AF_INET : AF_INET6, four ? i.b + 12 : i.b, text, sizeof text);
    return str_of(arena_printf(a, "%s/%d", text, four ? 24 : 48));
}

str rule_field(const struct rules_input *in, str name, struct arena *a)
{
    if (str_eq(name, S("fingerprint")))
        return in->fingerprint;
    if (!str_eq(name, S("ip_prefix")))
        return event_text(in->event, name, a);
    str address = event_text(in->event, S("auth.ip"), a);
    return network_of(address.n ? address : event_text(in->event, S("ip"), a), a);
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
        put_value(out, rule_field(in, name, a));
    }
}

str memory_key(struct buf *b, const struct firing *f, const struct rule_fields *by)
{
    buf_printf(b, "%s\x1f%s\x1f", f->rule->id, f->part->version);
    put_key(b, by, f->in, f->arena);
    return buf_view(b);
}

/* ---- signals ---- */

static int clamp(int rank, const struct rule *r)
{
    if (r->ceiling && rank < r->ceiling)
        rank = r->ceiling;
    return r->floor && rank > r->floor ? r->floor : rank;
}

/* A condition that somebody set a limit for says by itself that something is the matter; `new` and `change` say how much. */
static int points_of_rule(const struct firing *f)
{
    bool graded = f->part->kind == PART_NEW || f->part->kind == PART_CHANGE || f->part->auth;
    return !graded && f->in->event && f->in->event->severity >= 13 ? 22 : 0;
}

/* What is pinned counts; else the sum of points. */
static void rank_it(const struct firing *f, struct rules_signal *s)
{
    const struct event *ev = f->in->event;
    s->points.level = ev ? points_of_severity(ev->severity) : 44; /* silence */
    s->points.novelty = f->novelty;
    s->points.rate = f->rate;
    s->points.auth = f->part->auth;
    s->points.rule = points_of_rule(f);
    int sum = s->points.level + s->points.novelty + s->points.rate + s->points.auth + s->points.rule;
    s->score = sum > 100 ? 100 : sum;
    s->pinned = f->rank || f->part->rank || f->rule->rank;
    s->rank = f->rank         ? f->rank
              : f->part->rank ? f->part->rank
              : f->rule->rank ? f->rule->rank
                              : clamp(rank_of_score(s->score), f->rule);
}

static int tell(const struct firing *f, str key, rules_signal_fn *on_signal, void *arg)
{
    struct rules_signal s = {.rule = f->rule, .key = key, .detail = f->detail ? f->detail : ""};
    s.part = (size_t)(f->part - f->rule->cond->parts);
    s.event = f->in->event;
    rank_it(f, &s);
    return on_signal(&s, arg);
}

static int eval_part(struct firing *f, rules_signal_fn *on_signal, void *arg)
{
    struct buf key = BUF_INIT(RULE_KEY_MAX);
    if (!part_fires(f))
        return 0;
    put_key(&key, &f->part->by, f->in, f->arena);
    str kept = arena_str(f->arena, buf_view(&key));
    buf_done(&key);
    return tell(f, kept, on_signal, arg);
}

/* Events are for rules without `watch`, numbers of a stat for those that watch it. */
static bool looks_at(const struct rule_condition *c, const struct rules_input *in)
{
    if (!c->watch || !in->watched)
        return !c->watch && !in->watched;
    return strcmp(c->watch, in->watched) == 0 && c->watch_hours == in->watched_hours;
}

int rules_eval(const struct rules_set *s, struct rules_memory *m, const struct rules_input *in,
               rules_signal_fn *on_signal, void *arg, struct arena *a)
{
    enum tri known = s && s->asks_known_ip ? known_ip(m, in, a) : ANY;
    bool news = s && !in->watched && source_is_news(m, in, a);
    for (size_t i = 0; s && i < s->n; i++) {
        const struct rule *r = s->rules[i];
        if (!r->enabled || (r->cond->listens && !news) || !looks_at(r->cond, in) ||
            !filter_match(r->cond->filter, in->event, a))
            continue;
        if (r->cond->stat && rule_count(r, in, arg, a) < 0)
            return -1;
        for (size_t k = 0; k < r->cond->n; k++) {
            struct firing f = {
                .set = s, .rule = r, .part = &r->cond->parts[k], .memory = m, .in = in, .known_ip = known, .arena = a};
            if (eval_part(&f, on_signal, arg) < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- what time alone fires ---- */

/* The part whose entry it is: "ID\x1fVERSION\x1fKEY". False: of a rule that is gone or was changed. */
static bool find_part(const struct rules_set *s, str entry, struct firing *f, str *ret_key)
{
    str id = str_cut(&entry, 0x1f), version = str_cut(&entry, 0x1f);
    *ret_key = entry;
    for (size_t i = 0; s && i < s->n; i++) {
        const struct rule *r = s->rules[i];
        for (size_t k = 0; r->enabled && str_eq(id, str_of(r->id)) && k < r->cond->n; k++)
            if (str_eq(version, str_of(r->cond->parts[k].version))) {
                f->rule = r;
                f->part = &r->cond->parts[k];
                return true;
            }
    }
    return false;
}

int rules_tick(const struct rules_set *s, struct rules_memory *m, usec now, rules_signal_fn *on_signal, void *arg,
               struct arena *a)
{
    struct rules_input in = {.now = now};
    for (struct memory_entry *t; (t = memory_first_due(m)) && t->due <= now;) {
        struct firing f = {.set = s, .memory = m, .in = &in, .arena = a};
        str key;
        usec at = t->due;
        in.now = at;
        if (!find_part(s, str_n(t->key, t->key_n), &f, &key)) {
            memory_due(m, t, 0);
            continue;
        }
        bool fires = part_falls_due(&f, t, now);
        str kept = arena_str(a, key);
        memory_touch(m, t, at);
        if (fires && tell(&f, kept, on_signal, arg) < 0)
            return -1;
    }
    return 0;
}

str rules_key_field(str key, str name)
{
    while (key.n) {
        str pair = str_cut(&key, ' '), value = pair, field = str_cut(&value, '=');
        if (str_eq(field, name))
            return value;
    }
    return (str){0};
}
