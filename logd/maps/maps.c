#include "maps/maps.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "maps/chunk.h"
#include "maps/index.h"
#include "maps/private.h"
#include "maps/worker.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names ---- */
str map_path(str url)
{
    ptrdiff_t scheme = str_find(url, S("://"));
    if (scheme >= 0 && scheme < 20) {
        url = str_skip(url, (size_t)scheme + 3);
        ptrdiff_t slash = str_chr(url, '/');
        url = slash < 0 ? S("") : str_skip(url, (size_t)slash);
    }
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] == '?' || url.p[i] == '#')
            url.n = i;
    if (str_starts(url, S("~")))
        url = str_skip(url, 1);
    while (str_starts(url, S("/")) || str_starts(url, S("./")) || str_starts(url, S("../")))
        url = str_skip(url, 1 + (size_t)(str_chr(url, '/')));
    return url;
}

str map_last_part(str path)
{
    const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;
    return slash ? str_skip(path, (size_t)(slash - path.p) + 1) : path;
}

str map_key(uint32_t app, str text, struct buf *out)
{
    buf_reset(out);
    buf_printf(out, "%u:", app);
    buf_str(out, text);
    return buf_view(out);
}

void map_debug_id(str text, char ret[33])
{
    size_t n = 0;
    for (size_t i = 0; i < text.n && n < 33; i++) {
        char c = text.p[i];
        c = c >= 'A' && c <= 'F' ? (char)(c + 32) : c;
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))
            ret[n < 32 ? n : 0] = c, n++;
        else if (c != '-')
            n = 33;
    }
    ret[n == 32 ? 32 : 0] = '\0';
}

/* ---- the catalogue ---- */
static void chain_add(struct map *table, str key, struct map_file *f, struct map_file **next)
{
    *next = map_get(table, key);
    map_set(table, key, f);
}

static void count_one(struct maps *m, uint32_t app, str release, intptr_t by)
{
    struct buf key = BUF_INIT(4096);
    str k = map_key(app, release, &key);
    intptr_t n = (intptr_t)map_get(&m->releases, k) + by;
    if (n)
        map_set(&m->releases, k, (void *)n);
    else
        (void)map_del(&m->releases, k);
    buf_done(&key);
}

static void count_release(struct maps *m, const struct map_file *f, intptr_t by)
{
    count_one(m, f->app, S(""), by); /* all of the app */
    if (f->release[0])
        count_one(m, f->app, str_of(f->release), by);
}

static void link_file(struct maps *m, struct map_file *f)
{
    struct buf key = BUF_INIT(4096);
    chain_add(&m->by_name, map_key(f->app, map_last_part(str_of(f->path)), &key), f, &f->next_name);
    if (f->debug_id[0])
        chain_add(&m->by_id, map_key(f->app, str_of(f->debug_id), &key), f, &f->next_id);
    buf_done(&key);
    count_release(m, f, 1);
    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 64;
        m->files = xrealloc(m->files, m->cap * sizeof(struct map_file *));
    }
    size_t at = m->n++;
    for (; at > 0 && m->files[at - 1]->number > f->number; at--) /* two puts at once may end in any order */
        m->files[at] = m->files[at - 1];
    m->files[at] = f;
    m->bytes += f->bytes;
}

static void chain_remove(struct map *table, str key, struct map_file *f, bool id)
{
    struct map_file *first = map_get(table, key), **link = &first;
    while (*link && *link != f)
        link = id ? &(*link)->next_id : &(*link)->next_name;
    if (*link)
        *link = id ? f->next_id : f->next_name;
    if (first)
        map_set(table, key, first);
    else
        (void)map_del(table, key);
}

