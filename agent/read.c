/* read.c - one file: from bytes to lines to events.
 *
 * A window begins before the place of reading, so that the bytes that were read last come again and can be compared:
 * a file that was truncated and grew past the place meanwhile is noticed before anything of it is taken. */
#include "agent/follow.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define WINDOW_BYTES ((size_t)LINE_MAX_BYTES + (64u << 10))
#define DATES_DIFFER (20 * 1000 * 1000) /* ns, more than a tick */

/* It was written in the present tick of the clock that files are dated by, or by one that goes differently. */
bool file_young(const struct stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return mtime_of(st) > (int64_t)now.tv_sec * NSEC_PER_SEC + now.tv_nsec - DATES_DIFFER;
}

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
    memcpy(f->first, head, n < sizeof f->first ? n : sizeof f->first);
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

/* A writer that goes on at its old offset after a truncation leaves NULs before its next line. */
static str without_padding(str line)
{
    while (line.n && line.p[0] == '\0')
        line = str_skip(line, 1);
    return line;
}

/* Takes the events that are complete. */
static void take_events(struct source *s, usec now, struct buf *body, uint32_t *events)
{
    uint32_t lines;
    for (size_t before = body->n; shaper_event(s->shaper, s->path, now, body, &lines); before = body->n) {
        s->read += lines;
        s->batch_read += lines;
        if (body->n == before)
            continue;
        if (s->batch_n++ == 0)
            s->batch_first = *events;
        s->sent++;
        (*events)++;
    }
}

static void add_line(struct source *s, enum text_width w, str line, uint64_t at, bool cut)
{
    line = shaper_text(s->shaper, w, w == TEXT_BYTES ? without_padding(line) : line);
    shaper_line(s->shaper, line, at, cut);
    if (!cut)
        return;
    shaper_end(s->shaper);
    s->cut++;
    log_warn("follow", "what=\"a line was cut\" file=\"%s\" bytes=%d", s->path, LINE_MAX_BYTES);
}

/* Takes what can be taken of `unread`, which starts at f->sent. Returns how many bytes that was: lines that may go on are
 * left, unless nothing comes for now (the file rests, or its path is another's, which is read after it), or the window
 * is `full` of them. */
static size_t take_lines(struct follow *fo, struct source *s, struct file *f, str unread, bool full, struct buf *body,
                         uint32_t *events)
{
    str rest = unread;
    usec now = clock_now();
    enum text_width w = shaper_width(s->shaper,
                                     str_n(f->first, f->head_n < sizeof f->first ? f->head_n : sizeof f->first));
    shaper_reset(s->shaper);
    while (rest.n && body->n < BATCH_BYTES && *events < fo->max_events) {
        ptrdiff_t end = text_end(w, rest);
        uint64_t at = (uint64_t)(rest.p - unread.p);
        bool last = end < 0 && f->closing && !full;
        size_t n = end >= 0 ? (size_t)end : rest.n, whole = end >= 0 ? n + text_unit(w) : n;
        if (f->skip) {
            f->skip = end < 0;
            rest = str_skip(rest, whole - whole % text_unit(w)); /* half a character waits */
        } else if (n > LINE_MAX_BYTES) {
            add_line(s, w, str_head(rest, LINE_MAX_BYTES), at, true);
            f->skip = true;
            rest = str_skip(rest, LINE_MAX_BYTES);
        } else if (end >= 0 || last) {
            add_line(s, w, str_head(rest, n), at, false);
            rest = str_skip(rest, whole);
        } else {
            break;
        }
        take_events(s, now, body, events);
    }
    size_t seen = unread.n - rest.n;
    bool drained = text_end(w, rest) < 0;
    if (drained && (full ? shaper_done(s->shaper, seen) == 0 : f->rested || f->old || f->closing))
        shaper_end(s->shaper);
    take_events(s, now, body, events);
    size_t taken = (size_t)shaper_done(s->shaper, seen);
    f->waits = taken < seen;
    return taken;
}

/* Of a file of which hardly anything is known: nothing happened to it since it was looked at. Otherwise what it held may
 * have been copied away before it got what it holds now, and is looked for first. */
static bool is_as_seen(const struct file *f)
{
    struct stat st;
    return f->old || f->gz || (fstat(f->fd, &st) == 0 && mtime_of(&st) == f->mtime && (uint64_t)st.st_size == f->size);
}

bool file_fill(struct follow *fo, struct source *s, struct file *f, struct buf *body, uint32_t *events)
{
    if (!readable(f))
        return false;
    for (;;) {
        struct file was = *f;
        size_t before = (size_t)smaller(TAIL_BYTES, f->sent);
        size_t n = read_at(f->fd, f->z, fo->window, WINDOW_BYTES, f->sent - before);
        const char *now = fo->window + before;
        if (n < before || xxh64(fo->window, before, 0) != f->tail || !file_head(f)) {
            f->replaced = true;
            return false;
        }
        if (is_vague(&was) && !is_as_seen(f)) {
            f->head_n = was.head_n;
            f->head = was.head;
            return false;
        }
        size_t taken = take_lines(fo, s, f, str_n(now, n - before), n == WINDOW_BYTES, body, events);
        f->sent += taken;
        mark(f, now + taken);
        if (body->n >= BATCH_BYTES || *events >= fo->max_events)
            return true;
        if (taken == 0 || n < WINDOW_BYTES)
            return false;
    }
}
