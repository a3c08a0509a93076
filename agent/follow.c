/* follow.c - which files there are. Everything is found by looking, four times a second: no event of the kernel is
 * relied on, so that network file systems, renames and restarts are all the same case. */
#include "agent/follow.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <unistd.h>

#define GLOB_EVERY USEC_PER_SEC
enum { TOMBSTONES = 8 };                 /* files kept that are done */
#define LOST_ENOUGH (3 * USEC_PER_SEC)   /* it may be on its way to another name */
#define QUIET_ENOUGH (15 * USEC_PER_SEC) /* a superseded file that was not written for so long is done */
#define QUIET_SPOOL USEC_PER_SEC         /* of our own, which nobody writes once it has another name */

void follow_init(struct follow *fo, char **patterns, size_t n)
{
    char here[PATH_MAX];
    *fo = (struct follow){.patterns_n = n};
    fo->patterns = xcalloc(n + 1, sizeof(char *));
    fo->shapers = xcalloc(n + 1, sizeof(struct shaper *));
    for (size_t i = 0; i < n; i++) {
        struct buf b = BUF_INIT(2 * PATH_MAX);
        if (patterns[i][0] != '/' && getcwd(here, sizeof here))
            buf_printf(&b, "%s/", here);
        buf_str(&b, str_of(patterns[i]));
        fo->patterns[i] = buf_take(&b, NULL);
    }
    fo->window = xmalloc((size_t)LINE_MAX_BYTES + (64u << 10));
    if (gethostname(fo->host, sizeof fo->host - 1) < 0)
        snprintf(fo->host, sizeof fo->host, "localhost");
}

static void file_free(struct file *f)
{
    file_close(f);
    free(f->path);
    free(f);
}

static void source_free(struct source *s)
{
    for (size_t i = 0; i < s->n; i++)
        file_free(s->files[i]);
    free(s->files);
    free(s->path);
    free(s);
}

void follow_done(struct follow *fo)
{
    for (size_t i = 0; i < fo->n; i++)
        source_free(fo->sources[i]);
    for (size_t i = 0; i < fo->patterns_n; i++)
        free(fo->patterns[i]);
    free(fo->patterns);
    free(fo->shapers);
    free(fo->sources);
    free(fo->window);
    map_done(&fo->by_path);
}

struct source *follow_source(struct follow *fo, str path)
{
    struct source *s = map_get(&fo->by_path, path);
    if (s)
        return s;
    s = xcalloc(1, sizeof *s);
    s->path = str_dup(path);
    if ((fo->n & (fo->n - 1)) == 0) /* room for the next power of two */
        fo->sources = xrealloc(fo->sources, (fo->n ? 2 * fo->n : 1) * sizeof(struct source *));
    fo->sources[fo->n++] = s;
    map_set(&fo->by_path, path, s);
    return s;
}

struct file *source_file(struct source *s, size_t at)
{
    struct file *f = xcalloc(1, sizeof *f);
    f->fd = -1;
    f->head = f->tail = xxh64("", 0, 0);
    s->files = xrealloc(s->files, (s->n + 1) * sizeof(struct file *));
    memmove(s->files + at + 1, s->files + at, (s->n - at) * sizeof(struct file *));
    s->files[at] = f;
    s->n++;
    return f;
}

static void source_drop(struct source *s, size_t at)
{
    file_free(s->files[at]);
    s->n--;
    memmove(s->files + at, s->files + at + 1, (s->n - at) * sizeof(struct file *));
}

static struct file *live(const struct source *s)
{
    return s->n && !s->files[s->n - 1]->old ? s->files[s->n - 1] : NULL;
}

static bool is(const struct file *f, const struct stat *st) { return f->ino == st->st_ino && f->dev == st->st_dev; }

static void set_path(struct file *f, const char *path)
{
    char *copy = xstrdup(path);
    free(f->path);
    f->path = copy;
}

/* f is what is open in `fd` now. */
static void attach(struct file *f, int fd, const struct stat *st, const char *path, usec mono)
{
    file_close(f);
    f->fd = fd;
    f->dev = st->st_dev;
    f->ino = st->st_ino;
    f->mtime = mtime_of(st);
    f->young = file_young(st);
    f->gz = str_ends(str_of(path), S(".gz"));
    f->size = f->gz ? 0 : (uint64_t)st->st_size;
    f->changed = true;
    f->waits = f->rested = false;
    f->done = false;
    f->lost_since = 0;
    f->quiet_since = mono;
    set_path(f, path);
}