static size_t index_of(const struct maps *m, uint64_t number) /* m->n: it is not there */
{
    size_t low = 0, high = m->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->files[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->n && m->files[low]->number == number ? low : m->n;
}

static void unlink_file(struct maps *m, size_t i)
{
    struct map_file *f = m->files[i];
    struct buf key = BUF_INIT(4096), path = BUF_INIT(PATH_MAX);
    char name[24];
    chain_remove(&m->by_name, map_key(f->app, map_last_part(str_of(f->path)), &key), f, false);
    if (f->debug_id[0])
        chain_remove(&m->by_id, map_key(f->app, str_of(f->debug_id), &key), f, true);
    count_release(m, f, -1);
    memmove(m->files + i, m->files + i + 1, (m->n - i - 1) * sizeof(struct map_file *));
    m->n--;
    m->bytes -= f->bytes;
    m->mapped -= f->at != NULL;
    map_file_name(f->number, name);
    buf_printf(&path, "%s/%s%c", m->dir, name, '\0');
    if (unlink(path.p) < 0 && errno != ENOENT)
        log_warn("maps", "what=\"a source map that was removed stays on disk\" file=%s", name);
    buf_done(&key);
    buf_done(&path);
    map_file_free(f);
}

/* Of two of the same app, release and path the later one stays. */
static void replace_older(struct maps *m, const struct map_file *f)
{
    struct buf key = BUF_INIT(4096);
    struct map_file *x = map_get(&m->by_name, map_key(f->app, map_last_part(str_of(f->path)), &key)), *next;
    for (; x; x = next) {
        next = x->next_name;
        if (x->number < f->number && strcmp(x->release, f->release) == 0 && strcmp(x->path, f->path) == 0)
            unlink_file(m, index_of(m, x->number));
    }
    buf_done(&key);
}

static int open_one(struct maps *m, const char *name, struct err *e)
{
    uint64_t number;
    struct map_file *f;
    str s = str_of(name);
    if (!str_ends(s, S(".map")) || !str_u64(str_head(s, s.n - 4), &number))
        return 0;
    m->next = number >= m->next ? number + 1 : m->next;
    if (map_file_read(m->dir, number, &f, e) < 0) {
        log_error("maps", "what=\"a source map cannot be used: remove its file and upload it again\" why=\"%s\"",
                  e->text);
        return 0;
    }
    link_file(m, f);
    replace_older(m, f);
    return 0;
}

int maps_open(const char *dir, struct maps **ret, struct err *e)
{
    struct maps *m = xcalloc(1, sizeof *m);
    struct stat st;
    char **names;
    size_t n;
    int rc = 0;
    pthread_mutex_init(&m->lock, NULL);
    m->dir = xstrdup(dir);
    m->next = 1;
    m->health = health_new();
    chunks_clean(dir);
    if (stat(dir, &st) == 0 && (rc = dir_list(dir, &names, &n, e)) == 0) {
        for (size_t i = 0; rc == 0 && i < n; i++)
            rc = open_one(m, names[i], e);
        dir_list_free(names, n);
    }
    if (rc < 0)
        maps_close(m);
    else
        *ret = m;
    return rc;
}

void maps_close(struct maps *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++)
        map_file_free(m->files[i]);
    free(m->files);
    map_done(&m->by_name);
    map_done(&m->by_id);
    map_done(&m->releases);
    health_free(m->health);
    pthread_mutex_destroy(&m->lock);
    free(m->dir);
    free(m);
}

bool maps_any(struct maps *m, uint32_t app)
{
    struct buf key = BUF_INIT(100);
    pthread_mutex_lock(&m->lock);
    bool any = map_get(&m->releases, map_key(app, S(""), &key)) != NULL;
    pthread_mutex_unlock(&m->lock);
    buf_done(&key);
    return any;
}

size_t maps_remove(struct maps *m, uint32_t app, str release, str path)
{
    size_t gone = 0;
    pthread_mutex_lock(&m->lock);
    for (size_t i = m->n; i-- > 0;) {
        const struct map_file *f = m->files[i];
        if (f->app != app || (release.p && !str_eq(str_of(f->release), release)) ||
            (path.p && !str_eq(str_of(f->path), map_path(path))))
            continue;
        unlink_file(m, i);
        gone++;
    }
    pthread_mutex_unlock(&m->lock);
    return gone;
}

