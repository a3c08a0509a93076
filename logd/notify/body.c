#include "notify/body.h"
#include "base/clock.h"
#include "base/str.h"
#include "notify/links.h"

enum { VALUE_MAX = 2000, STACK_MAX = 8000, FIELDS_MAX = 40, SUBJECT_MAX = 120 };

/* Bidi controls reorder what a reader sees; control characters do worse. */
static bool is_bidi(str s)
{
    return s.n >= 3 && (unsigned char)s.p[0] == 0xe2 &&
           (((unsigned char)s.p[1] == 0x80 && (unsigned char)s.p[2] >= 0x8b && (unsigned char)s.p[2] <= 0xaf) ||
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
    if (s->env.n) {
        plain(out, s->env, 20, false);
        buf_byte(out, '/');
    }
    plain(out, s->app.n ? s->app : S("logd"), 40, false);
    buf_lit(out, "] ");
    plain(out, s->title.n ? s->title : s->rule, SUBJECT_MAX, false);
}

static void when(struct buf *out, usec t)
{
    char text[TIME_TEXT_MAX];
    time_print(t * NSEC_PER_USEC, 0, text);
    buf_str(out, str_of(text));
}

/* One sentence: what this mail is. */
static void lead(const struct mail_body *b, struct buf *out)
{
    if (b->resolved) {
        buf_lit(out, "Resolved ");
        when(out, b->resolved);
        buf_lit(out, ": nothing more came. First seen ");
    } else if (b->held)
        buf_printf(out, "%llu more since the last mail, %llu in all since ", (unsigned long long)b->held,
                   (unsigned long long)b->count);
    else
        buf_printf(out, "First seen ");
    when(out, b->opened);
}

static bool is_stack(str name) { return str_eq(name, S("error.stack")) || str_eq(name, S("error.frames")); }
static bool is_said(str name)
{
    return str_eq(name, S("id")) || str_eq(name, S("severity_number")) || str_eq(name, S("message"));
}

static void fields_text(const struct mail_body *b, struct arena *a, struct buf *out)
{
    const struct event *ev = b->event;
    for (size_t i = 0, said = 0; i < ev->n && said < FIELDS_MAX; i++) {
        if (is_stack(ev->f[i].name) || is_said(ev->f[i].name))
            continue;
        buf_lit(out, "  ");
        plain(out, ev->f[i].name, 100, false);
        buf_lit(out, " = ");
        plain(out, field_text(&ev->f[i], a), VALUE_MAX, false);
        buf_byte(out, '\n');
        said++;
    }
    str stack = event_text(ev, S("error.stack"), a);
    if (stack.n) {
        buf_lit(out, "\n");
        plain(out, stack, STACK_MAX, true);
        buf_byte(out, '\n');
    }
}

static void links(const struct mail_body *b, struct buf *out, bool html)
{
    static const struct {
        const char *path, *name;
    } to[] = {{"issues", "Issue"}, {"incidents", "Incident"}};
    for (size_t i = 0; i < LENGTH(to); i++) {
        str id = i == 0 ? b->issue : b->incident;
        if (!id.n || !b->url.n)
            continue;
        struct buf link = BUF_INIT(1000);
        buf_str(&link, b->url);
        buf_printf(&link, "/%s/", to[i].path);
        buf_url(&link, id, false);
        if (html) {
            buf_lit(out, "<p><a href=\"");
            buf_html(out, buf_view(&link));
            buf_printf(out, "\">%s</a></p>\n", to[i].name);
        } else {
            buf_printf(out, "%s: %.*s\n", to[i].name, STR_ARG(buf_view(&link)));
        }
        buf_done(&link);
    }
}

/* What he may do, by the links that are his own (links.h). */
static void acts_text(const struct mail_body *b, struct buf *out)
{
    if (b->acts)
        buf_printf(out, "\nAcknowledge, snooze, resolve, or say that it was noise:\n%c\n", LINK_MARK);
}

static void acts_html(const struct mail_body *b, struct buf *out)
{
    static const char *const all[][2] = {
        {"ack", "Acknowledge"}, {"snooze", "Snooze 4 h"}, {"resolve", "Resolve"}, {"noise", "It was noise"}};
    if (!b->acts)
        return;
    buf_lit(out, "<p>");
    for (size_t i = 0; i < LENGTH(all); i++)
        buf_printf(out,
                   "<a href=\"%c?do=%s\" style=\"display:inline-block;padding:9px 14px;margin:0 6px 6px 0;"
                   "border:1px solid #1f4e79;border-radius:6px;text-decoration:none;%s\">%s</a>\n",
                   LINK_MARK, all[i][0], i ? "color:#1f4e79" : "background:#1f4e79;color:#ffffff", all[i][1]);
    buf_lit(out, "</p>\n");
}

void body_text(const struct mail_body *b, struct arena *a, struct buf *out)
{
    plain(out, b->title, VALUE_MAX, false);
    buf_lit(out, "\n\n");
    lead(b, out);
    buf_printf(out, ". Rank P%d.\n", b->rank);
    if (b->detail.n) {
        plain(out, b->detail, 500, false);
        buf_lit(out, ".\n");
    }
    acts_text(b, out);
    if (b->others.n) {
        buf_lit(out, "\nAlso:\n");
        plain(out, b->others, STACK_MAX, true);
    }
    if (b->event) {
        str message = event_text(b->event, S("message"), a);
        if (message.n) {
            buf_lit(out, "\n  ");
            plain(out, message, VALUE_MAX, false);
            buf_byte(out, '\n');
        }
        buf_byte(out, '\n');
        fields_text(b, a, out);
    }
    buf_byte(out, '\n');
    links(b, out, false);
    buf_lit(out, "\nWhy you get this: rule ");
    plain(out, b->rule, 100, false);
    buf_lit(out, ", ");
    plain(out, b->why, 300, false);
    buf_lit(out, ".\nKey: ");
    plain(out, b->key, 500, false);
    if (b->points.n) {
        buf_lit(out, "\nRank: ");
        plain(out, b->points, 500, false);
    }
    if (b->run.n) {
        buf_lit(out, "\nWhat to do: ");
        plain(out, b->run, 500, false);
    }
    buf_byte(out, '\n');
}

/* plain() and then escaped. */
static void safe(struct buf *out, str s, size_t max, bool lines)
{
    struct buf text = BUF_INIT(STACK_MAX + 16);
    plain(&text, s, max, lines);
    buf_html(out, buf_view(&text));
    buf_done(&text);
}

static void fields_html(const struct mail_body *b, struct arena *a, struct buf *out)
{
    const struct event *ev = b->event;
    buf_lit(out, "<table cellpadding=\"4\" style=\"border-collapse:collapse\">\n");
    for (size_t i = 0, said = 0; i < ev->n && said < FIELDS_MAX; i++) {
        if (is_stack(ev->f[i].name) || is_said(ev->f[i].name))
            continue;
        buf_lit(out, "<tr><th align=\"left\" valign=\"top\">");
        safe(out, ev->f[i].name, 100, false);
        buf_lit(out, "</th><td>");
        safe(out, field_text(&ev->f[i], a), VALUE_MAX, false);
        buf_lit(out, "</td></tr>\n");
        said++;
    }
    buf_lit(out, "</table>\n");
    str stack = event_text(ev, S("error.stack"), a);
    if (stack.n) {
        buf_lit(out, "<pre style=\"white-space:pre-wrap\">");
        safe(out, stack, STACK_MAX, true);
        buf_lit(out, "</pre>\n");
    }
}

void body_html(const struct mail_body *b, struct arena *a, struct buf *out)
{
    buf_lit(out, "<!doctype html><html><body style=\"font-family:sans-serif\">\n<h2>");
    safe(out, b->title, VALUE_MAX, false);
    buf_lit(out, "</h2>\n<p>");
    lead(b, out);
    buf_printf(out, ". Rank P%d.", b->rank);
    if (b->detail.n) {
        buf_lit(out, "<br>");
        safe(out, b->detail, 500, false);
        buf_byte(out, '.');
    }
    buf_lit(out, "</p>\n");
    acts_html(b, out);
    if (b->others.n) {
        buf_lit(out, "<p>Also:</p>\n<pre style=\"white-space:pre-wrap\">");
        safe(out, b->others, STACK_MAX, true);
        buf_lit(out, "</pre>\n");
    }
    if (b->event) {
        str message = event_text(b->event, S("message"), a);
        if (message.n) {
            buf_lit(out, "<p><b>");
            safe(out, message, VALUE_MAX, false);
            buf_lit(out, "</b></p>\n");
        }
        fields_html(b, a, out);
    }
    links(b, out, true);
    buf_lit(out, "<p>Why you get this: rule <b>");
    safe(out, b->rule, 100, false);
    buf_lit(out, "</b>, ");
    safe(out, b->why, 300, false);
    buf_lit(out, ".<br>Key: ");
    safe(out, b->key, 500, false);
    if (b->points.n) {
        buf_lit(out, "<br>Rank: ");
        safe(out, b->points, 500, false);
    }
    if (b->run.n) {
        buf_lit(out, "<br>What to do: ");
        safe(out, b->run, 500, false);
    }
    buf_lit(out, "</p>\n</body></html>\n");
}

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
