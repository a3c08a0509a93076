#include "notify/body.h"
#include "base/clock.h"
#include "base/str.h"
#include "notify/links.h"

#include <jansson.h>

/* Of what a log says, before anything is escaped; halved as often as a part is larger than it may be. */
enum { TITLE_MAX = 500, VALUE_MAX = 1000, FIELD_MAX = 300, STACK_MAX = 6000, FIELDS_MAX = 30, SUBJECT_MAX = 120 };
enum { TEXT_BYTES = 30000, HTML_BYTES = 60000, CUTS = 8 }; /* as they are sent: the whole mail stays below 100 KB */

/* Bidi controls reorder what a reader sees; control characters do worse. */
static bool is_bidi(str s)
{
    return s.n >= 3 && (unsigned char)s.p[0] == 0xe2 &&
           (((unsigned char)s.p[1] == 0x80 && (((unsigned char)s.p[2] >= 0x8b && (unsigned char)s.p[2] <= 0x8f) ||
                                               ((unsigned char)s.p[2] >= 0xa8 && (unsigned char)s.p[2] <= 0xae))) ||
            ((unsigned char)s.p[1] == 0x81 && (unsigned char)s.p[2] >= 0xa6 && (unsigned char)s.p[2] <= 0xa9));
}

/* `s` without what must not reach a reader's eye or a header; newlines stay when `lines`. Cut at max, at a character. */
static void plain(struct buf *out, str s, size_t max, bool lines)
{
    size_t end = out->n + max;
    while (s.n && out->n < end) {
        unsigned char c = (unsigned char)s.p[0];
        size_t len = utf8_len(s.p, s.n);
        if (lines && (c == '\n' || c == '\t'))
            buf_byte(out, (char)c);
        else if (c < 0x20 || c == 0x7f)
            buf_str(out, c == '\n' ? S(" ") : S("."));
        else if (len == 0 || is_bidi(s))
            buf_byte(out, '.');
        else
            buf_add(out, s.p, len);
        s = str_skip(s, is_bidi(s) ? 3 : len ? len : 1);
    }
    if (s.n)
        buf_lit(out, "...");
}

void body_subject(const struct mail_subject *s, bool repeat, struct buf *out)
{
    buf_printf(out, "%s[P%d ", repeat ? "Re: " : "", s->rank);
    if (s->env.n && s->app.n) {
        plain(out, s->env, 20, false);
        buf_byte(out, '/');
    }
    plain(out, s->app.n ? s->app : S("logd"), 40, false);
    buf_lit(out, "] ");
    plain(out, s->title.n ? s->title : s->rule, SUBJECT_MAX, false);
}

/* "2026-11-26 02:19:02 UTC" */
static void when(struct buf *out, usec t)
{
    char text[TIME_TEXT_MAX];
    time_print(t / USEC_PER_SEC * NSEC_PER_SEC, 0, text);
    buf_printf(out, "%.10s %.8s UTC", text, text + 11);
}

/* "3 h", for how long ago */
static void span(struct buf *out, usec d)
{
    long long s = d / USEC_PER_SEC;
    if (s < 120)
        buf_printf(out, "%lld s", s < 0 ? 0 : s);
    else if (s < 7200)
        buf_printf(out, "%lld min", s / 60);
    else if (s < 172800)
        buf_printf(out, "%lld h", s / 3600);
    else
        buf_printf(out, "%lld days", s / 86400);
}

static const char *plural(int64_t n) { return n == 1 ? "" : "s"; }

/* plain() and then escaped. */
static void safe(struct buf *out, str s, size_t max, bool lines)
{
    struct buf text = BUF_INIT(STACK_MAX + 16);
    plain(&text, s, max, lines);
    buf_html(out, buf_view(&text));
    buf_done(&text);
}

/* ---- what is known, a line each; the same for text and HTML ---- */
struct fact {
    const char *name;
    struct buf value; /* not escaped yet */
};
enum { FACTS = 8 };
struct facts_of {
    struct fact fact[FACTS];
    size_t n;
};

