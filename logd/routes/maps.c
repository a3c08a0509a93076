/* routes/maps.c - POST, GET and DELETE /v1/maps: source maps go in, and never come out. All run in the worker pool. */
#include "routes/maps.h"
#include "base/clock.h"
#include "base/str.h"
#include "maps/bundle.h"
#include "maps/maps.h"
#include "parts.h"
#include "routes/resources.h"

uint32_t maps_app(struct request *r)
{
    str name = http_param(r, "app");
    uint32_t app = 0;
    if (!r->who.app && !name.p)
        reply_error(r, 400, "app: expected ?app=NAME");
    else if (name.p && !auth_app_find(r->parts->auth, name, &app))
        reply_error(r, 400, "app: there is none named \"%.*s\"", STR_ARG(str_head(name, LIMIT_APP)));
    else if (r->who.app && app && r->who.role == ROLE_DEPLOY && app != r->who.app)
        reply_error(r, 403, "app: this key is for \"%s\", not for \"%.*s\"", r->who.app_name,
                    STR_ARG(str_head(name, LIMIT_APP)));
    else
        return app ? app : r->who.app;
    return 0;
}

static void put_proof(const struct map_proof *p, struct buf *out)
{
    buf_str(out, out->n ? S(",") : S(""));
    buf_lit(out, "{\"path\":");
    buf_json(out, p->path);
    buf_lit(out, ",\"debug_id\":");
    p->debug_id.n ? buf_json(out, p->debug_id) : buf_lit(out, "null");
    buf_printf(out, ",\"sources\":%u,\"mappings\":%u,\"sample\":{\"line\":%u,\"column\":%u,\"source\":", p->sources,
               p->mappings, p->line, p->column);
    buf_json(out, p->source);
    buf_printf(out, ",\"source_line\":%u,\"name\":", p->oline);
    p->name.n ? buf_json(out, p->name) : buf_lit(out, "null");
    buf_lit(out, "}}");
}

static void refuse(struct bundle_put *p, str path, const struct err *e)
{
    if (p->refused++ == 0)
        snprintf(p->first, sizeof p->first, "%.*s: %s", STR_ARG(str_head(path, 90)), e->text);
    buf_str(&p->errors, p->errors.n ? S(",") : S(""));
    buf_lit(&p->errors, "{\"path\":");
    buf_json(&p->errors, path);
    buf_lit(&p->errors, ",\"error\":");
    buf_json(&p->errors, str_of(e->text));
    buf_byte(&p->errors, '}');
}

static void put_one(struct request *r, struct bundle *b, const struct bundle_map *x, struct map_new *n,
                    struct bundle_put *p)
{
    struct buf map = BUF_INIT(2 * (size_t)BUNDLE_ENTRY), minified = BUF_INIT(2 * (size_t)BUNDLE_ENTRY);
    struct map_proof proof;
    struct arena a = {0};
    struct err e;
    n->path = x->path;
    n->debug_id = x->debug_id;
    int rc = bundle_entry(b, x->map, &map, &e);
    if (rc == 0 && x->minified != SIZE_MAX)
        rc = bundle_entry(b, x->minified, &minified, &e);
    n->map = buf_view(&map);
    n->minified = buf_view(&minified);
    if (rc == 0 && maps_put(r->parts->maps, n, &a, &proof, &e) == 0) {
        put_proof(&proof, &p->maps);
        p->taken++;
    } else {
        refuse(p, x->path, &e);
    }
    arena_done(&a);
    buf_done(&map);
    buf_done(&minified);
}

int bundle_put(struct request *r, uint32_t app, str release, str bytes, struct bundle_put *ret, struct err *e)
{
    struct bundle *b;
    size_t n;
    *ret = (struct bundle_put){.maps = BUF_INIT(64u << 20), .errors = BUF_INIT(64u << 20)};
    if (bundle_open(bytes, &b, e) < 0)
        return -1;
    const struct bundle_map *list = bundle_maps(b, &n);
    struct map_new new = {.app = app, .release = release.n ? release : bundle_release(b), .now = clock_now()};
    for (size_t i = 0; i < n; i++)
        put_one(r, b, &list[i], &new, ret);
    bundle_close(b);
    return n ? 0
             : err_set(e, ERR_INPUT,
                       "the bundle holds no source map: build with source maps, as esbuild --sourcemap does");
}

void bundle_put_done(struct bundle_put *p)
{
    buf_done(&p->maps);
    buf_done(&p->errors);
}

static void post_bundle(struct request *r, uint32_t app)
{
    struct bundle_put p;
    struct err e;
    int rc = bundle_put(r, app, http_param(r, "release"), buf_view(&r->body), &p, &e);
    if (rc < 0)
        reply_err(r, &e);
    else if (!p.taken)
        reply_error(r, 400, "%s", p.first);
    else
        buf_printf(&r->out, "{\"maps\":[%.*s],\"refused\":[%.*s]}\n", STR_ARG(buf_view(&p.maps)),
                   STR_ARG(buf_view(&p.errors)));
    bundle_put_done(&p);
}

static void post_single(struct request *r, uint32_t app)
{
    struct map_proof proof;
    struct err e;
    struct buf out = BUF_INIT(1u << 20);
    struct map_new n = {.app = app,
                        .release = http_param(r, "release"),
                        .path = http_param(r, "path"),
                        .debug_id = http_param(r, "debug_id"),
                        .map = buf_view(&r->body),
                        .now = clock_now()};
    if (maps_put(r->parts->maps, &n, &r->arena, &proof, &e) < 0) {
        reply_err(r, &e);
    } else {
        put_proof(&proof, &out);
        buf_printf(&r->out, "{\"maps\":[%.*s],\"refused\":[]}\n", STR_ARG(buf_view(&out)));
    }
    buf_done(&out);
}

void post_maps(struct request *r)
{
    uint32_t app = maps_app(r);
    if (!app)
        return;
    if (bundle_is(buf_view(&r->body)))
        post_bundle(r, app);
    else
        post_single(r, app);
}

static void put_app(void *auth, uint32_t app, struct buf *out)
{
    char name[LIMIT_APP + 1];
    if (!auth_app_name(auth, app, name))
        snprintf(name, sizeof name, "%u", app);
    buf_json(out, str_of(name));
}

void get_maps(struct request *r)
{
    str name = http_param(r, "app");
    uint32_t app = 0;
    if (name.n && !auth_app_find(r->parts->auth, name, &app))
        reply_error(r, 400, "app: there is none named \"%.*s\"", STR_ARG(str_head(name, LIMIT_APP)));
    else
        maps_json(r->parts->maps, app, put_app, r->parts->auth, &r->out);
}

void delete_maps(struct request *r)
{
    str release = http_param(r, "release"), path = http_param(r, "path");
    uint32_t app = maps_app(r);
    if (!app)
        return;
    size_t n = maps_remove(r->parts->maps, app, release, path);
    if (n)
        buf_printf(&r->out, "{\"removed\":%zu}\n", n);
    else
        reply_error(r, 404, "the app has no such source map: see logd maps list");
}
