/* read.c - one file: from bytes to lines to events.
 *
 * A window begins before the place of reading, so that the bytes that were read last come again and can be compared:
 * a file that was truncated and grew past the place meanwhile is noticed before anything of it is taken. */
#include "agent/follow.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "event/json.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#define WINDOW_BYTES ((size_t)LINE_MAX_BYTES + (64u << 10))
enum { JSON_DEPTH = 32 }; /* of a line that is taken for an event as it is */

int file_open(struct file *f, const char *path, struct stat *ret)
{
    file_close(f);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -1;
    if (fstat(fd, ret) < 0 || !S_ISREG(ret->st_mode)) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    f->fd = fd;
    return 0;
}

void file_close(struct file *f)
{
    if (f->z)
        gzclose_r(f->z);
    if (f->fd >= 0)
        close(f->fd);
    f->z = NULL;
    f->fd = -1;
}

/* Up to n bytes at `offset` of what the file holds; short at its end, and where it is damaged. */
static size_t read_at(int fd, struct gzFile_s *z, char *to, size_t n, uint64_t offset)
{
    size_t got = 0;
    if (z && gzseek(z, (z_off_t)offset, SEEK_SET) < 0)
        return 0;
    while (got < n) {
        ssize_t k = z ? gzread(z, to + got, (unsigned)(n - got)) : pread(fd, to + got, n - got, (off_t)(offset + got));
        if (k < 0 && !z && errno == EINTR)
            continue;
        if (k <= 0)
            break;
        got += (size_t)k;
    }
    return got;
}

/* A reader of what is compressed, with a descriptor of its own. */
static struct gzFile_s *unzip(int fd)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0 || lseek(own, 0, SEEK_SET) < 0) {
        if (own >= 0)
            close(own);
        return NULL;
    }
    struct gzFile_s *z = gzdopen(own, "rb");
    if (!z)
        close(own);
    return z;
}

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

bool file_matches(const struct file *f, int fd, bool gz)
{
    char head[HEAD_BYTES], tail[TAIL_BYTES];
    size_t n = (size_t)smaller(TAIL_BYTES, f->sent);
    struct gzFile_s *z = gz ? unzip(fd) : NULL;
    bool same = (!gz || z) && read_at(fd, z, head, f->head_n, 0) == f->head_n && xxh64(head, f->head_n, 0) == f->head &&
                read_at(fd, z, tail, n, f->sent - n) == n && xxh64(tail, n, 0) == f->tail;
    if (z)
        gzclose_r(z);
    return same;
}

bool file_ends_at(int fd, bool gz, uint64_t offset)
{
    char byte;
    struct gzFile_s *z = gz ? unzip(fd) : NULL;
    bool ends = (!gz || z) && read_at(fd, z, &byte, 1, offset) == 0;
    if (z)
        gzclose_r(z);
    return ends;
}

bool file_starts(int whole, int part, bool gz)
{
    char in_whole[HEAD_BYTES], in_part[HEAD_BYTES];
    struct stat a, b;
    struct gzFile_s *z = gz ? unzip(part) : NULL;
    size_t n = !gz || z ? read_at(part, z, in_part, HEAD_BYTES, 0) : 0;
    if (z)
        gzclose_r(z);
    return n > 0 && read_at(whole, NULL, in_whole, n, 0) == n && memcmp(in_whole, in_part, n) == 0 &&
           fstat(whole, &a) == 0 && fstat(part, &b) == 0 && (gz || b.st_size <= a.st_size);
}

/* What is compressed has its reader. */
static bool readable(struct file *f) { return !f->gz || f->z || (f->z = unzip(f->fd)); }

bool file_head(struct file *f)
{
    char head[HEAD_BYTES];
    if (!readable(f))
        return false;
    size_t n = read_at(f->fd, f->z, head, HEAD_BYTES, 0);
    if (n < f->head_n || xxh64(head, f->head_n, 0) != f->head)
        return false;
    f->head_n = (uint32_t)n;
    f->head = xxh64(head, n, 0);
    return true;
}

static void mark(struct file *f, const char *end)
{
    size_t tail = (size_t)smaller(TAIL_BYTES, f->sent);
    f->tail = xxh64(end - tail, tail, 0);
}

void file_mark(struct follow *fo, struct file *f)
{
    size_t tail = (size_t)smaller(TAIL_BYTES, f->sent);
    (void)read_at(f->fd, f->z, fo->window, tail, f->sent - tail);
    mark(f, fo->window + tail);
}

