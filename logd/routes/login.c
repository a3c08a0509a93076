/* routes/login.c - signing in and out, who am I, and the first user. JSON for the web page; the cookie is HttpOnly and
 * its CSRF token is handed to the page, which shows it with whatever changes something. */
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "parts.h"
#include "routes/form.h"
#include "routes/resources.h"

#define COOKIE_AGE_S (30 * 86400)

static void set_cookie(struct request *r, const char *value, int age_s)
{
    const struct config *c = atomic_load(&r->parts->config);
    bool https = r->tls || (c && c->url && str_starts(str_of(c->url), S("https://")));
    reply_header(r, "Set-Cookie", "logd_session=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%s", value, age_s,
                 https ? "; Secure" : "");
    reply_header(r, "Cache-Control", "no-store");
}

static void print_who(struct request *r, const struct principal *p)
{
    const char *comma = "";
    r->out.secret = true;
    buf_printf(&r->out, "{\"role\":\"%s\",\"rights\":[", role_name(p->role));
    for (int i = RIGHT_NONE + 1; i <= RIGHT_ADMIN; i++) {
        if (!principal_may(p, (enum right)i))
            continue;
        buf_printf(&r->out, "%s\"%s\"", comma, right_name((enum right)i));
        comma = ",";
    }
    buf_lit(&r->out, "]");
    if (p->user[0]) {
        buf_lit(&r->out, ",\"email\":");
        buf_json(&r->out, str_of(p->user));
        buf_lit(&r->out, ",\"csrf\":");
        buf_json(&r->out, str_of(p->csrf));
    }
    if (p->app)
        buf_printf(&r->out, ",\"app\":\"%s\"", p->app_name);
    buf_lit(&r->out, "}");
}

/* False: the answer says why not. */
static bool sign_in(struct request *r, str email, str password, char cookie[65], struct principal *p)
{
    unsigned retry_s = 0;
    struct err e;
    if (auth_login(r->parts->auth, email, password, r->peer, clock_now(), cookie, p, &retry_s, &e) == 0)
        return true;
    if (e.kind == ERR_FULL) {
        reply_header(r, "Retry-After", "%u", retry_s);
        reply_error(r, 429, "%s", e.text);
        log_warn("auth", "what=\"sign-in held back\" peer=%s wait_s=%u", r->peer, retry_s);
    } else if (e.kind == ERR_DENIED) {
        reply_error(r, 401, "%s", e.text);
        log_warn("auth", "what=\"sign-in refused\" peer=%s", r->peer);
    } else {
        reply_err(r, &e);
    }
    return false;
}

static void enter(struct request *r, str email, str password)
{
    struct principal p;
    char cookie[65];
    if (!sign_in(r, email, password, cookie, &p))
        return;
    set_cookie(r, cookie, COOKIE_AGE_S);
    print_who(r, &p);
}

void post_login(struct request *r)
{
    static const struct form_field fields[] = {{"email", FORM_TEXT, false}, {"password", FORM_TEXT, false}};
    json_t *form = NULL;
    struct err e;
    if (form_read(r, fields, LENGTH(fields), &form, &e) < 0)
        reply_err(r, &e);
    else
        enter(r, form_text(form, "email"), form_text(form, "password"));
    json_decref(form);
}

void post_logout(struct request *r)
{
    struct err e;
    str cookie = http_cookie(r, S("logd_session"));
    if (!r->who.user[0]) {
        reply_error(r, 400, "expected a session to sign out of, got a key");
    } else if (auth_logout(r->parts->auth, cookie, &e) < 0) {
        reply_err(r, &e);
    } else {
        set_cookie(r, "", 0);
        buf_lit(&r->out, "{}");
    }
}

void get_me(struct request *r)
{
    reply_header(r, "Cache-Control", "no-store");
    print_who(r, &r->who);
}

/* The old password is asked for with sign-in's back-off; the session that opens ends with all others. */
static void change_password(struct request *r, str old, str new)
{
    struct principal p;
    char cookie[65];
    struct err e;
    str email = str_of(r->who.user);
    if (!sign_in(r, email, old, cookie, &p))
        return;
    if (auth_user_passwd(r->parts->auth, email, new, &e) < 0) {
        snprintf(e.pointer, sizeof e.pointer, "/new");
        reply_err(r, &e);
        return;
    }
    enter(r, email, new);
}

void post_my_password(struct request *r)
{
    static const struct form_field fields[] = {{"old", FORM_TEXT, false}, {"new", FORM_TEXT, false}};
    json_t *form = NULL;
    struct err e;
    if (!r->who.user[0])
        reply_error(r, 400, "expected the session of a user, got a key");
    else if (form_read(r, fields, LENGTH(fields), &form, &e) < 0)
        reply_err(r, &e);
    else
        change_password(r, form_text(form, "old"), form_text(form, "new"));
    json_decref(form);
}

void post_first(struct request *r)
{
    static const struct form_field fields[] = {
        {"token", FORM_TEXT, false}, {"email", FORM_TEXT, false}, {"password", FORM_TEXT, false}};
    json_t *form = NULL;
    struct err e;
    if (form_read(r, fields, LENGTH(fields), &form, &e) < 0 ||
        auth_first_user(r->parts->auth, form_text(form, "token"), form_text(form, "email"), form_text(form, "password"),
                        clock_now(), &e) < 0)
        reply_err(r, &e);
    else
        enter(r, form_text(form, "email"), form_text(form, "password"));
    json_decref(form);
}