static struct buf *add_fact(struct facts_of *f, const char *name)
{
    assert(f->n < FACTS);
    f->fact[f->n].name = name;
    buf_init(&f->fact[f->n].value, 3000);
    return &f->fact[f->n++].value;
}

static void facts_done(struct facts_of *f)
{
    for (size_t i = 0; i < f->n; i++)
        buf_done(&f->fact[i].value);
}

static void since(const struct mail_body *b, struct facts_of *f)
{
    struct buf *out = add_fact(f, b->resolved ? "Over" : "Since");
    if (b->resolved) {
        when(out, b->resolved);
        buf_lit(out, ": nothing more came. It began ");
    }
    when(out, b->opened);
    if (b->held)
        buf_printf(out, "; %llu more since the last mail, %llu in all", (unsigned long long)b->held,
                   (unsigned long long)b->count);
    const struct mail_facts *k = b->facts;
    if (k && k->first_seen && b->opened - k->first_seen > 3600 * USEC_PER_SEC) {
        buf_lit(out, "; known since ");
        when(out, k->first_seen);
    }
}

static void who_is_hit(const struct mail_body *b, struct facts_of *f, struct arena *a)
{
    const struct mail_facts *k = b->facts;
    str user = b->event ? event_text(b->event, S("user"), a) : (str){0},
        host = b->event ? event_text(b->event, S("host"), a) : (str){0};
    if (!(k && (k->users || k->count > 1)) && !user.n && !host.n)
        return;
    struct buf *out = add_fact(f, "Who is hit");
    if (k && k->users)
        buf_printf(out, "%lld user%s, ", (long long)k->users, plural(k->users));
    else if (user.n) {
        buf_lit(out, "user ");
        plain(out, user, 100, false);
        buf_lit(out, ", ");
    }
    if (k && k->count > 1)
        buf_printf(out, "%lld events, ", (long long)k->count);
    if (host.n) {
        buf_lit(out, "host ");
        plain(out, host, 100, false);
        buf_lit(out, ", ");
    }
    out->n -= 2; /* the last comma */
}

/* A release that came shortly before is the first thing to look at; that there is none is worth a line too. */
static void what_changed(const struct mail_body *b, struct facts_of *f)
{
    const struct mail_facts *k = b->facts;
    if (!k || !k->release.n)
        return;
    struct buf *out = add_fact(f, "What changed");
    usec before = b->opened - k->release_at;
    bool old = before > 86400 * USEC_PER_SEC;
    buf_str(out, old ? S("no release in the day before: ") : S("release "));
    plain(out, k->release, 100, false);
    buf_str(out, old ? S(" is ") : S(" came "));
    span(out, before < 0 ? -before : before);
    buf_str(out, old ? S(" old") : before < 0 ? S(" after it began") : S(" before"));
    if (k->first_release.n && !str_eq(k->first_release, k->release)) {
        buf_lit(out, "; first seen in ");
        plain(out, k->first_release, 100, false);
    }
}

static const char *const words[] = {"", "now, whoever is awake", "today, soon", "today", "some time", "never"};

static void gather_facts(const struct mail_body *b, struct facts_of *f, struct arena *a)
{
    f->n = 0;
    struct buf *out = add_fact(f, "How bad");
    buf_printf(out, "P%d, to be seen to %s", b->rank, words[b->rank >= 1 && b->rank <= 5 ? b->rank : 0]);
    if (b->points.n) {
        buf_lit(out, ": ");
        plain(out, b->points, 300, false);
    }
    if (b->detail.n)
        plain(add_fact(f, "What fired"), b->detail, 300, false);
    since(b, f);
    who_is_hit(b, f, a);
    what_changed(b, f);
    if (b->run.n)
        plain(add_fact(f, "What to do"), b->run, 500, false);
}

