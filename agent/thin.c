#include "agent/thin.h"

#include "agent/spool.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define FILE_MAX (2u * SPOOL_FILE_BYTES)
#define WORTH 16 /* a file is written anew when this part of it goes, at least */

enum { BELOW_INFO, BELOW_WARN, BELOW_ERROR, ALL, STEPS };
static const int severity_of[STEPS] = {9, 13, 17, INT_MAX};

struct thinned {
    struct buf kept;
    uint64_t events, lines; /* that went */
};

/* ---- one file's text ---- */

struct walk {
    struct source *s;
    str rest, from; /* what is not read; what is not kept or dropped yet */
    str text;
    int least; /* severity of what stays */
    struct thinned *out;
};

static str cut_line(str *s)
{
    ptrdiff_t end = str_chr(*s, '\n');
    str line = str_head(*s, end < 0 ? s->n : (size_t)end);
    *s = str_skip(*s, end < 0 ? s->n : (size_t)end + 1);
    return line;
}

/* The next `lines` lines, and those before them that are none, go or stay together. */
static void decide(struct walk *w, uint32_t lines, bool event, int severity)
{
    str from = w->from;
    bool stays = w->least < severity_of[ALL] && (size_t)(from.p - w->text.p) < HEAD_BYTES;
    bool go = severity < w->least && !stays;
    for (uint32_t n = 0; n < lines && w->from.n;)
        n += spool_line(cut_line(&w->from)).p != NULL;
    if (!go)
        buf_add(&w->out->kept, from.p, from.n - w->from.n);
    w->out->events += go && event;
    w->out->lines += go ? lines : 0;
}

static void take_events(struct walk *w, usec now)
{
    struct buf event = BUF_INIT(8u << 20);
    uint32_t lines;
    while (shaper_event(w->s->shaper, w->s->path, now, &event, &lines)) {
        decide(w, lines, event.n > 0, shaper_severity(w->s->shaper));
        buf_reset(&event);
    }
    buf_done(&event);
}

static void go_through(struct source *s, str text, int least, struct thinned *ret)
{
    struct walk w = {.s = s, .rest = text, .from = text, .text = text, .least = least, .out = ret};
    usec now = clock_now();
    shaper_reset(s->shaper);
    while (w.rest.n) {
        uint64_t at = (uint64_t)(w.rest.p - text.p);
        shaper_line(s->shaper, cut_line(&w.rest), at, false);
        take_events(&w, now);
    }
    shaper_end(s->shaper);
    take_events(&w, now);
    shaper_reset(s->shaper);
    buf_str(&ret->kept, w.from);
}

/* ---- one file ---- */

static int write_new(const struct file *f, const char *tmp, str body)
{
    struct stat st;
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = -1;
    if (fd < 0)
        return -1;
    if (fstat(f->fd, &st) == 0 && write_all(fd, body) == 0) {
        struct timespec times[] = {st.st_atim, st.st_mtim}; /* files are in order by their age */
        if (futimens(fd, times) == 0 && fsync(fd) == 0)
            rc = rename(tmp, f->path);
    }
    close(fd);
    if (rc < 0)
        (void)unlink(tmp);
    return rc;
}

/* f is now what stands at its path. */
static void open_again(struct file *f)
{
    struct stat st;
    if (file_open(f, f->path, &st) < 0)
        return;
    f->dev = st.st_dev;
    f->ino = st.st_ino;
    f->size = (uint64_t)st.st_size;
    f->changed = true;
    (void)file_head(f);
}

static void say(struct source *s, const struct thinned *t, int step)
{
    static const char *const what[] = {"below info", "below warn", "below error", "of any level"};
    s->dropped += t->events;
    s->read += t->lines;
    if (t->events)
        log_error("spool", "what=\"the spool is full, events %s are dropped\" file=\"%s\" events=%" PRIu64, what[step],
                  s->path, t->events);
}

static void drop_file(struct file *f)
{
    (void)unlink(f->path);
    file_close(f);
    f->done = true;
    f->acked = f->sent = f->size;
    f->ino = f->dev = 0; /* its number is given away */
}

static void thin(struct source *s, struct file *f, int step)
{
    struct buf text = BUF_INIT(FILE_MAX);
    struct thinned t = {.kept = BUF_INIT(FILE_MAX)};
    char tmp[PATH_MAX];
    const char *slash = strrchr(s->path, '/');
    size_t n = 0;
    bool there = buf_room(&text, FILE_MAX) && pread_all(f->fd, text.p, FILE_MAX, 0, &n) == 0;
    f->thinned = (uint8_t)(step + 1);
    if (there)
        go_through(s, str_n(text.p, n), severity_of[step], &t);
    bool worth = there && n - t.kept.n > n / WORTH;
    if (step == ALL) {
        drop_file(f);
        say(s, &t, step);
    } else if (worth && snprintf(tmp, sizeof tmp, "%.*s/thin.tmp", (int)(slash - s->path), s->path) < (int)sizeof tmp &&
               write_new(f, tmp, buf_view(&t.kept)) == 0) {
        open_again(f);
        say(s, &t, step);
    }
    buf_done(&text);
    buf_done(&t.kept);
}

/* ---- all of them ---- */

/* Where its name leads to another file by now, that one is let be. */
static bool untouched(const struct file *f)
{
    struct stat st;
    return f->old && f->fd >= 0 && !f->done && !f->gz && f->acked == 0 && f->sent == 0 && stat(f->path, &st) == 0 &&
           st.st_ino == f->ino && st.st_dev == f->dev;
}

static bool is_over(const struct source *s, uint64_t limit)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->n; i++)
        bytes += s->files[i]->done ? 0 : s->files[i]->size;
    return bytes > limit || spool_tight(s->path, 2 * SPOOL_LEAVES);
}

bool thin_spool(struct follow *fo, struct source *s, uint64_t limit)
{
    if (s->n < 2 || !is_over(s, limit))
        return false;
    for (int step = 0; step < STEPS; step++)
        for (size_t i = 0; i < s->n; i++)
            if (s->files[i]->thinned <= step && untouched(s->files[i])) {
                thin(s, s->files[i], step);
                fo->news = true;
                return true;
            }
    return false;
}
