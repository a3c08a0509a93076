#include "maps/bundle.h"
#include "base/map.h"
#include "base/str.h"

#include <jansson.h>
#include <zlib.h>

enum { LOCAL = 30, CENTRAL = 46, END = 22, COMMENT_MAX = 65535, STORED = 0, DEFLATED = 8 };
enum { LOCAL_MAGIC = 0x04034b50, CENTRAL_MAGIC = 0x02014b50, END_MAGIC = 0x06054b50 };

struct entry {
    str name;
    uint32_t method, packed, bytes, at, crc;
    bool taken; /* a map that has its minified file */
};
struct bundle {
    str bytes;
    struct entry *entries;
    size_t n;
    struct map names, urls, ids; /* entries: all by name, maps by URL and by debug id */
    json_t *manifest;
    struct bundle_map *maps;
    size_t maps_n;
    struct arena arena;
};

static uint32_t get16(str s, size_t at)
{
    return (uint32_t)(unsigned char)s.p[at] | (uint32_t)(unsigned char)s.p[at + 1] << 8;
}
static uint32_t get32(str s, size_t at) { return get16(s, at) | get16(s, at + 2) << 16; }

/* ---- the ZIP ---- */
/* sentry-cli puts "SYSB" and a version before it; offsets count from there all the same. */
bool bundle_is(str bytes)
{
    return str_starts(bytes, S("PK\x03\x04")) || str_starts(bytes, S("PK\x05\x06")) || str_starts(bytes, S("SYSB"));
}

static int find_end(str z, size_t *ret, struct err *e)
{
    for (size_t back = END; back <= z.n && back <= END + COMMENT_MAX; back++)
        if (get32(z, z.n - back) == END_MAGIC) {
            *ret = z.n - back;
            return 0;
        }
    return err_set(e, ERR_INPUT, "the bundle is no whole ZIP: it has no directory at its end");
}

static int read_entry(str z, size_t *at, struct entry *ret, struct err *e)
{
    if (*at > z.n || z.n - *at < CENTRAL || get32(z, *at) != CENTRAL_MAGIC)
        return err_set(e, ERR_INPUT, "the bundle's ZIP directory is cut off");
    size_t name = get16(z, *at + 28), rest = get16(z, *at + 30) + get16(z, *at + 32);
    if (z.n - *at - CENTRAL < name + rest)
        return err_set(e, ERR_INPUT, "the bundle's ZIP directory is cut off");
    *ret = (struct entry){.name = str_n(z.p + *at + CENTRAL, name),
                          .method = get16(z, *at + 10),
                          .crc = get32(z, *at + 16),
                          .packed = get32(z, *at + 20),
                          .bytes = get32(z, *at + 24),
                          .at = get32(z, *at + 42)};
    *at += CENTRAL + name + rest;
    if (get16(z, *at - CENTRAL - name - rest + 8) & 1 || (ret->method != STORED && ret->method != DEFLATED) ||
        ret->bytes > BUNDLE_ENTRY)
        return err_set(e, ERR_INPUT, "the bundle's file \"%.*s\": expected one of at most %u MiB, stored or deflated",
                       STR_ARG(str_head(ret->name, 100)), BUNDLE_ENTRY >> 20);
    return 0;
}

static int read_directory(struct bundle *b, struct err *e)
{
    size_t end = 0;
    if (b->bytes.n < END)
        return err_set(e, ERR_INPUT, "the bundle is no whole ZIP: it has %zu bytes", b->bytes.n);
    if (find_end(b->bytes, &end, e) < 0)
        return -1;
    size_t n = get16(b->bytes, end + 10), at = get32(b->bytes, end + 16);
    b->entries = xcalloc(n + 1, sizeof *b->entries);
    for (; b->n < n; b->n++)
        if (read_entry(b->bytes, &at, &b->entries[b->n], e) < 0)
            return -1;
    for (size_t i = 0; i < n; i++)
        map_set(&b->names, b->entries[i].name, &b->entries[i]);
    return 0;
}