/* ---- 24 hours as blocks ---- */
static void spark(const struct mail_body *b, struct buf *out)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    int64_t max = 0;
    for (size_t i = 0; i < MAIL_HOURS; i++)
        max = b->facts->hours[i] > max ? b->facts->hours[i] : max;
    for (size_t i = 0; i < MAIL_HOURS; i++) {
        int64_t n = b->facts->hours[i];
        buf_str(out, str_of(n == 0 ? "·" : blocks[max > 1 ? (n * 8 - 1) / max : 7]));
    }
}

static int64_t most(const struct mail_facts *k)
{
    int64_t max = 0;
    for (size_t i = 0; k && i < MAIL_HOURS; i++)
        max = k->hours[i] > max ? k->hours[i] : max;
    return max;
}

/* ---- the event ---- */
static bool is_stack(str name) { return str_eq(name, S("error.stack")) || str_eq(name, S("error.frames")); }
static bool is_said(str name)
{
    return str_eq(name, S("id")) || str_eq(name, S("severity_number")) || str_eq(name, S("message"));
}

static void put_frame(json_t *frame, struct buf *out)
{
    const char *function = json_string_value(json_object_get(frame, "function")),
               *file = json_string_value(json_object_get(frame, "file"));
    json_t *line = json_object_get(frame, "line");
    buf_printf(out, "%s%s (%s", json_is_false(json_object_get(frame, "in_app")) ? "  " : "> ",
               function ? function : "?", file ? file : "?");
    if (json_is_integer(line))
        buf_printf(out, ":%lld", (long long)json_integer_value(line));
    buf_lit(out, ")\n");
}

/* As the sender wrote it, or made of its frames. */
static str stack_of(const struct event *ev, struct arena *a)
{
    str stack = event_text(ev, S("error.stack"), a), frames = event_text(ev, S("error.frames"), a);
    if (stack.n || !frames.n)
        return stack;
    struct buf out = BUF_INIT(STACK_MAX * 2);
    json_t *all = json_loadb(frames.p, frames.n, 0, NULL), *frame;
    size_t i;
    json_array_foreach(all, i, frame) put_frame(frame, &out);
    json_decref(all);
    stack = arena_str(a, buf_view(&out));
    buf_done(&out);
    return stack;
}

/* ---- text ---- */
static void fields_text(const struct mail_body *b, size_t cut, struct arena *a, struct buf *out)
{
    const struct event *ev = b->event;
    for (size_t i = 0, said = 0; i < ev->n && said < FIELDS_MAX; i++) {
        if (is_stack(ev->f[i].name) || is_said(ev->f[i].name))
            continue;
        buf_lit(out, "  ");
        plain(out, ev->f[i].name, 100, false);
        buf_lit(out, " = ");
        plain(out, field_text(&ev->f[i], a), FIELD_MAX >> cut, false);
        buf_byte(out, '\n');
        said++;
    }
}

static void event_as_text(const struct mail_body *b, size_t cut, struct arena *a, struct buf *out)
{
    str message = event_text(b->event, S("message"), a), stack = stack_of(b->event, a);
    if (message.n && !str_eq(message, b->title)) {
        buf_lit(out, "\n  ");
        plain(out, message, VALUE_MAX >> cut, false);
        buf_byte(out, '\n');
    }
    if (stack.n) {
        buf_lit(out, "\n");
        plain(out, stack, STACK_MAX >> cut, true);
        buf_byte(out, '\n');
    }
    buf_byte(out, '\n');
    fields_text(b, cut, a, out);
}

/* {"issues", the issue's id} to an address; false: there is none. */
static bool link_to(const struct mail_body *b, const char *path, str id, struct buf *out)
{
    if (!id.n || !b->url.n)
        return false;
    buf_printf(out, "%.*s/%s/", STR_ARG(b->url), path);
    buf_url(out, id, false);
    return true;
}