static void supersede(struct file *f, usec mono)
{
    f->old = true;
    f->changed = f->fd >= 0; /* read to its end once more, before what took its place */
    f->quiet_since = mono;
}

/* ---- what stands beside the path ---- */

/* `name` is what rotation makes of `base`: app.log.1, app.log-20261125.gz, app.log.old. */
static bool is_rotated(str name, str base)
{
    str rest = str_skip(name, base.n);
    if (!str_starts(name, base) || rest.n < 2 || !strchr(".-_", rest.p[0]))
        return false;
    return (rest.p[1] >= '0' && rest.p[1] <= '9') || str_starts(str_skip(rest, 1), S("old"));
}

static bool is_lost(const struct file *f) { return f->fd < 0 && !f->done; }

/* The youngest: of older ones the inode was given away. */
static struct file *find_inode(const struct source *s, const struct stat *st)
{
    for (size_t i = s->n; i-- > 0;)
        if (is(s->files[i], st))
            return s->files[i];
    return NULL;
}

/* What is open in fd is f, or a copy of it, be it one in the making or compressed. */
static bool is_copy(const struct file *f, int fd, bool gz)
{
    if (f->fd >= 0 && !f->gz)
        return file_starts(f->fd, fd, gz);
    if (is_vague(f))
        return f->head_n > 0 && file_matches(f, fd, gz) && file_ends_at(fd, gz, f->head_n);
    return file_matches(f, fd, gz) && (!f->done || file_ends_at(fd, gz, f->sent));
}

/* The file of s whose bytes are in there, one that is lost first. */
static struct file *find_content(const struct source *s, int fd, bool gz)
{
    struct file *known = NULL;
    for (size_t i = 0; i < s->n && !(known && is_lost(known)); i++)
        if (is_copy(s->files[i], fd, gz) && (!known || is_lost(s->files[i])))
            known = s->files[i];
    return known;
}

/* The age of the newest file that is no longer live: what is younger and unknown was missed. */
static int64_t newest_old(const struct source *s)
{
    int64_t newest = INT64_MIN;
    struct stat st;
    for (size_t i = 0; i < s->n; i++) {
        struct file *f = s->files[i];
        if (f->old && f->fd >= 0 && !f->gz && fstat(f->fd, &st) == 0)
            f->mtime = mtime_of(&st);
        if (f->old && f->mtime > newest)
            newest = f->mtime;
    }
    return newest == INT64_MIN ? INT64_MAX : newest;
}

/* Of one that is lost nothing but its start was seen, and f starts so: it is f, which is read from its start. */
static void forget_start_of(struct source *s, const struct file *f)
{
    for (size_t i = s->n; i-- > 0;) {
        const struct file *k = s->files[i];
        if (k != f && is_lost(k) && is_vague(k) && k->head_n > 0 && file_matches(k, f->fd, f->gz))
            source_drop(s, i);
    }
}

static void insert_by_age(struct source *s, int fd, const struct stat *st, const char *path, usec mono)
{
    size_t at = 0;
    while (at < s->n && s->files[at]->old && s->files[at]->mtime <= mtime_of(st))
        at++;
    struct file *f = source_file(s, at);
    attach(f, fd, st, path, mono);
    (void)file_head(f); /* it may be compressed before it is read */
    forget_start_of(s, f);
    supersede(f, mono);
    s->news = true;
    log_info("follow", "what=\"a rotated file was not seen before\" file=\"%s\"", path);
}

/* The live file was not truncated since it was looked at: what is like it was told to be. */
static bool live_holds(const struct source *s)
{
    struct file *f = live(s);
    if (f && f->fd >= 0 && !f->gz)
        f->replaced |= !file_matches(f, f->fd, false);
    return !f || !f->replaced;
}