static int inflate_into(str packed, size_t bytes, struct buf *out, struct err *e)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.p, .avail_in = (uInt)packed.n};
    if (!buf_room(out, bytes + 1) || inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return err_set(e, ERR_FULL, "the bundle's file does not fit into memory");
    z.next_out = (Bytef *)out->p + out->n;
    z.avail_out = (uInt)bytes + 1; /* one more, so that what is longer than it says shows */
    int code = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (code != Z_STREAM_END || z.total_out != bytes)
        return err_set(e, ERR_INPUT, "the bundle's file is damaged: it does not unpack to the %zu bytes it should have",
                       bytes);
    out->n += bytes;
    return 0;
}

int bundle_entry(const struct bundle *b, size_t i, struct buf *out, struct err *e)
{
    const struct entry *x = &b->entries[i];
    size_t at = x->at, before = out->n;
    assert(i < b->n);
    if (at > b->bytes.n || b->bytes.n - at < LOCAL || get32(b->bytes, at) != LOCAL_MAGIC)
        return err_set(e, ERR_INPUT, "the bundle's file \"%.*s\" is not where its directory says",
                       STR_ARG(str_head(x->name, 100)));
    at += LOCAL + get16(b->bytes, at + 26) + get16(b->bytes, at + 28);
    if (at > b->bytes.n || b->bytes.n - at < x->packed)
        return err_set(e, ERR_INPUT, "the bundle's file \"%.*s\" is cut off", STR_ARG(str_head(x->name, 100)));
    str packed = str_n(b->bytes.p + at, x->packed);
    if (x->method == DEFLATED && inflate_into(packed, x->bytes, out, e) < 0)
        return -1;
    if (x->method == STORED)
        buf_str(out, packed);
    str got = str_skip(buf_view(out), before);
    if (crc32(0, got.n ? (const Bytef *)got.p : Z_NULL, (uInt)got.n) != x->crc)
        return err_set(e, ERR_INPUT, "the bundle's file \"%.*s\" is damaged: its checksum is another",
                       STR_ARG(str_head(x->name, 100)));
    return 0;
}

/* ---- the manifest ---- */
static str text_member(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : (str){0};
}

/* Names of headers come in any case. */
static str header(const json_t *file, const char *name)
{
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(file, "headers"), key,
                        v) if (str_eq_nocase(str_of(key), str_of(name)) &&
                               json_is_string(v)) return str_n(json_string_value(v), json_string_length(v));
    return (str){0};
}

/* `url` as it stands in the file at `base`: "../maps/a.js.map" at "~/js/a.js" is "~/maps/a.js.map". */
static str join_url(struct arena *a, str base, str url)
{
    if (str_find(url, S("://")) > 0 || str_starts(url, S("~")))
        return url;
    const char *slash = memrchr(base.p, '/', base.n);
    base = str_head(base, slash ? (size_t)(slash - base.p) : 0);
    if (str_starts(url, S("/"))) {
        ptrdiff_t root = str_chr(base, '/');
        return str_of(
            arena_printf(a, "%.*s%.*s", STR_ARG(root >= 0 ? str_head(base, (size_t)root) : base), STR_ARG(url)));
    }
    while (str_starts(url, S("./")) || str_starts(url, S("../"))) {
        bool up = url.p[1] == '.';
        url = str_skip(url, up ? 3 : 2);
        slash = up && base.n ? memrchr(base.p, '/', base.n) : NULL;
        base = up ? str_head(base, slash ? (size_t)(slash - base.p) : 0) : base;
    }
    return str_of(arena_printf(a, "%.*s/%.*s", STR_ARG(base), STR_ARG(url)));
}

static bool has_type(const json_t *file, const char *type) { return str_eq(text_member(file, "type"), str_of(type)); }