static void links_text(const struct mail_body *b, struct buf *out)
{
    struct buf link = BUF_INIT(1000);
    if (link_to(b, "incidents", b->incident, &link))
        buf_printf(out, "\nIncident: %.*s", STR_ARG(buf_view(&link)));
    buf_reset(&link);
    if (link_to(b, "issues", b->issue, &link))
        buf_printf(out, "\nIssue: %.*s", STR_ARG(buf_view(&link)));
    buf_done(&link);
}

static void write_text(const struct mail_body *b, size_t cut, struct arena *a, struct buf *out)
{
    struct facts_of f;
    plain(out, b->title, TITLE_MAX >> cut, false);
    buf_lit(out, "\n\n");
    gather_facts(b, &f, a);
    for (size_t i = 0; i < f.n; i++)
        buf_printf(out, "%s: %.*s.\n", f.fact[i].name, STR_ARG(buf_view(&f.fact[i].value)));
    facts_done(&f);
    if (most(b->facts)) {
        buf_lit(out, "Last 24 h: ");
        spark(b, out);
        buf_printf(out, " (at most %lld an hour)\n", (long long)most(b->facts));
    }
    if (b->acts)
        buf_printf(out, "\nAcknowledge, snooze, resolve, or say that it was noise:\n%c\n", LINK_MARK);
    if (b->others.n) {
        buf_lit(out, "\nAlso:\n");
        plain(out, b->others, STACK_MAX >> cut, true);
    }
    if (b->event)
        event_as_text(b, cut, a, out);
    links_text(b, out);
    buf_lit(out, "\n\nWhy you get this: rule ");
    plain(out, b->rule, 100, false);
    buf_lit(out, ", ");
    plain(out, b->why, 300, false);
    buf_str(out, b->key.n ? S(".\nKey: ") : S("."));
    plain(out, b->key, 500 >> cut, false);
    buf_byte(out, '\n');
}

/* ---- HTML ---- */
#define SOFT "color:#57606a"
#define MONO "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;line-height:1.45"
#define PRE                                                                                                            \
    "<pre style=\"" MONO ";white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f8fa;color:#1b1f24;padding:10px;" \
    "border-radius:6px;margin:10px 0\">"

static void table_row(struct buf *out, str name)
{
    buf_lit(out, "<tr><td valign=\"top\" style=\"padding:3px 12px 3px 0;white-space:nowrap;" SOFT "\">");
    buf_str(out, name);
    buf_lit(out, "</td><td valign=\"top\" style=\"padding:3px 0;overflow-wrap:anywhere\">");
}

static void facts_html(const struct mail_body *b, struct arena *a, struct buf *out)
{
    struct facts_of f;
    gather_facts(b, &f, a);
    buf_lit(out, "<table cellpadding=\"0\" cellspacing=\"0\" style=\"border-collapse:collapse;width:100%\">\n");
    for (size_t i = 0; i < f.n; i++) {
        table_row(out, str_of(f.fact[i].name));
        buf_html(out, buf_view(&f.fact[i].value));
        buf_lit(out, "</td></tr>\n");
    }
    if (most(b->facts)) {
        table_row(out, S("Last 24 h"));
        buf_lit(out, "<span style=\"font-family:monospace;color:#c4321f;white-space:nowrap;letter-spacing:-1px\">");
        spark(b, out);
        buf_printf(out, "</span><br><span style=\"" SOFT ";font-size:13px\">at most %lld an hour</span></td></tr>\n",
                   (long long)most(b->facts));
    }
    buf_lit(out, "</table>\n");
    facts_done(&f);
}

static void acts_html(const struct mail_body *b, struct buf *out)
{
    static const char *const all[][2] = {
        {"ack", "Acknowledge"}, {"snooze", "Snooze 4 h"}, {"resolve", "Resolve"}, {"noise", "Was noise"}};
    if (!b->acts)
        return;
    buf_lit(out, "<p style=\"margin:14px 0 6px\">");
    for (size_t i = 0; i < LENGTH(all); i++)
        buf_printf(out,
                   "<a href=\"%c?do=%s\" style=\"display:inline-block;padding:9px 14px;margin:0 6px 8px 0;"
                   "border:1px solid #1f4e79;border-radius:6px;text-decoration:none;%s\">%s</a>\n",
                   LINK_MARK, all[i][0], i ? "color:#1f4e79" : "background:#1f4e79;color:#ffffff", all[i][1]);
    buf_lit(out, "</p>\n");
}

