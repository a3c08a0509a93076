#include "journal/scan.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 256 << 10, SECTOR = 4096 };

/* A sector the disk cannot read is filled in, so it costs the record it is in and not the file. Not with zeros: those
 * are what was never written. */
static int read_bytes(struct scan *s, char *p, size_t n, uint64_t offset)
{
    size_t got;
    if (pread_all(s->fd, p, n, offset, &got) == 0) {
        memset(p + got, 0, n - got); /* the file became shorter than we were told */
        return 0;
    }
    s->sys = errno;
    s->unread = offset + n;
    if (s->sys != EIO)
        return -1;
    for (size_t i = 0, step; i < n; i += step) {
        step = SECTOR - (offset + i) % SECTOR;
        if (step > n - i)
            step = n - i;
        if (pread_all(s->fd, p + i, step, offset + i, &got) < 0) {
            s->unread = offset + i + step;
            got = 0;
        }
        memset(p + i + got, 0xEE, step - got);
    }
    return 0;
}

/* The bytes at `at`, at least `min` of them, contiguous in memory; at + min is not past s->end. NULL: reading failed. */
static const char *view(struct scan *s, uint64_t at, size_t min, size_t *ret_n)
{
    assert(at + min <= s->end);
    if (at < s->base || at + min > s->base + s->data_n) {
        uint64_t left = s->end - at;
        size_t want = min > s->ahead ? min : left > s->ahead ? s->ahead : (size_t)left;
        size_t cap = want > CHUNK ? want : CHUNK;
        if (cap > s->data_cap || s->data_cap / 16 > cap) { /* one huge record does not keep its memory for ever */
            free(s->data);
            s->data = xmalloc(s->data_cap = cap);
        }
        s->data_n = 0;
        if (read_bytes(s, s->data, want, at) < 0)
            return NULL;
        s->base = at;
        s->data_n = want;
    }
    *ret_n = (size_t)(s->base + s->data_n - at);
    return s->data + (at - s->base);
}

int scan_open(struct scan *s, int dirfd, const char *name, uint64_t number, struct err *e)
{
    struct stat st;
    size_t n = 0;
    const char *p;
    *s = (struct scan){.number = number, .at = FILE_HEADER, .ahead = CHUNK};
    s->fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0)
        return err_sys(e, "open '%s'", name);
    if (fstat(s->fd, &st) < 0) {
        err_sys(e, "stat '%s'", name);
        goto fail;
    }
    s->end = (uint64_t)st.st_size;
    p = s->end == 0 ? "" : view(s, 0, s->end < FILE_HEADER ? (size_t)s->end : FILE_HEADER, &n);
    if (!p) {
        err_sys(e, "read '%s'", name);
        goto fail;
    }
    s->header = file_header_read(p, n, &s->file);
    const char *base = strrchr(name, '/');
    if (number == 0 && s->header == HEADER_OK)
        s->number = s->file.number;
    else if (number == 0 && !journal_name_read(base ? base + 1 : name, FILE_JOURNAL, &s->number))
        s->number = 0;
    else if (number && s->header == HEADER_OK && number != s->file.number)
        s->header = HEADER_BAD; /* renamed by hand: its records would not check either */
    return 0;
fail:
    scan_close(s);
    return -1;
}

void scan_close(struct scan *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->data);
    *s = (struct scan){.fd = -1};
}

/* 1: a whole, valid record is at `at`; 0: there is none; -1: reading failed. */
static int record_at(struct scan *s, uint64_t at, struct scan_record *ret, struct err *e)
{
    size_t n;
    struct record_header h;
    if (at + RECORD_HEADER > s->end)
        return 0;
    const char *p = view(s, at, RECORD_HEADER, &n);
    if (!p)
        return err_sys(e, "read journal file %llu", (unsigned long long)s->number);
    enum header_state state = record_header_read(p, s->number, at, &h);
    if (state == HEADER_NEWER)
        return err_set(e, ERR_CORRUPT, "journal file %llu, offset %llu: record version %u, this logd reads up to %d",
                       (unsigned long long)s->number, (unsigned long long)at, (uint8_t)p[8], FORMAT_VERSION);
    if (state != HEADER_OK || record_size(&h) > s->end - at)
        return 0;
    p = view(s, at, (size_t)record_size(&h), &n);
    if (!p)
        return err_sys(e, "read journal file %llu", (unsigned long long)s->number);
    p += RECORD_HEADER;
    *ret = (struct scan_record){.head = h, .body = {p + h.meta_n, h.body_n}, .at = at};
    return payload_sum(p, h.meta_n, p + h.meta_n, h.body_n) == h.payload_sum && record_meta_read(&h, p, &ret->meta);
}

