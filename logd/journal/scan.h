/* journal/scan.h - reads one journal file record by record and tells good from torn from corrupt.
 *
 * The one reader of the format: start, followers, `logd debug journal` and the windows of removed files all use it.
 *
 * Owner   one thread. Memory: 256 KiB, or the largest record met; a length is believed only after its header's
 *         checksum and only inside the file. */
#ifndef JOURNAL_SCAN_H
#define JOURNAL_SCAN_H

#include "journal/format.h"

struct scan {
    int fd;                    /* owned */
    uint64_t number;           /* of the file */
    uint64_t at, end;          /* next record; where known bytes stop: the owner of a live file raises it */
    bool may_be_torn;          /* it is the last file, so its last group may never have been synced */
    int sys;                   /* errno of the last read that failed */
    uint64_t unread;           /* where the last bytes end that it could not read; 0: all could be */
    uint64_t bad_from, bad_to; /* after SCAN_CORRUPT: bytes skipped; after SCAN_TORN: bytes that were never synced */

    enum header_state header; /* of the file; HEADER_OK: `file` is set */
    struct file_header file;

    char *data; /* bytes [base, base + data_n) of the file */
    size_t data_n, data_cap;
    uint64_t base;
    size_t ahead;    /* how many bytes it reads at least, if there are; scan_open says 256 KiB */
    uint64_t proven; /* a group began here: all before it was synced */
};
struct scan_record {
    struct record_header head;
    struct record_meta meta; /* views, valid until the next call */
    str body;
    uint64_t at;
};
enum scan_result {
    SCAN_ERROR = -1, /* reading failed, a newer version, or what might be a torn end cannot be read: *e says so */
    SCAN_END,
    SCAN_RECORD,
    SCAN_CORRUPT, /* skipped bad_from..bad_to; go on */
    SCAN_TORN,    /* the file ends at bad_from */
};

/* Opens `name` in dirfd and reads its header. A header that is torn or bad is no error here: see s->header.
 * number 0: as the header says, or the name where that is damaged. */
int scan_open(struct scan *s, int dirfd, const char *name, uint64_t number, struct err *e) MUST_CHECK;
void scan_close(struct scan *s);
enum scan_result scan_next(struct scan *s, struct scan_record *ret, struct err *e) MUST_CHECK;
/* Leaves out the records whose headers say that the duplicate windows need nothing of them. Their bodies are not read, so
 * nothing is said of bodies that are damaged. */
void scan_pass_plain(struct scan *s);
/* The first valid record header of the file; false: none. Tells a damaged file from a foreign one. */
bool scan_first(struct scan *s, struct record_header *ret) MUST_CHECK;

/* Records in order of their numbers, file after file; says what is missing. {0} begins with the first file;
 * {.seq = N, .after = N, .known = true} leaves out the records up to N and misses what should follow them. */
struct walk {
    uint64_t seq;   /* of the last record */
    uint64_t after; /* records up to it are left out */
    bool known;     /* seq means something: a file was begun */
    bool bad_tail;  /* the known bytes ended in a corrupt spot, counted as one record */
};
struct gap {
    uint64_t from, to; /* bytes of the file that were skipped; equal: none, the records are just not there */
    uint64_t records;  /* how many are missing, as far as their numbers tell; 0: no gap */
};
/* A new file; the gap is what the files before lack at their end, or its damaged header. */
void walk_file(struct walk *w, struct scan *s, struct gap *ret);
/* As scan_next, with the gap before the record or the end. Never says SCAN_CORRUPT. */
enum scan_result walk_next(struct walk *w, struct scan *s, struct scan_record *ret, struct gap *ret_gap,
                           struct err *e) MUST_CHECK;

#endif
