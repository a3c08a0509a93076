/* journal/reader.c - records in order, for a live follower and for whoever looks at files of a server that is down. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "journal/internal.h"
#include "journal/scan.h"

#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

struct journal_reader {
    struct journal *j; /* NULL: reads files that nobody writes to */
    char *dir;
    int dirfd;
    uint64_t *number;      /* path only: the files, in order */
    size_t number_n, next; /* next one to open */
    char *only;            /* path only: the one file, NULL: all of the folder */
    struct jfile begun;    /* live: the last file, and its size, when the reader was opened */

    bool open; /* scan is */
    struct scan scan;
    struct walk walk;
    uint64_t corrupt;
    atomic_bool stop;
};

static struct journal_reader *reader_new(const char *dir, uint64_t after)
{
    struct journal_reader *r = xcalloc(1, sizeof *r);
    r->dir = xstrdup(dir);
    r->walk = (struct walk){.seq = after, .after = after, .known = after > 0};
    r->dirfd = -1;
    return r;
}

int journal_reader_open(struct journal *j, uint64_t after, struct journal_reader **ret, struct err *e)
{
    struct journal_reader *r = reader_new(j->dir, after);
    r->j = j;
    r->dirfd = dir_open(j->dir, e);
    if (r->dirfd < 0) {
        journal_reader_close(r);
        return -1;
    }
    pthread_mutex_lock(&j->lock);
    r->begun = j->file[j->file_n - 1];
    pthread_mutex_unlock(&j->lock);
    *ret = r;
    return 0;
}

static struct journal_reader *reader_of_file(const char *path, uint64_t after)
{
    char *for_dir = xstrdup(path), *for_base = xstrdup(path);
    struct journal_reader *r = reader_new(dirname(for_dir), after);
    r->only = xstrdup(basename(for_base));
    r->number = xcalloc(1, sizeof *r->number);
    r->number_n = 1;
    free(for_dir);
    free(for_base);
    return r;
}

int journal_reader_open_path(const char *path, uint64_t after, struct journal_reader **ret, struct err *e)
{
    struct stat st;
    struct journal_reader *r;
    if (stat(path, &st) < 0)
        return err_sys(e, "open '%s'", path);
    if (S_ISDIR(st.st_mode)) {
        r = reader_new(path, after);
        if (journal_numbers(path, FILE_JOURNAL, &r->number, &r->number_n, e) < 0)
            goto fail;
    } else {
        r = reader_of_file(path, after);
    }
    r->dirfd = dir_open(r->dir, e);
    if (r->dirfd < 0)
        goto fail;
    *ret = r;
    return 0;
fail:
    journal_reader_close(r);
    return -1;
}

void journal_reader_close(struct journal_reader *r)
{
    if (!r)
        return;
    if (r->open)
        scan_close(&r->scan);
    if (r->dirfd >= 0)
        close(r->dirfd);
    free(r->number);
    free(r->only);
    free(r->dir);
    free(r);
}

void journal_reader_stop(struct journal_reader *r)
{
    atomic_store(&r->stop, true);
    if (!r->j)
        return;
    pthread_mutex_lock(&r->j->lock);
    pthread_cond_broadcast(&r->j->synced);
    pthread_mutex_unlock(&r->j->lock);
}

uint64_t journal_reader_corrupt(const struct journal_reader *r) { return r->corrupt; }

static void note(struct journal_reader *r, const struct gap *g)
{
    if (g->records == 0)
        return;
    r->corrupt += g->records;
    if (r->j)
        journal_note_corrupt(r->j, r->scan.number, g->from, g->to, g->records);
    else
        log_warn("journal", "what=\"corrupt, skipped\" file=%08llu.j from=%llu to=%llu missing_records=%llu",
                 (unsigned long long)r->scan.number, (unsigned long long)g->from, (unsigned long long)g->to,
                 (unsigned long long)g->records);
}