static void fields_html(const struct mail_body *b, size_t cut, struct arena *a, struct buf *out)
{
    const struct event *ev = b->event;
    buf_lit(out, "<table cellpadding=\"0\" cellspacing=\"0\" style=\"border-collapse:collapse;font-size:13px\">\n");
    for (size_t i = 0, said = 0; i < ev->n && said < FIELDS_MAX; i++) {
        if (is_stack(ev->f[i].name) || is_said(ev->f[i].name))
            continue;
        struct buf name = BUF_INIT(1000);
        safe(&name, ev->f[i].name, 100, false);
        table_row(out, buf_view(&name));
        buf_done(&name);
        safe(out, field_text(&ev->f[i], a), FIELD_MAX >> cut, false);
        buf_lit(out, "</td></tr>\n");
        said++;
    }
    buf_lit(out, "</table>\n");
}

static void event_as_html(const struct mail_body *b, size_t cut, struct arena *a, struct buf *out)
{
    str message = event_text(b->event, S("message"), a), stack = stack_of(b->event, a);
    if (message.n && !str_eq(message, b->title)) {
        buf_lit(out, "<p style=\"overflow-wrap:anywhere\"><b>");
        safe(out, message, VALUE_MAX >> cut, false);
        buf_lit(out, "</b></p>\n");
    }
    if (stack.n) {
        buf_lit(out, PRE);
        safe(out, stack, STACK_MAX >> cut, true);
        buf_lit(out, "</pre>\n");
    }
    fields_html(b, cut, a, out);
}

static void link_html(const struct mail_body *b, const char *path, str id, const char *name, struct buf *out)
{
    struct buf link = BUF_INIT(1000);
    if (link_to(b, path, id, &link)) {
        buf_lit(out, "<a href=\"");
        buf_html(out, buf_view(&link));
        buf_printf(out, "\" style=\"color:#0a58a8;margin-right:16px\">%s</a>\n", name);
    }
    buf_done(&link);
}

static void badge(const struct mail_body *b, struct buf *out)
{
    static const char *const colours[] = {"#57606a", "#82071e", "#c4321f", "#9a6700", "#57606a", "#57606a"};
    buf_printf(out,
               "<p style=\"margin:0 0 6px\"><span style=\"background:%s;color:#ffffff;border-radius:4px;"
               "padding:2px 8px;font-weight:bold\">P%d</span> <span style=\"" SOFT "\">",
               b->resolved ? "#2a7d46" : colours[b->rank >= 1 && b->rank <= 5 ? b->rank : 0], b->rank);
    if (b->env.n) {
        safe(out, b->env, 40, false);
        buf_byte(out, '/');
    }
    safe(out, b->app.n ? b->app : S("logd"), 80, false);
    buf_str(out, b->resolved ? S(" &middot; resolved") : b->held ? S(" &middot; goes on") : S(""));
    buf_lit(out, "</span></p>\n");
}

