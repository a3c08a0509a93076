/* routes/admin.c - /v1/apps, /v1/keys, /v1/users: what `logd app`, `key` and `user` and the web's admin page ask for. */
#include "base/str.h"
#include "parts.h"
#include "routes/form.h"
#include "routes/resources.h"

/* ---- apps ---- */

char *url_of(struct request *r)
{
    const struct config *c = atomic_load(&r->parts->config);
    if (c && c->url)
        return c->url;
    if (r->parts->url)
        return r->parts->url;
    return arena_printf(&r->arena, "%s://%s", c && c->tls_cert ? "https" : "http",
                        c && c->listen ? c->listen : "127.0.0.1:5080");
}

void get_apps(struct request *r)
{
    buf_lit(&r->out, "{\"apps\":");
    auth_app_list(r->parts->auth, url_of(r), &r->out);
    buf_lit(&r->out, "}");
}

void post_app(struct request *r)
{
    static const struct form_field fields[] = {{"name", FORM_TEXT, false}};
    json_t *form = NULL;
    uint32_t id = 0;
    struct err e;
    if (form_read(r, fields, LENGTH(fields), &form, &e) < 0 ||
        auth_app_add(r->parts->auth, form_text(form, "name"), &id, &e) < 0) {
        reply_err(r, &e);
    } else {
        r->status = 201;
        buf_printf(&r->out, "{\"id\":%u,\"name\":", id);
        buf_json(&r->out, form_text(form, "name"));
        buf_lit(&r->out, "}");
    }
    json_decref(form);
}

static void removed(struct request *r, int rc, const struct err *e)
{
    if (rc < 0) {
        reply_err(r, e);
        return;
    }
    buf_lit(&r->out, "{\"removed\":");
    buf_json(&r->out, r->arg[0]);
    buf_lit(&r->out, "}");
}

void delete_app(struct request *r)
{
    struct err e;
    removed(r, auth_app_remove(r->parts->auth, r->arg[0], &e), &e);
}

/* ---- keys ---- */

void get_keys(struct request *r)
{
    buf_lit(&r->out, "{\"keys\":");
    auth_key_list(r->parts->auth, &r->out);
    buf_lit(&r->out, "}");
}

/* The role by its name; what is no role at all is told as it came. */
static int read_role(str name, const char *expected, enum role *ret, struct err *e)
{
    enum role role = role_read(name);
    if (role != ROLE_NONE) {
        *ret = role;
        return 0;
    }
    err_set(e, ERR_INPUT, "role: expected one of %s, got \"%.*s\"", expected, STR_ARG(str_head(name, 80)));
    snprintf(e->pointer, sizeof e->pointer, "/role");
    return -1;
}

static int add_key(struct request *r, const json_t *form, char key[64], int64_t *ret_id, struct err *e)
{
    const json_t *list = json_object_get(form, "origins");
    size_t n = json_array_size(list);
    str *origins = arena_alloc(&r->arena, (n + 1) * sizeof *origins);
    for (size_t i = 0; i < n; i++)
        origins[i] = str_of(json_string_value(json_array_get(list, i)));
    struct auth_key_new k = {.app = form_text(form, "app"),
                             .origins = origins,
                             .origins_n = n,
                             .per_minute = (uint32_t)json_integer_value(json_object_get(form, "per_minute"))};
    if (read_role(form_text(form, "role"), "ingest, browser, deploy, read, logins, admin", &k.role, e) < 0)
        return -1;
    return auth_key_add(r->parts->auth, &k, key, ret_id, e);
}

void post_key(struct request *r)
{
    static const struct form_field fields[] = {{"app", FORM_TEXT, false},
                                               {"role", FORM_TEXT, false},
                                               {"origins", FORM_TEXTS, true},
                                               {"per_minute", FORM_NUMBER, true}};
    json_t *form = NULL;
    char key[64] = "";
    int64_t id = 0;
    struct err e;
    if (form_read(r, fields, LENGTH(fields), &form, &e) < 0 || add_key(r, form, key, &id, &e) < 0) {
        reply_err(r, &e);
    } else {
        r->status = 201;
        reply_header(r, "Cache-Control", "no-store");
        r->out.secret = true;
        buf_printf(&r->out, "{\"id\":%lld,\"key\":", (long long)id);
        buf_json(&r->out, str_of(key));
        buf_byte(&r->out, '}');
    }
    explicit_bzero(key, sizeof key);
    json_decref(form);
}

void delete_key(struct request *r)
{
    struct err e;
    uint64_t id = 0;
    if (!str_u64(r->arg[0], &id) || id > INT64_MAX)
        reply_error(r, 400, "key: expected the number of a key, got \"%.*s\"", STR_ARG(str_head(r->arg[0], 80)));
    else
        removed(r, auth_key_revoke(r->parts->auth, (int64_t)id, &e), &e);
}

/* ---- users ---- */

void get_users(struct request *r)
{
    buf_lit(&r->out, "{\"users\":");
    auth_user_list(r->parts->auth, &r->out);
    buf_lit(&r->out, "}");
}

void post_user(struct request *r)
{
    static const struct form_field fields[] = {
        {"email", FORM_TEXT, false}, {"role", FORM_TEXT, false}, {"password", FORM_TEXT, false}};
    json_t *form = NULL;
    enum role role = ROLE_NONE;
    struct err e;
    if (form_read(r, fields, LENGTH(fields), &form, &e) < 0 ||
        read_role(form_text(form, "role"), "viewer, editor, admin", &role, &e) < 0 ||
        auth_user_add(r->parts->auth, form_text(form, "email"), role, form_text(form, "password"), &e) < 0) {
        reply_err(r, &e);
    } else {
        r->status = 201;
        buf_lit(&r->out, "{\"email\":");
        buf_json(&r->out, form_text(form, "email"));
        buf_printf(&r->out, ",\"role\":\"%s\"}", role_name(role));
    }
    json_decref(form);
}

void post_user_password(struct request *r)
{
    static const struct form_field fields[] = {{"password", FORM_TEXT, false}};
    json_t *form = NULL;
    struct err e;
    if (form_read(r, fields, LENGTH(fields), &form, &e) < 0 ||
        auth_user_passwd(r->parts->auth, r->arg[0], form_text(form, "password"), &e) < 0)
        reply_err(r, &e);
    else
        buf_lit(&r->out, "{}");
    json_decref(form);
}

void delete_user(struct request *r)
{
    struct err e;
    removed(r, auth_user_remove(r->parts->auth, r->arg[0], &e), &e);
}
