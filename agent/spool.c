#include "agent/spool.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define SAY_EVERY (60 * USEC_PER_SEC)
#define WAIT_BYTES (4 * SPOOL_FILE_BYTES)
#define LOOK_EVERY USEC_PER_SEC /* at a disk that was full */
#define LOOK_BYTES (256u << 10)
enum { RECALL_BYTES = 1 << 20 }; /* the longest lines, twice at least */

struct spool {
    char dir[PATH_MAX], path[PATH_MAX + 64], name[40];
    int fd;
    uint64_t size, next; /* bytes of the file; the number it gets when it is full */
    uint64_t oldest;     /* number of a file that is full; UINT64_MAX: there is none */
    uint64_t bytes;      /* of the files that are full, when last looked at */
    uint64_t limit;
    uint64_t lost;           /* lines that were not taken, not said yet */
    _Atomic uint64_t untold; /* the same, not asked for yet */
    uint64_t checked;        /* the file's size when the disk was looked at last; UINT64_MAX: look */
    usec looked;
    bool torn; /* the last line is not whole */
    usec said;
    struct buf place, line;
};

const char *spool_path(const struct spool *s) { return s->path; }

/* The number of "NAME.log.12"; false: it is no file of the spool that is full. */
static bool number_of(const struct spool *s, const char *file, uint64_t *ret)
{
    str f = str_of(file), name = str_of(s->name);
    return str_starts(f, name) && str_starts(str_skip(f, name.n), S(".")) && str_u64(str_skip(f, name.n + 1), ret);
}

/* Looks at the files that are full: how many bytes they have, which is the oldest, which number is free. */
static uint64_t look(struct spool *s)
{
    char **names, path[PATH_MAX + 64];
    size_t n;
    struct err e;
    struct stat st;
    uint64_t bytes = 0, number;
    s->oldest = UINT64_MAX;
    if (dir_list(s->dir, &names, &n, &e) < 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", s->dir, names[i]);
        if (!number_of(s, names[i], &number) || stat(path, &st) < 0)
            continue;
        bytes += (uint64_t)st.st_size;
        s->oldest = number < s->oldest ? number : s->oldest;
        s->next = number >= s->next ? number + 1 : s->next;
    }
    dir_list_free(names, n);
    return s->bytes = bytes;
}

/* ---- places ---- */

static str last_part(str line, str before, str *ret_rest)
{
    for (size_t n = line.n; n >= before.n; n--)
        if (str_ends(str_head(line, n), before)) {
            *ret_rest = str_head(line, n - before.n);
            return str_skip(line, n);
        }
    return (str){NULL, 0};
}

/* Takes \003 LINE \003 PLACE \003 apart. */
static bool take_apart(str line, str *ret_line, str *ret_place)
{
    str mark = S(SPOOL_PLACED);
    if (!str_starts(line, mark) || !str_ends(line, mark))
        return false;
    str whole = {NULL, 0}, place = last_part(str_head(line, line.n - 1), mark, &whole);
    if (place.n == 0 || whole.n < 2)
        return false;
    *ret_line = str_skip(whole, 1);
    *ret_place = place;
    return true;
}

str spool_line(str line)
{
    str place, inside;
    if (str_starts(line, S(SPOOL_MARK)) || str_ends(line, S(SPOOL_TORN)))
        return (str){NULL, 0};
    if (!str_starts(line, S(SPOOL_PLACED)))
        return line;
    return take_apart(line, &inside, &place) ? inside : (str){NULL, 0};
}

/* The last place in a text that starts with a line, or after a cut-off one. */
static void find_place(str text, struct buf *place)
{
    while (text.n) {
        str rest, inside, at, line = str_cut(&text, '\n');
        if (!text.p)
            return; /* it has no end */
        if (str_starts(line, S(SPOOL_MARK)))
            at = last_part(line, S(" "), &rest);
        else if (!take_apart(line, &inside, &at))
            continue;
        buf_reset(place);
        buf_str(place, at);
    }
}

/* What the file tells of where it was; the file may be missing. */
static void recall(struct spool *s, const char *path)
{
    struct stat st;
    struct buf b = BUF_INIT(RECALL_BYTES);
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && buf_room(&b, RECALL_BYTES)) {
        uint64_t from = st.st_size > RECALL_BYTES ? (uint64_t)st.st_size - RECALL_BYTES : 0;
        if (pread_all(fd, b.p, RECALL_BYTES, from, &n) == 0)
            find_place(str_n(b.p, n), &s->place);
    }
    if (fd >= 0)
        close(fd);
    buf_done(&b);
}

str spool_place(const struct spool *s) { return buf_view(&s->place); }

/* ---- the file ---- */

static bool ends_torn(const char *path, uint64_t size)
{
    char last = '\n';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!pread(fd, &last, 1, (off_t)size - 1);
        close(fd);
    }
    return last != '\n';
}

