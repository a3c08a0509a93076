/* stats/secrets.c - see secrets.h. */
#include "stats/secrets.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "stats/private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

enum { FILE_BYTES = 48, PAGE = 4096 };

struct secret {
    int64_t start;
    int64_t segment;
    usec created;
    uint8_t bytes[32];
    int step; /* 0: free */
};
enum { SECRETS_MAX = PAGE / sizeof(struct secret) };

struct secrets {
    struct secret *page; /* SECRETS_MAX of them, alone in their page */
    pthread_mutex_t lock;
    char *parent, *folder; /* NULL: memory only */
    bool locked;
};

static bool is_closed(int step, int64_t start, usec now)
{
    return stat_period_end(start, step) * USEC_PER_SEC + UNIQUE_GRACE <= now;
}

/* ---- where ---- */
/* Ours alone, and never on a disk. */
static bool is_safe(const char *path)
{
    struct stat st;
    struct statfs fs;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022) &&
           statfs(path, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static char *find_parent(void)
{
    struct buf path = BUF_INIT(PATH_MAX);
    const char *const given[] = {getenv("RUNTIME_DIRECTORY"), getenv("XDG_RUNTIME_DIR")};
    for (size_t i = 0; i < LENGTH(given); i++) {
        str all = str_of(given[i]), first = str_cut(&all, ':');
        buf_reset(&path);
        buf_printf(&path, "%.*s%c", STR_ARG(first), '\0');
        if (first.n && !path.full && is_safe(path.p))
            return buf_take(&path, NULL);
    }
    buf_reset(&path);
    buf_printf(&path, "/dev/shm/logd-%u%c", (unsigned)geteuid(), '\0');
    (void)mkdir(path.p, 0700);
    if (is_safe(path.p))
        return buf_take(&path, NULL);
    buf_done(&path);
    return NULL;
}

static char *name_folder(const char *parent, const char *data)
{
    uint8_t sha[32];
    struct buf path = BUF_INIT(PATH_MAX);
    sha256(str_of(data), sha);
    buf_printf(&path, "%s/unique-", parent);
    buf_hex(&path, sha, 8);
    return buf_take(&path, NULL);
}

static void file_path(const struct secrets *s, int step, int64_t start, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%d-%lld", s->folder, step, (long long)start);
}

/* ---- files ---- */
static int write_file(const struct secrets *s, const struct secret *x)
{
    char path[PATH_MAX];
    uint8_t bytes[FILE_BYTES];
    memcpy(bytes, &x->segment, 8);
    memcpy(bytes + 8, &x->created, 8);
    memcpy(bytes + 16, x->bytes, 32);
    (void)mkdir(s->folder, 0700);
    file_path(s, x->step, x->start, path);
    int fd = is_safe(s->folder) ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    int rc = fd >= 0 && write(fd, bytes, sizeof bytes) == FILE_BYTES ? 0 : -1;
    explicit_bzero(bytes, sizeof bytes);
    if (fd >= 0)
        close(fd);
    return rc;
}

static void remove_file(const char *path)
{
    static const uint8_t zeros[FILE_BYTES];
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW); /* its page may stay in memory for a while */
    if (fd >= 0) {
        if (write(fd, zeros, sizeof zeros) < 0)
            log_warn("stats", "what=\"a secret could not be overwritten\" sys=%d", errno);
        close(fd);
    }
    if (unlink(path) < 0 && errno != ENOENT)
        log_error("stats", "what=\"a secret of a closed period cannot be removed\" path=\"%s\" sys=%d", path, errno);
}

