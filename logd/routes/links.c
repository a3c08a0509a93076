/* routes/links.c - what signed links in mails open: /a/LINK acts on an incident, /u/LINK asks for fewer mails.
 *
 * Programs that look into mails open every link, and some run a browser: so GET only shows a page, which has no script, sends
 * nothing by itself and holds buttons. A button posts with a nonce of the page that was shown, valid for an hour. Who signs
 * in is not asked: the link is the right, to this one incident alone. Mail programs post to /u/LINK themselves (RFC 8058),
 * so that one asks no nonce; all it can do is to make mails fewer, or as many as before.
 *
 * An address may ask 60 times a minute. What was done enters the journal with recipient, address and browser. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "event/event.h"
#include "notify/links.h"
#include "notify/notify.h"
#include "parts.h"
#include "routes/alerts.h"
#include "routes/resources.h"

#include <pthread.h>

enum { SLOTS = 1024, PER_MINUTE = 60, AGENT_MAX = 120 };
#define SNOOZE (4 * 3600 * USEC_PER_SEC)

/* ---- who asks too often ---- */
static struct {
    pthread_mutex_t lock;
    struct {
        usec minute;
        unsigned n;
    } slot[SLOTS]; /* by a keyed hash of the address: a collision makes two share one quota */
} asked = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool too_often(struct request *r)
{
    usec minute = clock_mono() / (60 * USEC_PER_SEC);
    size_t i = hash_str(str_of(r->peer)) % SLOTS;
    pthread_mutex_lock(&asked.lock);
    if (asked.slot[i].minute != minute)
        asked.slot[i].n = 0;
    asked.slot[i].minute = minute;
    bool often = ++asked.slot[i].n > PER_MINUTE;
    pthread_mutex_unlock(&asked.lock);
    return often;
}

/* ---- the page ---- */
static void begin(struct request *r, const char *title)
{
    buf_reset(&r->out);
    r->type = "text/html; charset=utf-8";
    buf_printf(&r->out,
               "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
               "<meta name=\"robots\" content=\"noindex\"><title>%s - logd</title><style>"
               ":root{color-scheme:light dark}body{font:17px/1.5 system-ui,sans-serif;max-width:34em;margin:0 auto;"
               "padding:1.2em;overflow-wrap:anywhere}h1{font-size:1.25em;line-height:1.3}"
               "button{font:inherit;display:block;width:100%%;padding:.7em;margin:.5em 0;border:1px solid #8886;"
               "border-radius:8px;background:#8882;color:inherit;cursor:pointer;text-align:left}"
               "button.main{background:#1f4e79;border-color:#1f4e79;color:#fff}.soft{opacity:.75}"
               ".done{border-left:4px solid #2a7d46;padding-left:.7em}</style></head><body><main>",
               title);
}

static void end(struct request *r) { buf_lit(&r->out, "</main></body></html>\n"); }