/* The first valid record header at or after `from`; false: none, *ret_at is the end. */
static bool next_header(struct scan *s, uint64_t from, uint64_t *ret_at, struct record_header *ret)
{
    while (from + RECORD_HEADER <= s->end) {
        size_t n;
        const char *p = view(s, from, RECORD_HEADER, &n);
        if (!p)
            break; /* scan_next sees s->unread */
        const char *hit = memmem(p, n, record_magic, sizeof record_magic);
        from += hit ? (uint64_t)(hit - p) : n - (sizeof record_magic - 1);
        if (!hit || from + RECORD_HEADER > s->end)
            continue;
        p = view(s, from, RECORD_HEADER, &n);
        if (!p)
            break;
        if (record_header_read(p, s->number, from, ret) == HEADER_OK) {
            *ret_at = from;
            return true;
        }
        from++;
    }
    *ret_at = s->end;
    return false;
}

bool scan_first(struct scan *s, struct record_header *ret)
{
    uint64_t at;
    return next_header(s, FILE_HEADER, &at, ret);
}

/* Was the bad spot synced once? A group that began after it proves so: groups are synced one after the other. */
static bool was_synced(struct scan *s, uint64_t spot)
{
    struct record_header h;
    for (uint64_t at = spot; s->proven <= spot && next_header(s, at + 1, &at, &h);)
        if (h.group > spot)
            s->proven = h.group;
    return s->proven > spot;
}

enum scan_result scan_next(struct scan *s, struct scan_record *ret, struct err *e)
{
    struct record_header h;
    if (s->at >= s->end)
        return SCAN_END;
    int ok = record_at(s, s->at, ret, e);
    if (ok < 0)
        return SCAN_ERROR;
    if (ok) {
        s->at += record_size(&ret->head);
        return SCAN_RECORD;
    }
    s->bad_from = s->at;
    bool torn = s->may_be_torn && !was_synced(s, s->bad_from);
    if (torn)
        s->at = s->end;
    else
        (void)next_header(s, s->bad_from + 1, &s->at, &h);
    if (s->unread > s->bad_from && (torn || s->sys != EIO)) { /* judged without having seen all of it */
        errno = s->sys;
        return err_sys(e, "read journal file %llu", (unsigned long long)s->number);
    }
    s->bad_to = s->at;
    return torn ? SCAN_TORN : SCAN_CORRUPT;
}

void scan_pass_plain(struct scan *s)
{
    struct record_header h;
    size_t n;
    while (s->at + RECORD_HEADER <= s->end) {
        const char *p = view(s, s->at, RECORD_HEADER, &n);
        if (!p || record_header_read(p, s->number, s->at, &h) != HEADER_OK || h.ids || h.flags & RECORD_IDEMPOTENT ||
            record_size(&h) > s->end - s->at)
            return; /* scan_next says what it is */
        s->at += record_size(&h);
    }
}

void walk_file(struct walk *w, struct scan *s, struct gap *ret)
{
    struct record_header h;
    uint64_t first = w->seq + 1;
    *ret = (struct gap){0};
    if (s->header == HEADER_OK)
        first = s->file.first_seq;
    else if (!w->known && scan_first(s, &h))
        first = h.seq;
    if (s->header != HEADER_OK)
        *ret = (struct gap){0, FILE_HEADER, 1};
    if (w->known && first > w->seq + 1 + w->bad_tail)
        ret->records = first - w->seq - 1 - w->bad_tail;
    if (!w->known || first > w->seq + 1)
        w->seq = first - 1;
    w->known |= s->header == HEADER_OK || first > 1;
    w->bad_tail = false;
}

/* What is missing before record `seq`, when the spot g was skipped on the way to it. */
static void gap_before(struct walk *w, uint64_t seq, uint64_t at, struct gap *g)
{
    uint64_t missing = seq - w->seq - 1;
    if (missing > 0 && g->records == 0)
        g->from = g->to = at;
    if (missing > 0)
        g->records = missing > w->bad_tail ? missing - w->bad_tail : 0;
    else if (w->seq == w->after && w->after > 0)
        g->records = 0; /* the spot lies among records that are left out */
    w->bad_tail = false;
    w->seq = seq;
    w->known = true;
}

enum scan_result walk_next(struct walk *w, struct scan *s, struct scan_record *ret, struct gap *ret_gap, struct err *e)
{
    for (*ret_gap = (struct gap){0};;) {
        enum scan_result rc = scan_next(s, ret, e);
        if (rc == SCAN_RECORD && ret->head.seq <= w->after)
            continue;
        bool taken = rc == SCAN_RECORD && ret->head.seq <= w->seq; /* numbers never go back: not of this journal */
        if (rc == SCAN_CORRUPT || taken) {
            uint64_t from = taken ? ret->at : s->bad_from;
            *ret_gap = (struct gap){ret_gap->records ? ret_gap->from : from, s->at, 1};
            continue;
        }
        if (rc == SCAN_RECORD)
            gap_before(w, ret->head.seq, ret->at, ret_gap);
        else
            w->bad_tail |= ret_gap->records > 0;
        return rc;
    }
}