static int open_file(struct spool *s, struct err *e)
{
    struct stat st;
    s->fd = open(s->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (s->fd < 0)
        return err_sys(e, "open '%s'", s->path);
    s->size = fstat(s->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    s->torn = s->size > 0 && ends_torn(s->path, s->size);
    if (s->size == 0) {
        uint64_t r;
        random_bytes(&r, sizeof r);
        int n = dprintf(s->fd, SPOOL_MARK "%016" PRIx64 " %.*s\n", r, STR_ARG(buf_view(&s->place)));
        s->size = n > 0 ? (uint64_t)n : 0;
        (void)fdatasync(s->fd); /* the place lives longer than the file that it comes from */
    }
    return 0;
}

int spool_open(const char *state, const char *name, uint64_t limit, struct spool **ret, struct err *e)
{
    struct spool *s = xcalloc(1, sizeof *s);
    s->fd = -1;
    s->limit = limit;
    s->checked = UINT64_MAX;
    buf_init(&s->place, PATH_MAX);
    buf_init(&s->line, 1u << 20);
    snprintf(s->name, sizeof s->name, "%s.log", name);
    int n = snprintf(s->dir, sizeof s->dir, "%s/spool", state);
    snprintf(s->path, sizeof s->path, "%s/%s", s->dir, s->name);
    if (n >= (int)sizeof s->dir)
        (void)err_set(e, ERR_INPUT, "the name of the state folder is too long");
    else if (dir_make(state, e) == 0 && dir_make(s->dir, e) == 0) {
        char full[PATH_MAX + 128];
        s->next = 1;
        (void)look(s);
        snprintf(full, sizeof full, "%s.%06" PRIu64, s->path, s->next - 1);
        recall(s, full);
        recall(s, s->path);
        if (open_file(s, e) == 0) {
            *ret = s;
            return 0;
        }
    }
    spool_close(s);
    return -1;
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    buf_done(&s->place);
    buf_done(&s->line);
    free(s);
}

bool spool_tight(const char *path, uint64_t bytes)
{
    struct statvfs v;
    return statvfs(path, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize < bytes;
}

uint64_t spool_lost(struct spool *s) { return atomic_exchange(&s->untold, 0); }

/* Why nothing can be taken, NULL: it can. The disk is looked at when some was written, and every while when it was full. */
static const char *full(struct spool *s)
{
    bool again = clock_mono() - s->looked > LOOK_EVERY;
    if (s->bytes > s->limit + SPOOL_EXTRA && again)
        (void)look(s);
    if (s->checked > s->size ? again : s->size - s->checked > LOOK_BYTES)
        s->checked = spool_tight(s->path, SPOOL_LEAVES) ? UINT64_MAX : s->size;
    if (again)
        s->looked = clock_mono();
    return s->bytes > s->limit + SPOOL_EXTRA ? "the spool is full" : s->checked > s->size ? "the disk is full" : NULL;
}

static void rotate(struct spool *s)
{
    char full[PATH_MAX + 128];
    struct err e;
    snprintf(full, sizeof full, "%s.%06" PRIu64, s->path, s->next++);
    (void)fdatasync(s->fd);
    if (rename(s->path, full) < 0)
        return; /* it grows on */
    close(s->fd);
    s->checked = 0;
    if (open_file(s, &e) < 0)
        log_error("spool", "what=\"%s\"", e.text);
    (void)look(s);
}

bool spool_waits(struct spool *s)
{
    uint64_t enough = WAIT_BYTES < s->limit / 2 ? WAIT_BYTES : s->limit / 2;
    return s->bytes >= enough && look(s) >= enough;
}

static uint64_t lines_in(str s)
{
    uint64_t n = 0;
    for (const char *p; (p = memchr(s.p, '\n', s.n)); n++)
        s = str_skip(s, (size_t)(p - s.p) + 1);
    return n;
}

static void say_lost(struct spool *s, const char *why)
{
    usec now = clock_mono();
    if (s->said && now - s->said < SAY_EVERY)
        return;
    log_error("spool", "what=\"lines are lost: %s\" file=\"%s\" lines=%" PRIu64, why, s->path, s->lost);
    s->said = now;
    s->lost = 0;
}

/* Lines, without the newline at their end. False: the disk did not take all of them; of what it took the last one is torn,
 * and stays so: who follows the file saw it perhaps. */
static bool write_lines(struct spool *s, str lines, uint64_t *ret_lost, const char **ret_why)
{
    struct err e;
    static const char end[] = SPOOL_TORN "\n";
    str parts[] = {{end, s->torn ? 2 : 0}, lines, S("\n")};
    struct iovec v[LENGTH(parts)];
    for (size_t i = 0; i < LENGTH(parts); i++)
        v[i] = (struct iovec){(void *)(uintptr_t)parts[i].p, parts[i].n};
    const char *why = full(s);
    if (s->fd < 0 && open_file(s, &e) < 0)
        s->fd = -1;
    errno = 0;
    ssize_t n = why || s->fd < 0 ? -1 : writev(s->fd, v, LENGTH(parts));
    size_t got = n > 0 ? (size_t)n : 0;
    s->size += got;
    for (size_t i = 0; i < LENGTH(parts) && got > 0; i++) {
        size_t k = got < parts[i].n ? got : parts[i].n;
        if (k)
            s->torn = parts[i].p[k - 1] != '\n';
        parts[i] = str_skip(parts[i], k);
        got -= k;
    }
    if (parts[2].n == 0)
        return true;
    *ret_lost = lines_in(parts[1]) + 1;
    *ret_why = why ? why : errno ? strerror(errno) : "the disk is full";
    return false;
}

void spool_add(struct spool *s, str lines)
{
    uint64_t lost;
    const char *why;
    if (!write_lines(s, lines, &lost, &why)) {
        s->lost += lost;
        atomic_fetch_add(&s->untold, lost);
        say_lost(s, why);
    }
    if (s->size >= SPOOL_FILE_BYTES)
        rotate(s);
}

bool spool_add_placed(struct spool *s, str line, str place)
{
    buf_reset(&s->line);
    buf_lit(&s->line, SPOOL_PLACED);
    buf_str(&s->line, line);
    buf_lit(&s->line, SPOOL_PLACED);
    buf_str(&s->line, place);
    buf_lit(&s->line, SPOOL_PLACED);
    uint64_t lost;
    const char *why;
    if (!write_lines(s, buf_view(&s->line), &lost, &why))
        return false;
    buf_reset(&s->place);
    buf_str(&s->place, place);
    if (s->size >= SPOOL_FILE_BYTES)
        rotate(s);
    return true;
}