static int open_file(struct journal_reader *r, const char *name, uint64_t number, struct err *e)
{
    struct gap gap;
    if (r->open)
        scan_close(&r->scan);
    r->open = false;
    if (scan_open(&r->scan, r->dirfd, name, number, e) < 0)
        return err_wrap(e, "in '%s'", r->dir);
    r->open = true;
    if (r->scan.header == HEADER_NEWER)
        return err_set(e, ERR_CORRUPT, "'%s/%s' was written by a newer logd: this one reads version %d", r->dir, name,
                       FORMAT_VERSION);
    walk_file(&r->walk, &r->scan, &gap);
    note(r, &gap);
    return 0;
}

/* Live, under the lock: the part of the files that comes next. */
static bool find_more(const struct journal_reader *r, struct jfile *ret)
{
    const struct journal *j = r->j;
    for (size_t i = 0; i < j->file_n; i++) {
        const struct jfile *f = &j->file[i];
        bool want = f->number > r->scan.number;
        if (!r->open)
            want = i + 1 == j->file_n || f->last_seq > r->walk.after;
        else if (f->number == r->scan.number)
            want = f->size > r->scan.end;
        if (!want)
            continue;
        *ret = *f;
        return true;
    }
    return false;
}

/* Whoever follows is the last to read what is new: its pages make room for the next ones, which costs less than as many
 * more of them. What was there at the start has other readers. */
static void drop_pages(const struct journal_reader *r)
{
    const struct scan *s = &r->scan;
    uint64_t from = s->number == r->begun.number ? r->begun.size : 0;
    if (r->open && s->number >= r->begun.number && s->end > from)
        (void)posix_fadvise(s->fd, (off_t)from, (off_t)(s->end - from), POSIX_FADV_DONTNEED);
}

static int more_live(struct journal_reader *r, usec until, struct err *e)
{
    struct journal *j = r->j;
    char name[JOURNAL_NAME_MAX];
    struct jfile f;
    struct timespec at = {until / USEC_PER_SEC, until % USEC_PER_SEC * 1000};
    bool more;
    pthread_mutex_lock(&j->lock);
    while (!(more = find_more(r, &f)) && !atomic_load(&r->stop) && clock_mono() < until)
        pthread_cond_timedwait(&j->synced, &j->lock, &at);
    pthread_mutex_unlock(&j->lock);
    if (!more)
        return 0;
    drop_pages(r);
    journal_name(f.number, FILE_JOURNAL, name);
    if (!(r->open && f.number == r->scan.number) && open_file(r, name, f.number, e) < 0)
        return -1;
    r->scan.end = f.size; /* all of it is synced */
    return 1;
}

static int more_path(struct journal_reader *r, struct err *e)
{
    char name[JOURNAL_NAME_MAX];
    if (r->next == r->number_n)
        return 0;
    journal_name(r->number[r->next], FILE_JOURNAL, name);
    if (open_file(r, r->only ? r->only : name, r->number[r->next], e) < 0)
        return -1;
    r->scan.may_be_torn = ++r->next == r->number_n;
    return 1;
}

int journal_reader_next(struct journal_reader *r, usec wait, struct record *ret, struct err *e)
{
    usec until = wait < 0 ? INT64_MAX / 2 : clock_mono() + wait;
    struct scan_record s;
    struct gap gap;
    while (!atomic_load(&r->stop)) {
        enum scan_result rc = r->open ? walk_next(&r->walk, &r->scan, &s, &gap, e) : SCAN_END;
        if (rc == SCAN_ERROR)
            return -1;
        if (r->open)
            note(r, &gap);
        if (rc == SCAN_RECORD) {
            *ret = (struct record){.type = (enum record_type)s.head.type,
                                   .app = s.head.app,
                                   .seq = s.head.seq,
                                   .recv_us = s.head.recv_us,
                                   .events = s.head.events,
                                   .body = s.body};
            return 1;
        }
        int more = r->j ? more_live(r, until, e) : more_path(r, e);
        if (more <= 0)
            return more;
    }
    return 0;
}