static void headers(struct request *r)
{
    reply_header(
        r, "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    reply_header(r, "Referrer-Policy", "no-referrer");
    reply_header(r, "X-Robots-Tag", "noindex");
    reply_header(r, "Cache-Control", "no-store");
}

static void say(struct request *r, unsigned status, const char *text)
{
    begin(r, "This cannot be done");
    r->status = status;
    buf_lit(&r->out, "<h1>This cannot be done</h1><p>");
    buf_html(&r->out, str_of(text));
    buf_lit(&r->out, "</p><p><a href=\"/incidents\">To the incidents</a></p>");
    end(r);
}

static void say_err(struct request *r, const struct err *e)
{
    unsigned status = e->kind == ERR_INPUT ? 400 : e->kind == ERR_GONE ? 410 : e->kind == ERR_DENIED ? 403 : 500;
    if (status == 500)
        log_error("routes", "what=\"a link in a mail could not be followed\" why=\"%s\"", e->text);
    say(r, status, status == 500 ? "the server failed to do this; its log says why" : e->text);
}

/* The value of a field of a form, as it came: what we read has nothing to decode. Absent: p NULL. */
static str form_value(struct request *r, const char *name)
{
    str rest = buf_view(&r->body);
    while (rest.n) {
        str value = str_cut(&rest, '&'), key = str_cut(&value, '=');
        if (str_eq(key, str_of(name)))
            return str_trim(value.p ? value : S(""));
    }
    return (str){0};
}

/* What is known once a link was found good. */
struct opened {
    uint8_t key[32];
    str link, id, reader; /* of an incident; reader: absent when no mail went to him */
    struct db *db;
    usec now;
};

static bool open_link(struct request *r, enum link_for what, struct opened *o, str *ret_id)
{
    struct err e;
    headers(r);
    if (too_often(r)) {
        reply_header(r, "Retry-After", "60");
        say(r, 429, "too many requests from this address: try again in a minute");
        return false;
    }
    *o = (struct opened){.link = r->arg[0], .now = clock_now()};
    auth_server_key(r->parts->auth, LINK_KEY, o->key);
    if (link_check(o->key, what, o->link, o->now, ret_id, &e) < 0) {
        say_err(r, &e);
        return false;
    }
    o->db = alerts_reader(r);
    return o->db != NULL;
}

/* "by mail, from 192.0.2.1 with Mozilla/5.0 (…)" */
static char *came_from(struct request *r)
{
    str agent = http_header(r, "User-Agent");
    return arena_printf(&r->arena, "by mail, from %s with %.*s", r->peer,
                        STR_ARG(agent.n ? str_head(agent, AGENT_MAX) : S("an unnamed program")));
}

/* The end of a link names it. */
static str tail_of(str link) { return str_skip(link, link.n > 64 ? link.n - 64 : 0); }

static bool nonce_good(struct request *r, const struct opened *o, struct err *e)
{
    str whose, site = http_header(r, "Sec-Fetch-Site");
    if ((!site.p || str_eq(site, S("same-origin"))) &&
        link_check(o->key, LINK_NONCE, form_value(r, "nonce"), o->now, &whose, e) == 0 &&
        str_eq(whose, tail_of(o->link)))
        return true;
    err_set(e, ERR_DENIED, "expected a button of this link's page, pressed within an hour: open the link again");
    return false;
}

static void put_nonce(struct request *r, const struct opened *o)
{
    buf_lit(&r->out, "<input type=\"hidden\" name=\"nonce\" value=\"");
    link_make(o->key, LINK_NONCE, tail_of(o->link), o->now + LINK_NONCE_ENDS, &r->out);
    buf_lit(&r->out, "\">");
}

/* ---- /a: one incident ---- */
static const struct verb {
    str name, text, done;
} verbs[] = {
    {S("ack"), S("Acknowledge: somebody is on it, no more mails of this incident"), S("Acknowledged.")},
    {S("snooze"), S("Snooze for 4 hours"), S("Snoozed for 4 hours.")},
    {S("resolve"), S("Resolve: it is over"), S("Resolved.")},
    {S("noise"), S("It was noise: nobody needed this mail"), S("Noted as noise, and resolved.")},
    {S("undo"), S("Undo what was done last"), S("Undone.")},
};

static const struct verb *verb_of(str name)
{
    for (size_t i = 0; i < LENGTH(verbs); i++)
        if (str_eq(name, verbs[i].name))
            return &verbs[i];
    return NULL;
}

static void put_text(struct request *r, const char *before, str text, const char *after)
{
    buf_str(&r->out, str_of(before));
    buf_html(&r->out, str_head(text, 500));
    buf_str(&r->out, str_of(after));
}

static void put_state(struct request *r, const struct opened *o, const struct incident_glance *g)
{
    char at[TIME_TEXT_MAX];
    time_print(g->opened * NSEC_PER_USEC, 0, at);
    buf_printf(&r->out, "<p class=\"soft\">P%d", g->rank);
    put_text(r, g->app.n ? " in " : "", g->app, "");
    put_text(r, g->env.n ? ", " : "", g->env, "");
    buf_printf(&r->out, ", since %s, %lld signal%s", at, (long long)g->signals, g->signals == 1 ? "" : "s");
    put_text(r, ", rule ", g->rule, ".<br>Now it is <b>");
    put_text(r, "", g->state, "</b>");
    put_text(r, g->owner.n && !str_eq(g->state, S("open")) ? " by " : "", g->owner, "");
    put_text(r, ". You are ", o->reader, ".</p>");
}

static void put_buttons(struct request *r, const struct opened *o, const struct incident_glance *g)
{
    str first = http_param(r, "do");
    bool over = str_eq(g->state, S("resolved"));
    put_text(r, "<form method=\"post\" action=\"/a/", o->link, "\">");
    put_nonce(r, o);
    for (int pass = 0; pass < 2; pass++) /* the one that was chosen in the mail goes first */
        for (size_t i = 0; i < LENGTH(verbs); i++) {
            bool is_undo = str_eq(verbs[i].name, S("undo")), chosen = str_eq(first, verbs[i].name);
            if ((is_undo ? !g->undo : over) || chosen != (pass == 0))
                continue;
            buf_printf(&r->out, "<button%s name=\"do\" value=\"%.*s\">%.*s</button>", chosen ? " class=\"main\"" : "",
                       STR_ARG(verbs[i].name), STR_ARG(verbs[i].text));
        }
    buf_lit(&r->out, "</form>");
}

static void show(struct request *r, const struct opened *o, const struct verb *done)
{
    struct incident_glance g;
    struct err e;
    if (incident_glance(o->db, o->id, &r->arena, &g, &e) < 0) {
        say_err(r, &e);
        return;
    }
    begin(r, "Incident");
    if (done)
        buf_printf(&r->out, "<p class=\"done\">%.*s</p>", STR_ARG(done->done));
    put_text(r, "<h1>", g.title.n ? g.title : g.rule, "</h1>");
    put_state(r, o, &g);
    put_buttons(r, o, &g);
    put_text(r, "<p><a href=\"/incidents/", o->id, "\">The whole incident</a> (asks you to sign in)</p>");
    end(r);
}

/* Opens and finds out whose it is; false: answered. */
static bool open_act(struct request *r, struct opened *o)
{
    struct err e;
    str id;
    if (!open_link(r, LINK_ACT, o, &id))
        return false;
    o->id = str_cut(&id, '-');
    if (incident_reader(o->db, o->id, o->key, id, &r->arena, &o->reader, &e) < 0)
        say_err(r, &e);
    else if (!o->reader.n)
        say(r, 410, "no mail about this incident is known any more");
    else
        return true;
    return false;
}

void get_link(struct request *r)
{
    struct opened o;
    if (open_act(r, &o))
        show(r, &o, NULL);
}

/* What is so already is not done again. */
static bool is_so(const struct incident_glance *g, const struct verb *v)
{
    if (str_eq(v->name, S("undo")))
        return !g->undo;
    return str_eq(g->state, S("resolved")) || (str_eq(v->name, S("ack")) && str_eq(g->state, S("acked"))) ||
           (str_eq(v->name, S("snooze")) && str_eq(g->state, S("snoozed")));
}

static bool act(struct request *r, const struct opened *o, const struct verb *v)
{
    struct buf json = BUF_INIT(8192);
    buf_lit(&json, "{\"incident\":");
    buf_json(&json, o->id);
    buf_printf(&json, ",\"do\":\"%.*s\",\"until\":%lld", STR_ARG(v->name), (long long)(o->now + SNOOZE));
    buf_member(&json, "by", o->reader);
    buf_member(&json, "from", str_of(came_from(r)));
    buf_byte(&json, '}');
    bool done = alerts_act(r, buf_view(&json));
    buf_done(&json);
    return done;
}

void post_link(struct request *r)
{
    struct opened o;
    struct incident_glance g;
    struct err e;
    if (!open_act(r, &o))
        return;
    const struct verb *v = verb_of(form_value(r, "do"));
    if (!v)
        say(r, 400, "do: expected ack, snooze, resolve, noise or undo");
    else if (!nonce_good(r, &o, &e) || incident_glance(o.db, o.id, &r->arena, &g, &e) < 0)
        say_err(r, &e);
    else if (is_so(&g, v))
        show(r, &o, NULL);
    else if (act(r, &o, v))
        show(r, &o, v);
}

/* ---- /u: fewer mails ---- */

/* Which of the recipients; false: answered. */
static bool open_fewer(struct request *r, struct opened *o)
{
    const struct config *c = r->parts->config;
    str who;
    if (!open_link(r, LINK_FEWER, o, &who))
        return false;
    for (size_t i = 0; i < c->recipients_n; i++) {
        char is[LINK_WHO_LEN + 1];
        link_who(o->key, str_of(c->recipients[i].email), is);
        if (str_eq(str_of(is), who))
            o->reader = str_of(c->recipients[i].email);
    }
    if (!o->reader.n)
        say(r, 410, "this address gets no mails any more");
    return o->reader.n > 0;
}

static void show_fewer(struct request *r, const struct opened *o)
{
    struct err e;
    bool fewer;
    if (contact_has_fewer(o->db, o->reader, &fewer, &e) < 0) {
        say_err(r, &e);
        return;
    }
    begin(r, "Mails");
    put_text(r, "<h1>Mails to ", o->reader, "</h1>");
    buf_str(&r->out, fewer ? S("<p class=\"done\">P3 to P5 come in the digest of the day only. P1 and P2 are mailed at"
                               " once as ever.</p>")
                           : S("<p>All ranks that the server is configured for are mailed at once.</p>"));
    put_text(r, "<form method=\"post\" action=\"/u/", o->link, "\">");
    buf_str(&r->out, fewer ? S("<button name=\"undo\" value=\"1\">Mail me as before</button>")
                           : S("<button class=\"main\" name=\"List-Unsubscribe\" value=\"One-Click\">P3 to P5 in the"
                               " digest of the day only</button>"));
    buf_lit(&r->out, "</form>");
    end(r);
}

void get_fewer(struct request *r)
{
    struct opened o;
    if (open_fewer(r, &o))
        show_fewer(r, &o);
}

void post_fewer(struct request *r)
{
    struct opened o;
    if (!open_fewer(r, &o))
        return;
    bool undo = str_eq(form_value(r, "undo"), S("1"));
    if (!undo && str_find(buf_view(&r->body), S("One-Click")) < 0) { /* multipart/form-data is allowed too */
        say(r, 400, "expected the field List-Unsubscribe=One-Click");
        return;
    }
    struct buf json = BUF_INIT(8192);
    buf_lit(&json, "{\"contact\":");
    buf_json(&json, o.reader);
    buf_member(&json, "do", undo ? S("undo") : S("fewer"));
    buf_member(&json, "from", str_of(came_from(r)));
    buf_byte(&json, '}');
    if (alerts_act(r, buf_view(&json)))
        show_fewer(r, &o);
    buf_done(&json);
}