/* Opens one neighbour and finds out which of s's files it is, if any. `since`: an unknown one this young was missed. */
static bool look_at(struct source *s, const char *path, bool rotated, int64_t since, usec mono)
{
    struct file probe = {.fd = -1};
    struct stat st;
    bool gz = str_ends(str_of(path), S(".gz")), whole = true;
    if (stat(path, &st) < 0)
        return !rotated || lstat(path, &st) == 0; /* gone since the folder was read: renamed or compressed just now */
    if (!S_ISREG(st.st_mode) || !(rotated || find_inode(s, &st)))
        return true;
    if (file_open(&probe, path, &st) < 0)
        return errno == EACCES || errno == EPERM || errno == EINVAL; /* that will not change by itself */
    struct file *f = find_inode(s, &st);
    if (f && is_vague(f) && f->fd < 0 && (f->head_n == 0 || !file_matches(f, probe.fd, f->gz)))
        f = NULL; /* the number was given away, perhaps */
    else if (f && !file_matches(f, probe.fd, f->gz))
        f = NULL;
    else if (f && f->gz != gz)
        f = NULL; /* compressed in place: its content tells */
    if (!f && rotated)
        f = find_content(s, probe.fd, gz);
    if (f && f->old && is(f, &st))
        set_path(f, path); /* what writes it anew must not write what took its place */
    if (f && (is_lost(f) || (f->done && is(f, &st) && !gz && (uint64_t)st.st_size > f->sent)))
        attach(f, probe.fd, &st, path, mono);
    else if (!f && rotated && mtime_of(&st) >= since && st.st_size > 0 && (whole = live_holds(s)))
        insert_by_age(s, probe.fd, &st, path, mono);
    else
        close(probe.fd);
    return whole;
}

static bool plain_is_there(char *const *names, size_t n, str gz)
{
    str plain = str_head(gz, gz.n - 3);
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_of(names[i]), plain))
            return true;
    return false;
}

static bool some_lost(const struct source *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (is_lost(s->files[i]))
            return true;
    return false;
}

/* Stands for the rotated files of `base` that are listed. */
static uint64_t sum_of(char *const *names, size_t n, str base)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        if (is_rotated(str_of(names[i]), base))
            sum += xxh64(names[i], strlen(names[i]), 0);
    return sum;
}

static bool look_at_all(struct source *s, char *const *names, size_t n, str dir, str base, int64_t since, usec mono)
{
    char path[PATH_MAX];
    bool whole = true;
    for (size_t i = 0; i < 2 * n; i++) { /* the compressed ones last */
        str name = str_of(names[i % n]);
        bool gz = str_ends(name, S(".gz"));
        if (gz != (i >= n) || (gz && plain_is_there(names, n, name)) || str_eq(name, base))
            continue;
        if (snprintf(path, sizeof path, "%.*s/%s", STR_ARG(dir), name.p) < (int)sizeof path)
            whole &= look_at(s, path, is_rotated(name, base), since, mono);
    }
    return whole;
}

/* What rotation did while nobody looked. false: not all could be looked at, another time may tell. What is listed twice
 * alike was all there is: a file that is compressed during one listing may be in it by neither name. */
static bool look_around(struct source *s, int64_t since, usec mono)
{
    struct err e;
    const char *slash = strrchr(s->path, '/'), *base = slash ? slash + 1 : s->path;
    char *dir = slash ? str_dup(str_n(s->path, slash > s->path ? (size_t)(slash - s->path) : 1)) : xstrdup(".");
    char **names;
    size_t n;
    bool whole = true;
    if (dir_list(dir, &names, &n, &e) == 0) {
        uint64_t sum = sum_of(names, n, str_of(base));
        whole = look_at_all(s, names, n, str_of(dir), str_of(base), since, mono);
        dir_list_free(names, n);
        if (dir_list(dir, &names, &n, &e) == 0) {
            whole &= sum == sum_of(names, n, str_of(base));
            dir_list_free(names, n);
        }
    }
    free(dir);
    return whole;
}

/* The same, and once more at the next scan as long as a file vanishes between its listing and its opening: it was
 * compressed just then, and what it became was not listed. Until then nothing younger is read. */
static void look_until_whole(struct source *s, int64_t since, usec mono)
{
    if (s->again && s->look_since < since)
        since = s->look_since;
    s->again = !look_around(s, since, mono);
    s->look_since = since;
}

/* What was not found again for a while is given up, and that is said when something of it was unread. */
static void give_up_lost(struct source *s, usec mono)
{
    for (size_t i = s->n; i-- > 0;) {
        struct file *f = s->files[i];
        if (!is_lost(f) || f->acked != f->sent)
            continue;
        if (f->lost_since == 0)
            f->lost_since = mono;
        if (mono - f->lost_since < LOST_ENOUGH)
            continue;
        if (f->size > f->sent)
            log_error("follow", "what=\"a file is gone before it was read to its end\" file=\"%s\" unread=%llu",
                      f->path, (unsigned long long)(f->size - f->sent));
        source_drop(s, i);
        s->news = true; /* the ledger on disk no longer waits for it */
    }
}