static void add_map(struct bundle *b, str path, str debug_id, size_t minified, struct entry *map)
{
    map->taken = true;
    b->maps = xrealloc(b->maps, (b->maps_n + 1) * sizeof *b->maps);
    b->maps[b->maps_n++] = (struct bundle_map){
        .path = path, .debug_id = debug_id, .minified = minified, .map = (size_t)(map - b->entries)};
}

static void know_maps(struct bundle *b, json_t *files)
{
    const char *name;
    json_t *file;
    json_object_foreach(files, name, file)
    {
        struct entry *x = map_get(&b->names, str_of(name));
        if (!x || !has_type(file, "source_map"))
            continue;
        map_set(&b->urls, text_member(file, "url"), x);
        if (header(file, "debug-id").n)
            map_set(&b->ids, header(file, "debug-id"), x);
    }
}

/* The map of a minified file: by its debug id, its reference, or its name. */
static struct entry *map_of(struct bundle *b, const json_t *script)
{
    str url = text_member(script, "url"), reference = header(script, "sourcemap"), id = header(script, "debug-id");
    struct entry *x = id.n ? map_get(&b->ids, id) : NULL;
    if (!x && reference.n)
        x = map_get(&b->urls, join_url(&b->arena, url, reference));
    return x ? x : map_get(&b->urls, str_of(arena_printf(&b->arena, "%.*s.map", STR_ARG(url))));
}

static void pair_files(struct bundle *b, json_t *files)
{
    const char *name;
    json_t *file;
    know_maps(b, files);
    json_object_foreach(files, name, file)
    {
        struct entry *minified = map_get(&b->names, str_of(name));
        struct entry *map = minified && has_type(file, "minified_source") && text_member(file, "url").n
                                ? map_of(b, file)
                                : NULL;
        if (map)
            add_map(b, text_member(file, "url"), header(file, "debug-id"), (size_t)(minified - b->entries), map);
    }
    json_object_foreach(files, name, file) /* those that came alone */
    {
        struct entry *map = map_get(&b->names, str_of(name));
        str url = text_member(file, "url");
        if (map && !map->taken && has_type(file, "source_map") && str_ends(url, S(".map")))
            add_map(b, str_head(url, url.n - 4), header(file, "debug-id"), SIZE_MAX, map);
    }
}

static int read_manifest(struct bundle *b, struct err *e)
{
    struct buf text = BUF_INIT(32u << 20);
    const struct entry *x = map_get(&b->names, S("manifest.json"));
    if (!x)
        return err_set(e, ERR_INPUT, "the bundle has no manifest.json");
    int rc = x->bytes > text.max ? err_set(e, ERR_INPUT, "the bundle's manifest.json is larger than 32 MiB")
                                 : bundle_entry(b, (size_t)(x - b->entries), &text, e);
    if (rc == 0)
        b->manifest = json_loadb(text.p ? text.p : "", text.n, 0, NULL);
    buf_done(&text);
    json_t *files = json_object_get(b->manifest, "files");
    if (rc == 0 && !json_is_object(files))
        return err_set(e, ERR_INPUT, "the bundle's manifest.json: expected an object with `files`");
    if (rc == 0)
        pair_files(b, files);
    return rc;
}

int bundle_open(str bytes, struct bundle **ret, struct err *e)
{
    struct bundle *b = xcalloc(1, sizeof *b);
    b->bytes = bytes;
    if (read_directory(b, e) < 0 || read_manifest(b, e) < 0) {
        bundle_close(b);
        return -1;
    }
    *ret = b;
    return 0;
}

void bundle_close(struct bundle *b)
{
    if (!b)
        return;
    json_decref(b->manifest);
    free(b->entries);
    free(b->maps);
    map_done(&b->names);
    map_done(&b->urls);
    map_done(&b->ids);
    arena_done(&b->arena);
    free(b);
}

str bundle_release(const struct bundle *b) { return text_member(b->manifest, "release"); }

