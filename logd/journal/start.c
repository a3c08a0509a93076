/* journal/start.c - from what a crash left to a journal that can be written to.
 *
 *   1. `.w` files, then `.j` files, in order of their numbers: every record's meta goes into the windows.
 *   2. The last file is synced and its pages are dropped from the cache first, so that what is read is what the disk
 *      holds: after a failed fsync the cache may keep pages that never reached it.
 *   3. A torn end is cut off and the cut synced. Nothing of it was acknowledged.
 *   4. File, folder and the folder's own name are synced: what a follower will read now cannot vanish any more. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "journal/internal.h"
#include "journal/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int journal_numbers(const char *dir, enum file_kind kind, uint64_t **ret, size_t *ret_n, struct err *e)
{
    char **names;
    size_t n, found = 0;
    if (dir_list(dir, &names, &n, e) < 0)
        return -1;
    uint64_t *numbers = xcalloc(n + 1, sizeof *numbers);
    for (size_t i = 0; i < n; i++) /* eight digits: the order of names is the order of numbers */
        found += journal_name_read(names[i], kind, &numbers[found]);
    dir_list_free(names, n);
    *ret = numbers;
    *ret_n = found;
    return 0;
}

void journal_learn(struct windows *w, const struct record_header *h, const struct record_meta *m)
{
    if (!m->idempotent && h->ids == 0)
        return;
    struct window *a = windows_app(w, h->app);
    if (m->idempotent)
        window_add_key(a, m->idem_key, m->idem_body, m->reply, h->recv_us);
    for (size_t i = 0; i < h->ids; i++)
        window_add_id(a, meta_id(m, i), h->recv_us);
}

static void add_file(struct journal *j, struct jfile f)
{
    j->file = xrealloc(j->file, (j->file_n + 1) * sizeof *j->file);
    j->file[j->file_n++] = f;
}

static void add_wfile(struct journal *j, struct wfile f)
{
    j->wfile = xrealloc(j->wfile, (j->wfile_n + 1) * sizeof *j->wfile);
    j->wfile[j->wfile_n++] = f;
}

static void note(struct journal *j, uint64_t number, const struct gap *g)
{
    if (g->records)
        journal_note_corrupt(j, number, g->from, g->to, g->records);
}

/* Reads all records of s into the windows. *ret_torn: where the file must be cut, 0: nowhere. */
static int read_records(struct journal *j, struct walk *w, struct scan *s, uint64_t *ret_torn, struct err *e)
{
    struct scan_record r;
    struct gap gap;
    enum scan_result rc;
    while ((rc = walk_next(w, s, &r, &gap, e)) == SCAN_RECORD) {
        if (s->file.kind == FILE_JOURNAL) /* a .w file leaves records out */
            note(j, s->number, &gap);
        if (r.head.type == RECORD_UNIQUE)
            j->found_unique = r.head.seq;
        j->recv_us = r.head.recv_us > j->recv_us ? r.head.recv_us : j->recv_us;
        journal_learn(j->windows, &r.head, &r.meta);
    }
    if (rc != SCAN_ERROR)
        note(j, s->number, &gap);
    *ret_torn = rc == SCAN_TORN ? s->bad_from : 0;
    return rc == SCAN_ERROR ? -1 : 0;
}

/* What was received before the first file is unknown; a later header only repeats what was read. */
static void begin_file(struct journal *j, const struct scan *s)
{
    if (s->header != HEADER_OK)
        return;
    if (j->file_n == 0 && j->wfile_n == 0)
        j->known_from = s->file.before_us;
    if (s->file.before_us > j->recv_us)
        j->recv_us = s->file.before_us;
}

static int read_wfile(struct journal *j, uint64_t number, struct err *e)
{
    char name[JOURNAL_NAME_MAX];
    struct scan s;
    struct walk w = {0}; /* its own: a .w file leaves records out */
    uint64_t torn;
    journal_name(number, FILE_WINDOW, name);
    if (scan_open(&s, j->dirfd, name, number, e) < 0)
        return -1;
    if (s.header != HEADER_OK || s.file.kind != FILE_WINDOW)
        journal_note_corrupt(j, number, 0, FILE_HEADER, 1);
    s.file.kind = FILE_WINDOW;
    begin_file(j, &s);
    int rc = read_records(j, &w, &s, &torn, e);
    add_wfile(j, (struct wfile){number, s.end, j->recv_us});
    scan_close(&s);
    return rc;
}

