/* maps/resolve.c - from a frame to its map, and from its place there to the original. */
#include "base/str.h"
#include "maps/index.h"
#include "maps/private.h"

enum { MAPPED_MAX = 1024, SHORT_NAME = 2, MINIFIED_NAME = 3 };

/* ---- which map ---- */
static bool is_script(str path)
{
    static const str ends[] = {S(".js"), S(".mjs"), S(".cjs"),    S(".jsx"),
                               S(".ts"), S(".tsx"), S(".bundle"), S(".jsbundle")};
    for (size_t i = 0; i < LENGTH(ends); i++)
        if (str_ends(path, ends[i]))
            return true;
    return false;
}

/* Code of the page or of a server, not of the browser, an extension or Node itself. */
static bool ours(const struct map_frame *f)
{
    static const str foreign[] = {
        S("chrome-extension:"), S("moz-extension:"), S("safari-"), S("webkit-masked-url:"), S("node:"), S("about:"),
        S("debugger")};
    for (size_t i = 0; i < LENGTH(foreign); i++)
        if (str_starts(f->file, foreign[i]))
            return false;
    return f->file.n && f->line && str_chr(f->file, '<') < 0 &&
           (str_find(f->file, S("://")) > 0 || is_script(map_path(f->file)));
}

/* Without a map: is that worth a word? Not of a page's own text, of a dependency on a server, or of a server without any. */
static bool missed(const struct map_frame *f, enum map_cause cause)
{
    bool url = str_find(f->file, S("://")) > 0 && !str_starts(f->file, S("file://"));
    return is_script(map_path(f->file)) && (url || (cause == MAP_NO_FILE && str_find(f->file, S("node_modules/")) < 0));
}

/* How well an uploaded path fits a frame's: bytes they share at the end, at a slash; 0: it does not. */
static size_t fit(str path, str url)
{
    str longer = path.n > url.n ? path : url, shorter = path.n > url.n ? url : path;
    if (!shorter.n || !str_ends(longer, shorter))
        return 0;
    return longer.n == shorter.n ? SIZE_MAX : longer.p[longer.n - shorter.n - 1] == '/' ? shorter.n : 0;
}

