/* routes/sentry-maps.c - source maps as sentry-cli and Sentry's bundler plug-ins upload them. Recorded from sentry-cli 3.8.
 *
 *   GET  …/chunk-upload/            where and how: pieces of CHUNK bytes, named by SHA-1, gzip'ed
 *   POST …/artifactbundle/assemble/ {"checksum","chunks":[SHA-1…],"projects":[…],"version"}   -> which pieces are missing
 *   POST …/chunk-upload/            multipart/form-data: parts `file` or `file_gzip`, their filename the SHA-1
 *   POST …/artifactbundle/assemble/ again: all is there, the bundle is read
 *
 * Before it, `releases new` and `finalize` make a release and end it: here one is there as soon as something names it, so
 * they are answered and change nothing.
 *
 * The key is a deploy key; its app is the project, whatever the organization is called. */
#include "base/clock.h"
#include "base/str.h"
#include "maps/bundle.h"
#include "maps/chunk.h"
#include "parts.h"
#include "routes/maps.h"
#include "routes/resources.h"

#include <jansson.h>
#include <zlib.h>

enum { CHUNK = 8 << 20, CHUNKS_MAX = 1000 };

void get_chunk_upload(struct request *r)
{
    const struct config *c = r->parts->config;
    str host = http_header(r, "Host");
    buf_lit(&r->out, "{\"url\":");
    if (c->url)
        buf_json(&r->out, str_of(arena_printf(&r->arena, "%s%.*s", c->url, STR_ARG(r->path))));
    else
        buf_json(&r->out, str_of(arena_printf(&r->arena, "%s://%.*s%.*s", r->tls ? "https" : "http", STR_ARG(host),
                                              STR_ARG(r->path))));
    buf_printf(
        &r->out,
        ",\"chunkSize\":%d,\"chunksPerRequest\":2,\"maxFileSize\":%llu,\"maxRequestSize\":%llu,\"concurrency\":2,\"hashAlgorithm\":\"sha1\","
        "\"compression\":[\"gzip\"],\"accept\":[\"release_files\",\"artifact_bundles\",\"artifact_bundles_v2\"]}\n",
        CHUNK, (unsigned long long)CHUNKS_BYTES / 2, (unsigned long long)c->limits.body);
}

/* sentry-cli reads `detail`. */
static void fail(struct request *r, unsigned status, const char *text)
{
    buf_reset(&r->out);
    r->status = status;
    buf_lit(&r->out, "{\"detail\":");
    buf_json(&r->out, str_of(text));
    buf_lit(&r->out, ",\"error\":");
    buf_json(&r->out, str_of(text));
    buf_lit(&r->out, "}\n");
}

/* ---- a piece ---- */
static int unpack(str packed, struct buf *out, struct err *e)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.p, .avail_in = (uInt)packed.n};
    if (!buf_room(out, CHUNK + 1) || inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
        return err_set(e, ERR_FULL, "a chunk does not fit into memory");
    z.next_out = (Bytef *)out->p;
    z.avail_out = CHUNK + 1;
    int code = inflate(&z, Z_FINISH);
    out->n = z.total_out;
    inflateEnd(&z);
    return code == Z_STREAM_END && out->n <= CHUNK
               ? 0
               : err_set(e, ERR_INPUT, "a chunk: expected gzip of at most %d bytes", CHUNK);
}

/* name="…" of a part's header */
static str attribute(str head, str name)
{
    ptrdiff_t at = str_find(head, name);
    if (at < 0)
        return (str){0};
    str value = str_skip(head, (size_t)at + name.n);
    ptrdiff_t end = str_chr(value, '"');
    return str_head(value, end < 0 ? 0 : (size_t)end);
}

static int put_part(struct request *r, uint32_t app, str part, struct err *e)
{
    ptrdiff_t end = str_find(part, S("\r\n\r\n"));
    if (end < 0)
        return err_set(e, ERR_INPUT, "a part of the form has no header");
    str head = str_head(part, (size_t)end), body = str_skip(part, (size_t)end + 4);
    str name = attribute(head, S("; name=\"")), sha1 = attribute(head, S("; filename=\""));
    struct buf plain = BUF_INIT(2 * (size_t)CHUNK);
    int rc = str_eq(name, S("file_gzip")) ? unpack(body, &plain, e) : 0;
    if (rc == 0)
        rc = chunk_put(r->parts->maps, app, sha1, str_eq(name, S("file_gzip")) ? buf_view(&plain) : body, e);
    buf_done(&plain);
    return rc;
}

void post_chunk_upload(struct request *r)
{
    uint32_t app = maps_app(r);
    str type = http_header(r, "Content-Type"), rest = buf_view(&r->body);
    ptrdiff_t at = str_find(type, S("boundary="));
    struct err e = {0};
    if (!app)
        return;
    if (at < 0 || !str_starts(type, S("multipart/form-data"))) {
        fail(r, 400, "Content-Type: expected multipart/form-data with a boundary");
        return;
    }
    str name = str_skip(type, (size_t)at + 9);
    str line = str_of(
        arena_printf(&r->arena, "--%.*s",
                     STR_ARG(str_eq(str_head(name, 1), S("\"")) ? str_head(str_skip(name, 1), name.n - 2) : name)));
    str between = str_of(arena_printf(&r->arena, "\r\n%.*s", STR_ARG(line)));
    rest = str_starts(rest, line) ? str_skip(rest, line.n) : (str){0};
    while (rest.n && !str_starts(rest, S("--"))) {
        ptrdiff_t end = str_find(rest, between);
        if (end < 0 ? err_set(&e, ERR_INPUT, "the form is cut off") < 0
                    : put_part(r, app, str_head(rest, (size_t)end), &e) < 0)
            break;
        rest = str_skip(rest, (size_t)end + between.n);
    }
    if (e.kind)
        fail(r, e.kind == ERR_INPUT ? 400 : 503,
             e.kind == ERR_INPUT || e.kind == ERR_FULL ? e.text : "the chunk could not be kept");
    else
        buf_lit(&r->out, "{}\n");
}