static bool read_file(const char *path, struct secret *x)
{
    uint8_t bytes[FILE_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool whole = fd >= 0 && read(fd, bytes, sizeof bytes) == FILE_BYTES;
    if (fd >= 0)
        close(fd);
    if (whole) {
        memcpy(&x->segment, bytes, 8);
        memcpy(&x->created, bytes + 8, 8);
        memcpy(x->bytes, bytes + 16, 32);
        whole = x->segment > 0;
    }
    explicit_bzero(bytes, sizeof bytes);
    return whole;
}

static bool name_read(const char *name, int *ret_step, int64_t *ret_start)
{
    str s = str_of(name), step = str_cut(&s, '-');
    int64_t n;
    if (!str_i64(step, &n) || !str_i64(s, ret_start) || (n != HOUR && n != DAY && n != WEEK && n != MONTH && n != YEAR))
        return false;
    *ret_step = (int)n;
    return true;
}

static struct secret *find(struct secrets *s, int step, int64_t start)
{
    for (size_t i = 0; i < SECRETS_MAX; i++)
        if (s->page[i].step == step && (!step || s->page[i].start == start))
            return &s->page[i];
    return NULL;
}

/* What is closed is removed; `s` NULL: of a folder that another data folder left behind, nothing else is looked at. */
static void read_folder(struct secrets *s, const char *folder, usec now)
{
    struct err e;
    char **names, path[PATH_MAX];
    size_t n;
    if (!is_safe(folder) || dir_list(folder, &names, &n, &e) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        int step;
        int64_t start;
        struct secret *x = s ? find(s, 0, 0) : NULL;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (!name_read(names[i], &step, &start))
            continue;
        if (is_closed(step, start, now))
            remove_file(path);
        else if (x && read_file(path, x)) {
            x->step = step;
            x->start = start;
        } else if (x) {
            remove_file(path); /* overwritten, and then the program was killed */
        }
    }
    dir_list_free(names, n);
}

/* A server that was stopped for good left its folder. */
static void sweep(const struct secrets *s, usec now)
{
    struct err e;
    char **names, path[PATH_MAX];
    size_t n;
    if (dir_list(s->parent, &names, &n, &e) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", s->parent, names[i]);
        if (str_starts(str_of(names[i]), S("unique-")) && strcmp(path, s->folder) != 0) {
            read_folder(NULL, path, now);
            (void)rmdir(path); /* when it is empty */
        }
    }
    dir_list_free(names, n);
}

/* ---- life ---- */
struct secrets *secrets_open(const char *data, usec now)
{
    struct secrets *s = xcalloc(1, sizeof *s);
    s->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->page == MAP_FAILED)
        abort();
    s->locked = mlock(s->page, PAGE) == 0;
    (void)madvise(s->page, PAGE, MADV_DONTDUMP);
    (void)madvise(s->page, PAGE, MADV_DONTFORK);
    pthread_mutex_init(&s->lock, NULL);
    s->parent = find_parent();
    if (s->parent) {
        s->folder = name_folder(s->parent, data);
        read_folder(s, s->folder, now);
        sweep(s, now);
    }
    return s;
}

void secrets_close(struct secrets *s)
{
    if (!s)
        return;
    explicit_bzero(s->page, PAGE);
    munmap(s->page, PAGE);
    pthread_mutex_destroy(&s->lock);
    free(s->parent);
    free(s->folder);
    free(s);
}

const char *secrets_folder(const struct secrets *s, bool *ret_locked)
{
    *ret_locked = s->locked;
    return s->folder;
}

/* Under the lock. NULL: there is no room, which a clock that jumps about can bring. */
static struct secret *draw(struct secrets *s, int step, int64_t start, usec now)
{
    struct secret *x = find(s, 0, 0);
    if (!x)
        return NULL;
    x->start = start;
    x->created = now - now % USEC_PER_SEC;
    random_bytes(&x->segment, sizeof x->segment);
    x->segment = (x->segment & INT64_MAX) | 1;
    random_bytes(x->bytes, sizeof x->bytes);
    x->step = step;
    if (s->folder && write_file(s, x) < 0) /* first: what is counted under it must not outlive it */
        log_warn("stats", "what=\"a secret is kept in memory only, a restart loses it\" folder=\"%s\"", s->folder);
    return x;
}

bool secrets_key(struct secrets *s, uint32_t app, str metric, int step, int64_t start, usec now, struct secret_key *ret)
{
    char text[200];
    uint8_t mac[32];
    if (is_closed(step, start, now))
        return false;
    int n = snprintf(text, sizeof text, "logd-uu-v1|%u|%.*s|%d|%lld", app, STR_ARG(metric), step, (long long)start);
    assert(n > 0 && (size_t)n < sizeof text);
    pthread_mutex_lock(&s->lock);
    struct secret *x = find(s, step, start);
    x = x ? x : draw(s, step, start, now);
    if (x) {
        hmac_sha256(str_n((char *)x->bytes, sizeof x->bytes), str_n(text, (size_t)n), mac);
        memcpy(ret->key, mac, sizeof ret->key);
        ret->segment = x->segment;
        ret->created = x->created;
    }
    pthread_mutex_unlock(&s->lock);
    explicit_bzero(mac, sizeof mac);
    return x;
}

bool secrets_has(struct secrets *s, int64_t segment)
{
    bool has = false;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < SECRETS_MAX; i++)
        has |= s->page[i].step && s->page[i].segment == segment;
    pthread_mutex_unlock(&s->lock);
    return has;
}

void secrets_tick(struct secrets *s, usec now)
{
    char path[PATH_MAX];
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < SECRETS_MAX; i++) {
        struct secret *x = &s->page[i];
        if (!x->step || !is_closed(x->step, x->start, now))
            continue;
        if (s->folder) {
            file_path(s, x->step, x->start, path);
            remove_file(path);
        }
        explicit_bzero(x, sizeof *x);
    }
    pthread_mutex_unlock(&s->lock);
}

size_t secrets_open_periods(struct secrets *s)
{
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < SECRETS_MAX; i++)
        n += s->page[i].step != 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}