const struct bundle_map *bundle_maps(const struct bundle *b, size_t *ret_n)
{
    *ret_n = b->maps_n;
    return b->maps;
}

/* ---- writing ---- */
static void put16(struct buf *b, uint32_t v) { buf_add(b, &(uint16_t){(uint16_t)v}, 2); }
static void put32(struct buf *b, uint32_t v) { buf_add(b, &v, 4); }

static void put_entry(struct buf *b, const struct entry *x, uint32_t magic)
{
    put32(b, magic);
    if (magic == CENTRAL_MAGIC)
        put16(b, 20);
    put16(b, 20);
    put16(b, 1 << 11); /* names are UTF-8 */
    put16(b, x->method);
    put32(b, 0x00210000); /* 1980-01-01: the same files give the same bytes */
    put32(b, x->crc);
    put32(b, x->packed);
    put32(b, x->bytes);
    put16(b, (uint32_t)x->name.n);
    put16(b, 0);
    if (magic == CENTRAL_MAGIC) {
        put16(b, 0), put16(b, 0), put16(b, 0), put32(b, 0);
        put32(b, x->at);
    }
    buf_str(b, x->name);
}

static void put_packed(struct buf *out, str name, str body, struct entry *ret)
{
    uLong bound = compressBound(body.n) + 64;
    Bytef *packed = xmalloc(bound);
    z_stream z = {
        .next_in = (Bytef *)(uintptr_t)body.p, .avail_in = (uInt)body.n, .next_out = packed, .avail_out = (uInt)bound};
    int code = deflateInit2(&z, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    assert(code == Z_OK);
    code = deflate(&z, Z_FINISH);
    assert(code == Z_STREAM_END);
    *ret = (struct entry){.name = name,
                          .method = DEFLATED,
                          .packed = (uint32_t)z.total_out,
                          .bytes = (uint32_t)body.n,
                          .at = (uint32_t)out->n,
                          .crc = (uint32_t)crc32(0, (const Bytef *)body.p, (uInt)body.n)};
    put_entry(out, ret, LOCAL_MAGIC);
    buf_add(out, packed, z.total_out);
    deflateEnd(&z);
    free(packed);
}

static void put_manifest(const struct bundle_file *files, size_t n, str release, struct buf *out)
{
    buf_lit(out, "{\"files\":{");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s\"files/%zu\":{\"type\":\"%s\",\"url\":", i ? "," : "", i, files[i].type);
        buf_json(out, str_of(files[i].url));
        buf_lit(out, ",\"headers\":{\"debug-id\":");
        buf_json(out, files[i].debug_id);
        buf_lit(out, ",\"sourcemap\":");
        buf_json(out, files[i].sourcemap);
        buf_lit(out, "}}");
    }
    buf_lit(out, "},\"release\":");
    buf_json(out, release);
    buf_byte(out, '}');
}

void bundle_write(const struct bundle_file *files, size_t n, str release, struct buf *out)
{
    struct entry *entries = xcalloc(n + 1, sizeof *entries);
    char(*names)[32] = xcalloc(n + 1, sizeof *names);
    struct buf manifest = BUF_INIT(64u << 20);
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "files/%zu", i);
        put_packed(out, str_of(names[i]), files[i].body, &entries[i]);
    }
    put_manifest(files, n, release, &manifest);
    put_packed(out, S("manifest.json"), buf_view(&manifest), &entries[n]);
    size_t directory = out->n;
    for (size_t i = 0; i <= n; i++)
        put_entry(out, &entries[i], CENTRAL_MAGIC);
    size_t end = out->n;
    put32(out, END_MAGIC);
    put32(out, 0);
    put16(out, (uint32_t)n + 1), put16(out, (uint32_t)n + 1);
    put32(out, (uint32_t)(end - directory)), put32(out, (uint32_t)directory);
    put16(out, 0);
    buf_done(&manifest);
    free(entries);
    free(names);
}