/* Sync first, then read from the disk itself: the comment on top says why. */
static int settle(struct journal *j, const char *name, struct err *e)
{
    int fd = openat(j->dirfd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "open '%s/%s' for writing", j->dir, name);
    if (fdatasync(fd) < 0) {
        err_sys(e, "sync '%s/%s'", j->dir, name);
        close(fd);
        return -1;
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* a hint: some file systems have no cache to drop */
    return fd;
}

static int refuse_header(struct journal *j, const char *name, const struct scan *s, struct err *e)
{
    if (s->unread) {
        errno = s->sys;
        return err_sys(e, "read '%s/%s'", j->dir, name);
    }
    if (s->header == HEADER_NEWER)
        return err_set(e, ERR_CORRUPT, "'%s/%s' was written by a newer logd: this one reads version %d", j->dir, name,
                       FORMAT_VERSION);
    return err_set(e, ERR_CORRUPT, "'%s/%s' is not a journal file: move it out of the folder", j->dir, name);
}

static int cut(struct journal *j, int fd, const char *name, uint64_t at, uint64_t end, struct err *e)
{
    log_warn("journal", "what=\"cut a torn end\" file=%s offset=%llu bytes=%llu", name, (unsigned long long)at,
             (unsigned long long)(end - at));
    j->stats.torn_bytes += end - at;
    if (ftruncate(fd, (off_t)at) < 0 || fdatasync(fd) < 0)
        return err_sys(e, "cut '%s/%s' at %llu", j->dir, name, (unsigned long long)at);
    return 0;
}

static bool foreign(struct scan *s)
{
    struct record_header first;
    if (s->header == HEADER_OK)
        return s->file.kind != FILE_JOURNAL;
    return s->header == HEADER_NEWER || (s->header == HEADER_BAD && !scan_first(s, &first));
}

static int read_jfile(struct journal *j, struct walk *w, uint64_t number, bool last, struct err *e)
{
    char name[JOURNAL_NAME_MAX];
    struct scan s;
    struct gap gap;
    uint64_t torn;
    journal_name(number, FILE_JOURNAL, name);
    int rc = -1, fd = last ? settle(j, name, e) : -1;
    if ((last && fd < 0) || scan_open(&s, j->dirfd, name, number, e) < 0)
        goto out_fd;
    s.may_be_torn = last;
    if (foreign(&s)) {
        refuse_header(j, name, &s, e);
        goto out;
    }
    begin_file(j, &s);
    walk_file(w, &s, &gap);
    note(j, number, &gap);
    struct jfile f = {.number = number, .first_seq = w->seq + 1};
    if (read_records(j, w, &s, &torn, e) < 0 || (torn && cut(j, fd, name, torn, s.end, e) < 0))
        goto out;
    f.last_seq = j->seq = w->seq;
    f.size = torn ? torn : s.end;
    f.recv_us = j->recv_us;
    add_file(j, f);
    if (last) {
        j->fd = fd;
        j->number = number;
        j->end = f.size;
        fd = -1;
    }
    rc = 0;
out:
    scan_close(&s);
out_fd:
    if (fd >= 0)
        close(fd);
    return rc;
}

static bool among(uint64_t number, const uint64_t *numbers, size_t n)
{
    while (n > 0)
        if (numbers[--n] == number)
            return true;
    return false;
}

static int read_files(struct journal *j, struct err *e)
{
    struct walk walk = {0};
    uint64_t *w, *f = NULL;
    size_t w_n, f_n;
    int rc = -1;
    if (journal_numbers(j->dir, FILE_WINDOW, &w, &w_n, e) < 0)
        return -1;
    if (journal_numbers(j->dir, FILE_JOURNAL, &f, &f_n, e) < 0)
        goto out;
    for (size_t i = 0; i < w_n; i++) /* where both exist, removing the journal file was cut short */
        if (!among(w[i], f, f_n) && read_wfile(j, w[i], e) < 0)
            goto out;
    for (size_t i = 0; i < f_n; i++)
        if (read_jfile(j, &walk, f[i], i + 1 == f_n, e) < 0)
            goto out;
    rc = 0;
out:
    free(w);
    free(f);
    return rc;
}

int journal_roll(struct journal *j, struct err *e)
{
    char name[JOURNAL_NAME_MAX], header[FILE_HEADER];
    uint64_t last_w = j->fd < 0 && j->wfile_n ? j->wfile[j->wfile_n - 1].number : 0,
             number = (j->number > last_w ? j->number : last_w) + 1;
    file_header_write(&(struct file_header){FILE_JOURNAL, number, j->seq + 1, j->recv_us}, header);
    journal_name(number, FILE_JOURNAL, name);
    if (file_replace(j->dirfd, name, str_n(header, FILE_HEADER), 0640, e) < 0)
        return err_wrap(e, "in '%s'", j->dir);
    int fd = openat(j->dirfd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "open '%s/%s'", j->dir, name);
    if (j->fd >= 0)
        close(j->fd); /* synced with its last group */
    j->fd = fd;
    j->number = number;
    j->end = FILE_HEADER;
    pthread_mutex_lock(&j->lock);
    add_file(j, (struct jfile){number, j->seq + 1, j->seq, FILE_HEADER, j->recv_us});
    pthread_cond_broadcast(&j->synced);
    pthread_mutex_unlock(&j->lock);
    return 0;
}

/* The folder's own name is durable too: an acknowledged batch must not go with the folder it is in. */
static int sync_parent(const char *dir, struct err *e)
{
    char *up = NULL;
    if (asprintf(&up, "%s/..", dir) < 0)
        abort();
    int rc = dir_sync(up, e);
    free(up);
    return rc;
}

int journal_start(struct journal *j, struct err *e)
{
    uint64_t seq;
    if (dir_make(j->dir, e) < 0 || sync_parent(j->dir, e) < 0 || (j->dirfd = dir_open(j->dir, e)) < 0 ||
        read_files(j, e) < 0)
        return -1;
    if (fsync(j->dirfd) < 0)
        return err_sys(e, "sync folder '%s'", j->dir);
    seq = j->seq;
    if (j->config.after_seq > seq) {
        if (j->file_n > 0)
            journal_note_corrupt(j, j->number, j->end, j->end, j->config.after_seq - seq);
        j->seq = j->config.after_seq;
    }
    if ((j->file_n == 0 || j->seq > seq) && journal_roll(j, e) < 0)
        return -1;
    j->stats.first_seq = j->file[0].first_seq;
    j->stats.last_seq = j->seq;
    j->stats.last_recv_us = j->recv_us;
    return 0;
}