static void add_where(const struct follow *fo, const struct source *s, struct buf *body)
{
    buf_lit(body, "\"host\":");
    buf_json(body, str_of(fo->host));
    buf_lit(body, ",\"file\":");
    buf_json(body, str_of(s->path));
}

/* The file's name without what rotation and format put behind it: "nginx" of /var/log/nginx.log. */
static str app_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    str name = str_of(slash ? slash + 1 : path);
    str rest = name, stem = str_cut(&rest, '.');
    return stem.n ? stem : name;
}

static void add_event(struct follow *fo, const struct source *s, str line, bool cut, struct buf *body)
{
    char time[TIME_TEXT_MAX];
    if (!cut && line.p[0] == '{' && line.n > 2 && json_valid(line, JSON_DEPTH)) { /* what it says itself wins */
        buf_byte(body, '{');
        add_where(fo, s, body);
        buf_byte(body, ',');
        buf_str(body, str_skip(line, 1));
        buf_byte(body, '\n');
        return;
    }
    usec now = clock_now();
    fo->stamped = now > fo->stamped ? now : fo->stamped + 1;
    time_print(fo->stamped * NSEC_PER_USEC, 6, time);
    buf_printf(body, "{\"time\":\"%s\",", time);
    add_where(fo, s, body);
    buf_lit(body, ",\"app\":");
    buf_json(body, app_of(s->path));
    buf_lit(body, ",\"message\":");
    buf_json(body, line);
    if (cut)
        buf_lit(body, ",\"truncated\":true");
    buf_lit(body, "}\n");
}

/* A writer that goes on at its old offset after a truncation leaves NULs before its next line. */
static str without_padding(str line)
{
    while (line.n && line.p[0] == '\0')
        line = str_skip(line, 1);
    return line;
}

static void take_line(struct follow *fo, struct source *s, str line, bool cut, struct buf *body, uint32_t *events)
{
    line = without_padding(line);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    s->read++;
    s->batch_read++;
    if (str_trim(line).n == 0)
        return;
    if (s->batch_n++ == 0)
        s->batch_first = *events;
    s->sent++;
    (*events)++;
    add_event(fo, s, line, cut, body);
    if (!cut)
        return;
    s->cut++;
    log_warn("follow", "what=\"a line was cut\" file=\"%s\" bytes=%d", s->path, LINE_MAX_BYTES);
}

/* Takes what can be taken of `unread`, which goes to the end of the file when `at_end`. Returns how many bytes that was. */
static size_t take_lines(struct follow *fo, struct source *s, struct file *f, str unread, bool at_end, struct buf *body,
                         uint32_t *events)
{
    str rest = unread;
    while (rest.n && body->n < BATCH_BYTES && *events < fo->max_events) {
        const char *end = memchr(rest.p, '\n', rest.n);
        bool last = !end && at_end;
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        if (f->skip) {
            f->skip = !end;
            rest = str_skip(rest, end ? n + 1 : n);
        } else if (n > LINE_MAX_BYTES) {
            take_line(fo, s, str_head(rest, LINE_MAX_BYTES), true, body, events);
            f->skip = true;
            rest = str_skip(rest, LINE_MAX_BYTES);
        } else if (end || last) {
            take_line(fo, s, str_head(rest, n), false, body, events);
            rest = str_skip(rest, end ? n + 1 : n);
        } else {
            break;
        }
    }
    return unread.n - rest.n;
}

bool file_fill(struct follow *fo, struct source *s, struct file *f, struct buf *body, uint32_t *events)
{
    if (!readable(f))
        return false;
    for (;;) {
        size_t before = (size_t)smaller(TAIL_BYTES, f->sent);
        size_t n = read_at(f->fd, f->z, fo->window, WINDOW_BYTES, f->sent - before);
        const char *now = fo->window + before;
        if (n < before || xxh64(fo->window, before, 0) != f->tail || !file_head(f)) {
            f->replaced = true;
            return false;
        }
        bool at_end = n < WINDOW_BYTES && f->closing;
        size_t taken = take_lines(fo, s, f, str_n(now, n - before), at_end, body, events);
        f->sent += taken;
        mark(f, now + taken);
        if (body->n >= BATCH_BYTES || *events >= fo->max_events)
            return true;
        if (taken == 0 || n < WINDOW_BYTES)
            return false;
    }
}