/* ---- one source ---- */

static void move_to_end(struct source *s, const struct file *f)
{
    size_t at = 0;
    while (s->files[at] != f)
        at++;
    struct file *moved = s->files[at];
    memmove(s->files + at, s->files + at + 1, (s->n - at - 1) * sizeof(struct file *));
    s->files[s->n - 1] = moved;
}

/* Something that was not open stands at the path (open in fd, which is taken): at start, or after a rotation. */
static void arrive(struct source *s, int fd, const struct stat *st, usec mono)
{
    struct file *f = find_inode(s, st);
    bool known = f && !f->gz && file_matches(f, fd, false);
    bool empty = known && is_vague(f) && mtime_of(st) != f->mtime; /* what it got since, and lost, may lie beside it */
    int64_t before = known ? f->mtime : 0;
    if (known)
        move_to_end(s, f);
    else
        f = source_file(s, s->n);
    attach(f, fd, st, s->path, mono); /* first, so that it is known should it be renamed right now */
    (void)file_head(f);
    f->old = f->was_empty = false;
    s->news = true;
    if (empty || (!known && s->n > 1))
        look_until_whole(s, empty ? before : newest_old(s), mono);
}

/* The live file has other bytes than those that were read: these went elsewhere, and the path starts anew. */
static void start_anew(struct source *s, struct file *f, usec mono)
{
    struct stat st;
    struct file probe = {.fd = -1};
    if (file_open(&probe, s->path, &st) < 0)
        return;
    log_info("follow", "what=\"a file starts anew\" file=\"%s\" read=%llu", s->path, (unsigned long long)f->sent);
    file_close(f);
    f->replaced = false;
    f->ino = f->dev = 0;
    supersede(f, mono);
    arrive(s, probe.fd, &st, mono);
}

/* Takes note of what grew. */
static void look_again(struct file *f, usec mono)
{
    struct stat st;
    if (f->fd < 0 || f->gz || fstat(f->fd, &st) < 0)
        return;
    bool shrank = (uint64_t)st.st_size < f->size;
    f->was_empty |= is_vague(f) && (mtime_of(&st) != f->mtime || f->young);
    if ((uint64_t)st.st_size != f->size || mtime_of(&st) != f->mtime) {
        f->changed = true;
        f->quiet_since = mono;
    }
    f->rested = f->waits && mono - f->quiet_since >= JOIN_QUIET;
    f->changed |= f->rested;
    f->replaced |= shrank || (uint64_t)st.st_size < f->sent || (f->changed && !file_head(f));
    if (f->replaced) /* its age stays that of the bytes that were seen: a younger file beside it was missed */
        return;
    f->mtime = mtime_of(&st);
    f->young = file_young(&st);
    f->size = (uint64_t)st.st_size;
    if (f->old && st.st_nlink == 0 && !f->changed)
        f->quiet_since = 0; /* removed: nothing more to wait for */
}

/* false: it cannot be told what stands there. */
static bool look_at_path(struct source *s, usec mono)
{
    struct file *f = live(s), probe = {.fd = -1};
    struct stat st;
    if (stat(s->path, &st) < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return false;
        if (f)
            supersede(f, mono);
    } else if (f && is(f, &st) && f->fd >= 0) {
        if (f->replaced)
            start_anew(s, f, mono);
    } else if (S_ISREG(st.st_mode)) {
        if (file_open(&probe, s->path, &st) < 0) {
            log_warn("follow", "what=\"a file cannot be opened: %s\" file=\"%s\"", strerror(errno), s->path);
            return false;
        }
        if (f)
            supersede(f, mono);
        arrive(s, probe.fd, &st, mono);
    }
    return true;
}

