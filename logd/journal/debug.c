/* journal/debug.c - `logd debug journal FILE`: what is in a file, without its payload, and whether it is whole. */
#include "base/clock.h"
#include "journal/journal.h"
#include "journal/scan.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct totals {
    uint64_t records, events, bytes, missing, first, last;
};

static void print_record(FILE *out, const struct scan_record *r)
{
    static const char *const types[] = {"?", "events", "stats", "action", "unique"};
    char when[TIME_TEXT_MAX];
    time_print(r->head.recv_us * NSEC_PER_USEC, 6, when);
    fprintf(out, "%10llu seq %llu %s %s app %u events %u ids %u bytes %u%s\n", (unsigned long long)r->at,
            (unsigned long long)r->head.seq, when, types[r->head.type < LENGTH(types) ? r->head.type : 0], r->head.app,
            r->head.events, r->head.ids, r->head.body_n, r->meta.idempotent ? " idempotent" : "");
}

static int print_header(FILE *out, struct scan *s, const char *path, struct err *e)
{
    struct record_header first;
    if (s->header == HEADER_NEWER)
        return err_set(e, ERR_CORRUPT, "'%s' was written by a newer logd: this one reads version %d", path,
                       FORMAT_VERSION);
    if (s->header == HEADER_BAD && !scan_first(s, &first))
        return err_set(e, ERR_CORRUPT, "'%s' is not a journal file", path);
    if (s->header == HEADER_OK)
        fprintf(out, "%s file %llu, first seq %llu\n", s->file.kind == FILE_WINDOW ? "windows" : "journal",
                (unsigned long long)s->file.number, (unsigned long long)s->file.first_seq);
    return 0;
}

static void print_gap(FILE *out, const struct gap *g, struct totals *t)
{
    if (g->records)
        fprintf(out, "%10llu CORRUPT up to %llu, %llu records missing\n", (unsigned long long)g->from,
                (unsigned long long)g->to, (unsigned long long)g->records);
    t->missing += g->records;
}

static int print_records(FILE *out, struct scan *s, struct totals *t, struct err *e)
{
    struct walk w = {0};
    struct scan_record r;
    struct gap gap;
    enum scan_result rc;
    walk_file(&w, s, &gap);
    print_gap(out, &gap, t);
    while ((rc = walk_next(&w, s, &r, &gap, e)) == SCAN_RECORD) {
        if (s->file.kind == FILE_JOURNAL) /* a .w file leaves records out */
            print_gap(out, &gap, t);
        print_record(out, &r);
        t->first = t->first ? t->first : r.head.seq;
        t->last = r.head.seq;
        t->records++;
        t->events += r.head.events;
        t->bytes += r.head.body_n;
    }
    if (rc == SCAN_ERROR)
        return -1;
    print_gap(out, &gap, t);
    if (rc == SCAN_TORN)
        fprintf(out, "%10llu TORN: %llu bytes were never synced, the next start cuts them off\n",
                (unsigned long long)s->bad_from, (unsigned long long)(s->bad_to - s->bad_from));
    return 0;
}

int journal_debug(const char *path, FILE *out, struct err *e)
{
    struct scan s;
    struct totals t = {0};
    if (scan_open(&s, AT_FDCWD, path, 0, e) < 0)
        return -1;
    s.may_be_torn = true;
    int rc = print_header(out, &s, path, e);
    if (rc == 0)
        rc = print_records(out, &s, &t, e);
    scan_close(&s);
    if (rc < 0)
        return -1;
    fprintf(out, "%llu records, seq %llu to %llu, %llu events, %llu bytes of events: %s\n",
            (unsigned long long)t.records, (unsigned long long)t.first, (unsigned long long)t.last,
            (unsigned long long)t.events, (unsigned long long)t.bytes, t.missing ? "CORRUPT" : "whole");
    if (t.missing)
        return err_set(e, ERR_CORRUPT, "'%s': %llu records are missing", path, (unsigned long long)t.missing);
    return 0;
}
