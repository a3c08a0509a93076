/* journal/release.c - lets journal files go that nobody needs any more, and keeps what the duplicate windows need.
 *
 * NNNNNNNN.j becomes NNNNNNNN.w: the same records without their bodies, and only those with an event_id or an
 * Idempotency-Key. A few bytes an event, kept for as long as the windows look back, and read at start by the same
 * function. The .w is durable before the .j goes; files go one by one, oldest first, each removal synced, so that no
 * crash leaves a hole in the middle.
 *
 * Owner   any thread, one at a time (j->releasing). The journal goes on meanwhile. */
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "journal/internal.h"
#include "journal/scan.h"

#include <fcntl.h>
#include <unistd.h>

enum {
    WFILES_MAX = 1 << 30, /* bytes of all .w files; past it the oldest goes and the window begins later */
    AHEAD = 4096,         /* most records are passed over by their header */
};

static void strip_record(const struct scan_record *r, uint64_t number, struct buf *out)
{
    char header[RECORD_HEADER];
    struct record_header h = r->head;
    const char *meta = r->body.p - h.meta_n; /* the body follows its meta */
    h.body_n = 0;
    h.group = out->n;
    h.payload_sum = payload_sum(meta, h.meta_n, meta, 0);
    record_header_write(&h, number, out->n, header);
    buf_add(out, header, sizeof header);
    buf_add(out, meta, h.meta_n);
}

/* What the windows need of the file. A corrupt record is left out: it was noted when it was first met. */
static int strip(struct journal *j, const struct jfile *f, struct buf *out, struct err *e)
{
    char name[JOURNAL_NAME_MAX], header[FILE_HEADER];
    struct scan s;
    struct scan_record r;
    enum scan_result rc;
    journal_name(f->number, FILE_JOURNAL, name);
    if (scan_open(&s, j->dirfd, name, f->number, e) < 0)
        return -1;
    usec before = s.header == HEADER_OK ? s.file.before_us : f->recv_us; /* unknown: claim no more than is sure */
    struct file_header h = {FILE_WINDOW, f->number, f->first_seq, before};
    file_header_write(&h, header);
    buf_add(out, header, sizeof header);
    s.ahead = AHEAD;
    (void)posix_fadvise(s.fd, 0, 0, POSIX_FADV_RANDOM);
    do {
        scan_pass_plain(&s);
        if ((rc = scan_next(&s, &r, e)) == SCAN_RECORD && (r.head.ids || r.meta.idempotent))
            strip_record(&r, f->number, out);
    } while (rc == SCAN_RECORD || rc == SCAN_CORRUPT);
    scan_close(&s);
    if (out->full)
        return err_set(e, ERR_FULL, "what the windows need of journal file %s does not fit in memory", name);
    return rc == SCAN_ERROR ? -1 : 0;
}

static int remove_file(struct journal *j, uint64_t number, enum file_kind kind, struct err *e)
{
    char name[JOURNAL_NAME_MAX];
    journal_name(number, kind, name);
    if (unlinkat(j->dirfd, name, 0) < 0)
        return err_sys(e, "remove '%s/%s'", j->dir, name);
    if (fsync(j->dirfd) < 0)
        return err_sys(e, "sync folder '%s'", j->dir);
    return 0;
}

/* The first file, when all its records are at or before seq and it is not written to. */
static bool find_releasable(struct journal *j, uint64_t seq, struct jfile *ret)
{
    pthread_mutex_lock(&j->lock);
    bool found = j->file_n > 1 && j->file[0].last_seq <= seq;
    if (found)
        *ret = j->file[0];
    pthread_mutex_unlock(&j->lock);
    return found;
}

static int release_file(struct journal *j, const struct jfile *f, struct err *e)
{
    char name[JOURNAL_NAME_MAX];
    struct buf out = BUF_INIT((size_t)f->size + FILE_HEADER);
    journal_name(f->number, FILE_WINDOW, name);
    int rc = strip(j, f, &out, e);
    if (rc == 0)
        rc = file_replace(j->dirfd, name, buf_view(&out), 0640, e);
    if (rc == 0)
        rc = remove_file(j, f->number, FILE_JOURNAL, e);
    if (rc == 0) {
        pthread_mutex_lock(&j->lock);
        memmove(j->file, j->file + 1, --j->file_n * sizeof *j->file);
        j->wfile = xrealloc(j->wfile, (j->wfile_n + 1) * sizeof *j->wfile);
        j->wfile[j->wfile_n++] = (struct wfile){f->number, out.n, f->recv_us};
        pthread_mutex_unlock(&j->lock);
    }
    buf_done(&out);
    return rc;
}

/* The oldest .w file, when it is past the window or there are too many bytes of them. */
static bool find_old(struct journal *j, struct wfile *ret)
{
    uint64_t sum = 0;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->wfile_n; i++)
        sum += j->wfile[i].size;
    bool old = j->wfile_n > 0 &&
               (sum > WFILES_MAX || j->wfile[0].recv_us + j->config.window + USEC_PER_SEC < j->stats.last_recv_us);
    if (old)
        *ret = j->wfile[0];
    pthread_mutex_unlock(&j->lock);
    return old;
}

int journal_release(struct journal *j, uint64_t seq, struct err *e)
{
    struct jfile f;
    struct wfile w;
    int rc = 0;
    pthread_mutex_lock(&j->releasing);
    while (rc == 0 && find_releasable(j, seq, &f))
        rc = release_file(j, &f, e);
    while (rc == 0 && find_old(j, &w)) {
        rc = remove_file(j, w.number, FILE_WINDOW, e);
        if (rc == 0) {
            pthread_mutex_lock(&j->lock);
            memmove(j->wfile, j->wfile + 1, --j->wfile_n * sizeof *j->wfile);
            pthread_mutex_unlock(&j->lock);
        }
    }
    pthread_mutex_unlock(&j->releasing);
    return rc;
}