static void write_html(const struct mail_body *b, size_t cut, struct arena *a, struct buf *out)
{
    buf_lit(out, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>logd</title></head>\n"
                 "<body style=\"margin:0;background:#ffffff;color:#1b1f24;font:15px/1.45 system-ui,-apple-system,"
                 "'Segoe UI',sans-serif\"><div style=\"max-width:680px;margin:0 auto;padding:14px\">\n");
    badge(b, out);
    buf_lit(out, "<h1 style=\"font-size:19px;line-height:1.3;margin:0 0 10px;overflow-wrap:anywhere\">");
    safe(out, b->title, TITLE_MAX >> cut, false);
    buf_lit(out, "</h1>\n");
    facts_html(b, a, out);
    acts_html(b, out);
    if (b->others.n) {
        buf_lit(out, "<p style=\"margin:10px 0 0\">Also:</p>\n" PRE);
        safe(out, b->others, STACK_MAX >> cut, true);
        buf_lit(out, "</pre>\n");
    }
    if (b->event)
        event_as_html(b, cut, a, out);
    buf_lit(out, "<p>");
    link_html(b, "incidents", b->incident, "The incident", out);
    link_html(b, "issues", b->issue, "The issue", out);
    buf_lit(out, "</p>\n<p style=\"font-size:13px;overflow-wrap:anywhere;" SOFT "\">Why you get this: rule <b>");
    safe(out, b->rule, 100, false);
    buf_lit(out, "</b>, ");
    safe(out, b->why, 300, false);
    buf_str(out, b->key.n ? S(".<br>Key: ") : S("."));
    safe(out, b->key, 500 >> cut, false);
    buf_lit(out, "</p>\n</div></body></html>\n");
}

/* ---- within their sizes ---- */

/* As quoted-printable. */
static size_t sent_size(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += (unsigned char)s.p[i] >= 0x80 || s.p[i] == '=' || ((unsigned char)s.p[i] < 0x20 && s.p[i] != '\n') ? 3 : 1;
    return n + n / 70 * 3;
}

static void fit(const struct mail_body *b, struct arena *a, struct buf *out, size_t max,
                void (*put)(const struct mail_body *, size_t, struct arena *, struct buf *))
{
    for (size_t cut = 0; cut < CUTS; cut++) {
        buf_reset(out);
        put(b, cut, a, out);
        if (!out->full && sent_size(buf_view(out)) <= max)
            return;
    }
}

void body_text(const struct mail_body *b, struct arena *a, struct buf *out) { fit(b, a, out, TEXT_BYTES, write_text); }
void body_html(const struct mail_body *b, struct arena *a, struct buf *out) { fit(b, a, out, HTML_BYTES, write_html); }

/* ---- the digest of the day ---- */

void body_digest_begin(struct digest_mail *d)
{
    buf_lit(&d->text, "What was not worth a mail of its own:\n\n");
    buf_lit(
        &d->html,
        "<!doctype html><html><body style=\"font-family:sans-serif\">\n<h2>What was not worth a mail of its own</h2>\n"
        "<table cellpadding=\"4\" style=\"border-collapse:collapse\">\n");
}

void body_digest_line(struct digest_mail *d, int rank, str title, str rule, uint64_t n, str reason, str incident)
{
    enum { LINES = 200 };
    if (d->n++ >= LINES)
        return;
    buf_printf(&d->text, "P%d ", rank);
    plain(&d->text, title, 200, false);
    buf_printf(&d->text, "\n   %llu x, rule ", (unsigned long long)n);
    plain(&d->text, rule, 100, false);
    buf_lit(&d->text, ": ");
    plain(&d->text, reason, 200, false);
    buf_byte(&d->text, '\n');
    buf_printf(&d->html, "<tr><td valign=\"top\">P%d</td><td>", rank);
    if (d->url.n) {
        buf_lit(&d->html, "<a href=\"");
        buf_html(&d->html, d->url);
        buf_lit(&d->html, "/incidents/");
        buf_html(&d->html, incident);
        buf_lit(&d->html, "\">");
    }
    safe(&d->html, title.n ? title : rule, 200, false);
    buf_str(&d->html, d->url.n ? S("</a><br>") : S("<br>"));
    safe(&d->html, rule, 100, false);
    buf_lit(&d->html, ": ");
    safe(&d->html, reason, 200, false);
    buf_printf(&d->html, "</td><td align=\"right\" valign=\"top\">%llu</td></tr>\n", (unsigned long long)n);
}

void body_digest_end(struct digest_mail *d) { buf_lit(&d->html, "</table>\n</body></html>\n"); }