/* ---- the bundle ---- */
struct wanted {
    str checksum, release;
    str chunks[CHUNKS_MAX];
    size_t n;
};

static bool names_project(const struct request *r, const json_t *projects)
{
    size_t i;
    json_t *p;
    char id[16];
    snprintf(id, sizeof id, "%u", r->who.app);
    json_array_foreach(projects, i, p) if (json_is_string(p) && (strcmp(json_string_value(p), r->who.app_name) == 0 ||
                                                                 strcmp(json_string_value(p), id) == 0)) return true;
    return json_array_size(projects) == 0 || !r->who.app;
}

static int read_wanted(const struct request *r, const json_t *doc, struct wanted *ret, struct err *e)
{
    size_t i;
    json_t *chunk, *chunks = json_object_get(doc, "chunks");
    ret->checksum = str_of(json_string_value(json_object_get(doc, "checksum")));
    ret->release = str_of(json_string_value(json_object_get(doc, "version")));
    if (!ret->checksum.n || json_array_size(chunks) == 0 || json_array_size(chunks) > CHUNKS_MAX)
        return err_set(e, ERR_INPUT, "expected {\"checksum\":SHA-1,\"chunks\":[1 to %d of them],\"version\":RELEASE}",
                       CHUNKS_MAX);
    if (!names_project(r, json_object_get(doc, "projects")))
        return err_set(e, ERR_INPUT, "projects: this key is for the app \"%s\": name that as the project",
                       r->who.app_name);
    json_array_foreach(chunks, i, chunk)
    {
        ret->chunks[ret->n] = str_of(json_string_value(chunk));
        if (ret->chunks[ret->n++].n != 40)
            return err_set(e, ERR_INPUT, "chunks: expected SHA-1s of 40 hex digits");
    }
    return 0;
}

static bool tell_missing(struct request *r, uint32_t app, const struct wanted *w)
{
    size_t missing = 0;
    buf_lit(&r->out, "{\"state\":\"not_found\",\"missingChunks\":[");
    for (size_t i = 0; i < w->n; i++)
        if (!chunk_have(r->parts->maps, app, w->chunks[i]))
            buf_printf(&r->out, "%s\"%.*s\"", missing++ ? "," : "", STR_ARG(w->chunks[i]));
    buf_lit(&r->out, "]}\n");
    if (!missing)
        buf_reset(&r->out);
    return missing > 0;
}

static void read_bundle(struct request *r, uint32_t app, const struct wanted *w)
{
    struct assembled x = {0};
    struct bundle_put p = {0};
    struct err e = {0};
    int rc = chunks_assemble(r->parts->maps, app, w->checksum, w->chunks, w->n, &x, &e);
    if (rc == 0)
        rc = bundle_put(r, app, w->release, str_n(x.at, x.n), &p, &e);
    const char *why = rc < 0       ? e.kind == ERR_SYS ? "the bundle could not be read" : e.text
                      : p.first[0] ? p.first
                                   : NULL;
    buf_printf(&r->out, "{\"state\":\"%s\",\"missingChunks\":[],\"detail\":", why ? "error" : "ok");
    why ? buf_json(&r->out, str_of(why)) : buf_lit(&r->out, "null");
    buf_lit(&r->out, "}\n");
    bundle_put_done(&p);
    chunks_done(r->parts->maps, app, w->chunks, w->n, &x);
}

void post_assemble(struct request *r)
{
    struct err e;
    struct wanted *w = arena_zero(&r->arena, sizeof *w);
    uint32_t app = maps_app(r);
    json_t *doc = app ? json_loadb(r->body.p ? r->body.p : "", r->body.n, 0, NULL) : NULL;
    if (app && read_wanted(r, doc, w, &e) < 0)
        fail(r, 400, e.text);
    else if (app && !tell_missing(r, app, w))
        read_bundle(r, app, w);
    json_decref(doc);
}

/* ---- releases ---- */
void put_release(struct request *r)
{
    char now[TIME_TEXT_MAX];
    json_t *doc = json_loadb(r->body.p ? r->body.p : "", r->body.n, 0, NULL);
    str in_body = str_of(json_string_value(json_object_get(doc, "version")));
    str version = in_body.n ? in_body : r->arg[1];
    time_print(clock_now() * NSEC_PER_USEC, 3, now);
    if (!version.n) {
        fail(r, 400, "version: expected the release's name");
    } else {
        r->status = r->method == HTTP_POST ? 201 : 200;
        buf_lit(&r->out, "{\"version\":");
        buf_json(&r->out, version);
        buf_printf(&r->out, ",\"dateCreated\":\"%s\",\"dateReleased\":\"%s\",\"newGroups\":0}\n", now, now);
    }
    json_decref(doc);
}