/* ---- a new one ---- */
static bool printable(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return utf8_valid(s);
}

static int check_new(const struct maps *m, const struct map_new *n, struct err *e)
{
    char id[33];
    str path = map_path(n->path);
    if (n->release.n > MAPS_RELEASE || !printable(n->release))
        return err_set(e, ERR_INPUT, "release: expected at most %d printable bytes, got \"%.*s\"", MAPS_RELEASE,
                       STR_ARG(str_head(n->release, 60)));
    if (!path.n || path.n > MAPS_PATH || !printable(path))
        return err_set(e, ERR_INPUT,
                       "path: expected the minified file's path of at most %d printable bytes, got \"%.*s\"", MAPS_PATH,
                       STR_ARG(str_head(n->path, 60)));
    map_debug_id(n->debug_id, id);
    if (n->debug_id.n && !id[0])
        return err_set(e, ERR_INPUT, "debug_id: expected a UUID, got \"%.*s\"", STR_ARG(str_head(n->debug_id, 60)));
    if (m->n >= MAPS_FILES || m->bytes >= MAPS_BYTES)
        return err_set(
            e, ERR_INPUT,
            "there are %zu source maps of %llu MiB, no more are taken: remove old releases with logd maps remove", m->n,
            (unsigned long long)(m->bytes >> 20));
    return 0;
}

static int write_file(struct maps *m, struct map_file *f, str index, struct err *e)
{
    struct buf body = BUF_INIT(UINT32_MAX);
    uint64_t free_bytes, total;
    char name[24];
    map_file_print(f, index, &body);
    f->bytes = body.n;
    int fd = dir_make(m->dir, e) < 0 ? -1 : dir_open(m->dir, e), rc = fd < 0 ? -1 : 0;
    if (rc == 0 && disk_free(m->dir, &free_bytes, &total, e) == 0 && free_bytes < DISK_RESERVE + body.n)
        rc = err_set(e, ERR_FULL, "the disk is nearly full: the source map was not taken");
    map_file_name(f->number, name);
    if (rc == 0)
        rc = file_replace(fd, name, buf_view(&body), 0640, e);
    if (fd >= 0)
        close(fd);
    buf_done(&body);
    return rc;
}

/* Asks for a place of the new file, the way a frame of an event does. */
static int prove(struct maps *m, const struct map_new *n, str debug_id, const struct map_facts *facts, struct arena *a,
                 struct map_proof *ret, struct err *e)
{
    str path = map_path(n->path);
    struct map_frame x = {.file = str_of(arena_printf(a, "https://example.com/%.*s", STR_ARG(path))),
                          .line = facts->sample_line + 1,
                          .column = facts->sample_column + 1,
                          .debug_id = debug_id};
    if (maps_resolve(m, n->app, n->release, &x, 1, false, a) != 1)
        return err_set(e, ERR_INPUT, "the map cannot be used: of its own place %.*s:%u:%u it says nothing (%s)",
                       STR_ARG(path), x.line, x.column, map_cause_names[x.cause]);
    *ret = (struct map_proof){.path = arena_str(a, path),
                              .line = x.line,
                              .column = x.column,
                              .source = x.source,
                              .oline = x.oline,
                              .name = x.symbol,
                              .debug_id = arena_str(a, debug_id),
                              .sources = facts->sources,
                              .mappings = facts->mappings};
    return 0;
}

static struct map_file *new_file(struct maps *m, const struct map_new *n, const char *id, const struct map_facts *facts)
{
    struct map_file *f = xcalloc(1, sizeof *f);
    *f = (struct map_file){.app = n->app,
                           .release = str_dup(n->release),
                           .path = str_dup(map_path(n->path)),
                           .debug_id = xstrdup(id),
                           .uploaded = n->now,
                           .sources = facts->sources,
                           .mappings = facts->mappings};
    pthread_mutex_lock(&m->lock);
    f->number = m->next++;
    pthread_mutex_unlock(&m->lock);
    return f;
}