/* Closes what is superseded, read and quiet; forgets what is done and no longer anywhere. */
static void retire(struct source *s, usec mono)
{
    usec enough = shaper_input(s->shaper) ? QUIET_SPOOL : QUIET_ENOUGH;
    for (size_t i = s->n; i-- > 0;) {
        struct file *f = s->files[i];
        if (!f->old || f->changed || f->acked != f->sent)
            continue;
        if (f->done && s->n - i > TOMBSTONES) {
            source_drop(s, i);
        } else if (f->fd >= 0 && (f->replaced || f->closing)) {
            file_close(f);
            f->done = true;
        } else if (f->fd >= 0 && (f->gz || mono - f->quiet_since > enough)) {
            f->closing = f->changed = true; /* one more reading takes a last line without an end */
        }
    }
}

static void look_at_source(struct source *s, usec mono)
{
    struct file *was_live = live(s);
    int64_t before = was_live ? was_live->mtime : 0;
    for (size_t i = 0; i < s->n; i++)
        look_again(s->files[i], mono);
    bool told = look_at_path(s, mono);
    if (s->again)
        look_until_whole(s, s->look_since, mono);
    if (told && some_lost(s) && look_around(s, newest_old(s), mono))
        give_up_lost(s, mono);
    if (was_live && was_live == live(s) &&
        was_live->was_empty) /* perhaps written, copied away and truncated meanwhile */
        look_until_whole(s, before, mono);
    if (was_live)
        was_live->was_empty = false;
    retire(s, mono);
}

/* ---- all of them ---- */

static bool is_compressed(str path)
{
    return str_ends(path, S(".gz")) || str_ends(path, S(".xz")) || str_ends(path, S(".bz2")) ||
           str_ends(path, S(".zst"));
}

/* The source that `path` is a rotated file of, or NULL. */
static struct source *rotated_of(const struct follow *fo, str path)
{
    for (size_t n = path.n; n-- > 1 && path.p[n] != '/';)
        if (strchr(".-_", path.p[n])) {
            struct source *s = map_get(&fo->by_path, str_head(path, n));
            if (s && is_rotated(path, str_of(s->path)))
                return s;
        }
    return NULL;
}

/* A file that another source knows already, under another name, and does not let go of. */
static bool is_known(const struct follow *fo, const struct stat *st)
{
    for (size_t i = 0; i < fo->n; i++) {
        const struct file *f = find_inode(fo->sources[i], st);
        if (f && fo->sources[i]->shaper && !f->done)
            return true;
    }
    return false;
}