static bool is_word(char c) { return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9'); }

/* "main.3f2a1c9d.js", "index-BvXk3f2A.js": a bundler put a hash of the contents into the name, so whatever the release, it is
 * the same file. Eight letters and digits at least, of which a digit stands before a letter, that are no word in lower case. */
static bool names_its_contents(str name)
{
    bool digit = false, mixed = false, upper = false, hex = true;
    const char *dot = name.n ? memrchr(name.p, '.', name.n) : NULL;
    size_t n = dot ? (size_t)(dot - name.p) : 0, at = n;
    for (; at > 0 && is_word(name.p[at - 1]); at--)
        ;
    for (size_t i = at; i < n; i++) {
        char c = name.p[i];
        bool number = c >= '0' && c <= '9';
        mixed |= digit && !number;
        digit |= number;
        upper |= c >= 'A' && c <= 'Z';
        hex &= number || (c >= 'a' && c <= 'f');
    }
    return n - at >= 8 && mixed && (hex || upper);
}

/* Release absent: any. */
static struct map_file *by_path(struct maps *m, uint32_t app, str release, str file, struct buf *key)
{
    str url = map_path(file);
    size_t best = 0;
    struct map_file *found = NULL;
    for (struct map_file *f = map_get(&m->by_name, map_key(app, map_last_part(url), key)); f;
         f = f->next_name) { /* newest first */
        size_t n = !release.p || str_eq(str_of(f->release), release) ? fit(str_of(f->path), url) : 0;
        if (n > best)
            found = f;
        else if (n == best && n && found && strcmp(found->path, f->path) != 0)
            found = NULL; /* a/x.js and b/x.js for /x.js: which one is not said */
        best = n > best ? n : best;
    }
    return found;
}

static struct map_file *find(struct maps *m, uint32_t app, str release, const struct map_frame *f,
                             enum map_cause *cause)
{
    struct buf key = BUF_INIT(8192);
    char id[33];
    struct map_file *found = NULL;
    map_debug_id(f->debug_id, id);
    if (id[0])
        found = map_get(&m->by_id, map_key(app, str_of(id), &key));
    if (!found && release.n)
        found = by_path(m, app, release, f->file, &key);
    if (!found && names_its_contents(map_last_part(map_path(f->file))))
        found = by_path(m, app, (str){0}, f->file, &key);
    if (!found && !release.n)
        *cause = id[0] ? MAP_NO_FILE : MAP_NO_RELEASE;
    else if (!found)
        *cause = map_get(&m->releases, map_key(app, release, &key)) ? MAP_NO_FILE : MAP_NO_MAPS;
    buf_done(&key);
    return found;
}

/* ---- the function ---- */
/* "Object.t", "new t", "async e.t [as x]" -> "t" */
static str bare_name(str f)
{
    ptrdiff_t as = str_find(f, S(" [as "));
    if (as > 0)
        f = str_head(f, (size_t)as);
    static const str prefixes[] = {S("async "), S("new ")};
    for (size_t i = 0; i < LENGTH(prefixes); i++)
        if (str_starts(f, prefixes[i]))
            f = str_skip(f, prefixes[i].n);
    const char *dot = f.n ? memrchr(f.p, '.', f.n) : NULL;
    if (dot)
        f = str_skip(f, (size_t)(dot - f.p) + 1);
    ptrdiff_t slash = str_chr(f, '/'); /* Firefox: "t/<" */
    return slash > 0 ? str_head(f, (size_t)slash) : f;
}

/* What the minified file declares it as; else what its caller calls it; else its own name unless that is a minifier's. */
static str function_name(const struct map_frame *f, str index, const struct map_place *caller)
{
    str name = bare_name(f->function);
    str declared = map_index_function(index, name, f->line - 1, f->column - 1);
    if (declared.n)
        return declared;
    if (name.n <= MINIFIED_NAME && caller && caller->exact && caller->name.n)
        return caller->name;
    return name.n > SHORT_NAME && !str_starts(name, S("<")) ? name : (str){0};
}

/* "webpack://shop/./src/a.ts", "../src/a.ts" -> "src/a.ts": what a person calls it */
static str source_name(str s)
{
    if (str_starts(s, S("webpack://")) || str_starts(s, S("turbopack://"))) {
        s = str_skip(s, (size_t)str_find(s, S("://")) + 3);
        ptrdiff_t slash = str_chr(s, '/');
        s = slash >= 0 ? str_skip(s, (size_t)slash + 1) : s;
    }
    while (str_starts(s, S("./")) || str_starts(s, S("../")))
        s = str_skip(s, s.p[1] == '/' ? 2 : 3);
    return s;
}

/* ---- frames ---- */
struct found {
    struct map_file *file;
    struct map_place place;
};

/* Few stay mapped for long that nobody asks; the bound is against thousands. */
static void make_room(struct maps *m)
{
    for (size_t i = 0; m->mapped >= MAPPED_MAX && i < m->n; i++)
        if (m->files[i]->at) {
            map_file_unload(m->files[i]);
            m->mapped--;
        }
}

static enum map_cause look_up(struct maps *m, uint32_t app, str release, const struct map_frame *f, struct found *ret)
{
    enum map_cause cause = MAP_NO_FILE;
    if (!ours(f))
        return MAP_NOT_OURS;
    if (!(ret->file = find(m, app, release, f, &cause)))
        return missed(f, cause) ? cause : MAP_NOT_OURS;
    if (!f->column)
        return MAP_NO_COLUMN;
    bool was = ret->file->at != NULL;
    if (!map_file_load(m->dir, ret->file))
        return MAP_DAMAGED;
    m->mapped += !was;
    return map_index_find(ret->file->index, f->line - 1, f->column - 1, &ret->place) && ret->place.source.n
               ? MAP_RESOLVED
               : MAP_NO_MAPPING;
}

static void fill_in(struct map_frame *f, const struct found *x, const struct map_place *caller, struct arena *a)
{
    str name = function_name(f, x->file->index, caller);
    f->source = arena_str(a, source_name(x->place.source));
    f->name = name.n ? arena_str(a, name) : (str){0};
    f->symbol = x->place.name.n ? arena_str(a, x->place.name) : (str){0};
    f->oline = x->place.line + 1;
    f->ocolumn = x->place.column + 1;
    f->ignored = x->place.ignored;
}

size_t maps_resolve(struct maps *m, uint32_t app, str release, struct map_frame *f, size_t n, bool count,
                    struct arena *a)
{
    struct found *found = arena_zero(a, (n + 1) * sizeof *found);
    size_t resolved = 0;
    pthread_mutex_lock(&m->lock);
    make_room(m);
    for (size_t i = 0; i < n; i++)
        f[i].cause = look_up(m, app, release, &f[i], &found[i]);
    for (size_t i = 0; i < n; i++) {
        bool caller = i + 1 < n && f[i + 1].cause == MAP_RESOLVED;
        if (f[i].cause == MAP_RESOLVED)
            fill_in(&f[i], &found[i], caller ? &found[i + 1].place : NULL, a);
        resolved += f[i].cause == MAP_RESOLVED;
        if (count && f[i].cause != MAP_NOT_OURS)
            health_note(m->health, app, release, f[i].file, f[i].cause);
    }
    pthread_mutex_unlock(&m->lock);
    return resolved;
}