static int keep(struct maps *m, const struct map_new *n, str index, struct arena *a, struct map_proof *ret,
                struct err *e)
{
    struct map_facts facts;
    char id[33];
    map_index_facts(index, &facts);
    map_debug_id(n->debug_id.n ? n->debug_id : facts.debug_id, id);
    if (!id[0] && !n->release.n)
        return err_set(e, ERR_INPUT, "release: expected one, for the map has no debug id");
    struct map_file *f = new_file(m, n, id, &facts);
    uint64_t number = f->number;
    if (write_file(m, f, index, e) < 0) {
        map_file_free(f);
        return -1;
    }
    pthread_mutex_lock(&m->lock);
    link_file(m, f);
    pthread_mutex_unlock(&m->lock);
    int rc = prove(m, n, str_of(id), &facts, a, ret, e);
    pthread_mutex_lock(&m->lock);
    size_t i = index_of(m, number); /* it may have been removed meanwhile */
    if (i < m->n && rc < 0)
        unlink_file(m, i);
    else if (i < m->n)
        replace_older(m, f);
    pthread_mutex_unlock(&m->lock);
    return rc;
}

int maps_put(struct maps *m, const struct map_new *n, struct arena *a, struct map_proof *ret, struct err *e)
{
    struct buf index = BUF_INIT(UINT32_MAX);
    pthread_mutex_lock(&m->lock);
    int rc = check_new(m, n, e);
    pthread_mutex_unlock(&m->lock);
    if (rc == 0)
        rc = maps_worker_run(n->map, n->minified, &index, e);
    if (rc == 0)
        rc = keep(m, n, buf_view(&index), a, ret, e);
    pthread_mutex_lock(&m->lock);
    m->uploads += rc == 0;
    m->refused += rc < 0;
    if (rc == 0)
        health_uploaded(m->health, n->app, n->release);
    pthread_mutex_unlock(&m->lock);
    buf_done(&index);
    return rc;
}

/* ---- what is there ---- */
static void put_file(const struct map_file *f, maps_app_name_fn *name, void *arg, struct buf *out)
{
    buf_lit(out, "{\"app\":");
    name(arg, f->app, out);
    buf_lit(out, ",\"release\":");
    buf_json(out, str_of(f->release));
    buf_lit(out, ",\"path\":");
    buf_json(out, str_of(f->path));
    buf_lit(out, ",\"debug_id\":");
    f->debug_id[0] ? buf_json(out, str_of(f->debug_id)) : buf_lit(out, "null");
    char when[40];
    time_print(f->uploaded * NSEC_PER_USEC, 0, when);
    buf_printf(out, ",\"uploaded\":\"%s\",\"bytes\":%llu,\"sources\":%u,\"mappings\":%u,\"damaged\":%s}", when,
               (unsigned long long)f->bytes, f->sources, f->mappings, f->damaged ? "true" : "false");
}

void maps_json(struct maps *m, uint32_t app, maps_app_name_fn *name, void *arg, struct buf *out)
{
    bool any = false;
    pthread_mutex_lock(&m->lock);
    buf_lit(out, "{\"maps\":[");
    for (size_t i = m->n; i-- > 0;) {
        if (app && m->files[i]->app != app)
            continue;
        buf_str(out, any ? S(",") : S(""));
        put_file(m->files[i], name, arg, out);
        any = true;
    }
    buf_lit(out, "],\"health\":");
    health_json(m->health, app, name, arg, out);
    buf_lit(out, "}\n");
    pthread_mutex_unlock(&m->lock);
}

void maps_get_stats(struct maps *m, struct maps_stats *ret)
{
    pthread_mutex_lock(&m->lock);
    *ret = (struct maps_stats){.files = m->n, .bytes = m->bytes, .uploads = m->uploads, .refused = m->refused};
    health_counts(m->health, ret->frames);
    pthread_mutex_unlock(&m->lock);
}