/* A path that a pattern matches and that is no source yet. At a first start rotated files are read before what is live. */
static void found(struct follow *fo, const char *path, struct shaper *shaper, usec mono)
{
    struct stat st;
    struct file probe = {.fd = -1};
    str p = str_of(path);
    struct source *s;
    if (is_compressed(p) || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    if (!(s = rotated_of(fo, p))) {
        if (!is_known(fo, &st)) {
            s = follow_source(fo, p);
            s->shaper = shaper;
            s->fresh = true;
            look_at_source(s, mono);
        }
    } else if (fo->globbed == 0 && s->fresh && !is_known(fo, &st) && file_open(&probe, path, &st) == 0) {
        insert_by_age(s, probe.fd, &st, path, mono);
    }
}

static void look_up(struct follow *fo, usec mono)
{
    for (size_t i = 0; i < fo->patterns_n; i++) {
        glob_t g;
        if (glob(fo->patterns[i], 0, NULL, &g) == 0)
            for (size_t k = 0; k < g.gl_pathc; k++) {
                struct source *s = map_get(&fo->by_path, str_of(g.gl_pathv[k]));
                if (!s)
                    found(fo, g.gl_pathv[k], fo->shapers[i], mono);
                else if (!s->shaper)
                    s->shaper = fo->shapers[i]; /* one that only the state knew until now */
            }
        globfree(&g);
    }
    fo->globbed = mono;
}

static bool is_forgotten(const struct source *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (!s->files[i]->done || s->files[i]->acked != s->files[i]->sent)
            return false;
    return s->batch_read == 0 && access(s->path, F_OK) < 0;
}

static void forget(struct follow *fo, size_t at)
{
    struct source *s = fo->sources[at];
    fo->forgotten.read += s->read;
    fo->forgotten.sent += s->sent;
    fo->forgotten.acked += s->acked;
    fo->forgotten.dropped += s->dropped;
    fo->forgotten.cut += s->cut;
    (void)map_del(&fo->by_path, str_of(s->path));
    source_free(s);
    fo->sources[at] = fo->sources[--fo->n];
}

static struct shaper *shaper_of(const struct follow *fo, const char *path)
{
    for (size_t i = 0; i < fo->patterns_n; i++)
        if (fnmatch(fo->patterns[i], path, FNM_PATHNAME | FNM_PERIOD) == 0)
            return fo->shapers[i];
    return NULL;
}

void follow_scan(struct follow *fo, usec mono)
{
    if (fo->globbed == 0) /* what the state knows and still is asked for */
        for (size_t i = 0; i < fo->n; i++)
            fo->sources[i]->shaper = shaper_of(fo, fo->sources[i]->path);
    if (fo->globbed == 0 || mono - fo->globbed >= GLOB_EVERY) {
        look_up(fo, mono);
        for (size_t i = fo->n; i-- > 0;)
            if (is_forgotten(fo->sources[i]))
                forget(fo, i);
    }
    for (size_t i = 0; i < fo->n; i++)
        if (fo->sources[i]->shaper)
            look_at_source(fo->sources[i], mono);
    for (size_t i = 0; i < fo->n; i++) {
        fo->news |= fo->sources[i]->news;
        fo->sources[i]->news = false;
    }
}

/* ---- batches ---- */

static bool is_readable(const struct file *f) { return f->fd >= 0 && f->changed && !f->replaced; }

/* true: the batch is full. */
static bool fill_from(struct follow *fo, struct source *s, struct buf *body, uint32_t *events)
{
    for (size_t i = 0; i < s->n; i++) {
        struct file *f = s->files[i];
        if (!is_readable(f))
            continue;
        if (file_fill(fo, s, f, body, events))
            return true;
        f->changed = false;
    }
    return false;
}

uint32_t follow_fill(struct follow *fo, struct buf *body, size_t max_events)
{
    uint32_t events = 0;
    fo->max_events = max_events;
    for (size_t tried = 0; tried < fo->n; tried++) {
        struct source *s = fo->sources[fo->next++ % fo->n];
        if (s->shaper && !s->again && fill_from(fo, s, body, &events))
            break;
    }
    fo->next %= fo->n ? fo->n : 1;
    return events;
}

bool follow_more(const struct follow *fo)
{
    for (size_t i = 0; i < fo->n; i++)
        for (size_t k = 0; fo->sources[i]->shaper && !fo->sources[i]->again && k < fo->sources[i]->n; k++)
            if (is_readable(fo->sources[i]->files[k]))
                return true;
    return false;
}

bool follow_all_taken(const struct follow *fo)
{
    for (size_t i = 0; i < fo->n; i++)
        for (size_t k = 0; fo->sources[i]->shaper && k < fo->sources[i]->n; k++) {
            struct stat st;
            const struct file *f = fo->sources[i]->files[k];
            if (f->fd >= 0 && !f->done && fstat(f->fd, &st) == 0 && (uint64_t)st.st_size > f->acked)
                return false;
        }
    return fo->n > 0;
}

void follow_acked(struct follow *fo, uint64_t refused, const uint32_t *refused_at, size_t n)
{
    for (size_t i = 0; i < fo->n; i++) {
        struct source *s = fo->sources[i];
        uint64_t mine = 0;
        for (size_t k = 0; k < n; k++)
            mine += refused_at[k] >= s->batch_first && refused_at[k] - s->batch_first < s->batch_n;
        if (refused > n) { /* the server names the first hundred only */
            uint64_t unnamed = s->batch_n - mine < refused - n ? s->batch_n - mine : refused - n;
            mine += unnamed;
            refused -= unnamed;
        }
        s->dropped += mine;
        s->acked += s->batch_n - mine;
        s->batch_n = s->batch_read = 0;
        for (size_t k = 0; k < s->n; k++) {
            s->files[k]->acked = s->files[k]->sent;
            s->files[k]->acked_skip = s->files[k]->skip;
        }
    }
}

void follow_unsent(struct follow *fo)
{
    for (size_t i = 0; i < fo->n; i++) {
        struct source *s = fo->sources[i];
        s->read -= s->batch_read;
        s->sent -= s->batch_n;
        s->batch_n = s->batch_read = 0;
        for (size_t k = 0; k < s->n; k++) {
            struct file *f = s->files[k];
            if (f->sent == f->acked)
                continue;
            f->sent = f->acked;
            f->skip = f->acked_skip;
            f->changed = true;
            file_mark(fo, f);
        }
    }
}
