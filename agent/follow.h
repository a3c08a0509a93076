/* agent/follow.h - files that grow: which there are, where each is read, and what of it the server has.
 *
 * A source is a path as it was found; its files are what stood there one after the other, oldest first. A file is known
 * by device and inode, and by a fingerprint (of its first KiB as far as it was seen, and of the 64 bytes before the place
 * of reading), so that a reused inode, a truncated file and a copy are told apart:
 *
 *   renamed       the old file is read to its end through its open descriptor, beside the new one
 *   copytruncate  the copy is found by fingerprint and read on from the place in the original
 *   compressed    a .gz with the fingerprint is read on; one that is newer than all known files was missed, and is read
 *   rotated twice what came between is found beside it by name (NAME.1, NAME-2026…) and age
 *
 * Two places are kept: `acked`, up to which the server has all, and `sent`, the end of the batch under way. Between
 * batches they are equal. What is read is whole lines; the last line without an end waits until its file is closed,
 * and lines that may go on (agent/join.h) for half a second.
 *
 * Owner   one thread; no locks. Time is passed in.
 * Memory  one window of LINE_MAX and 64 KiB; some 300 bytes a file and a descriptor while it is live. */
#ifndef AGENT_FOLLOW_H
#define AGENT_FOLLOW_H

#include "agent/shape.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"

#include <sys/stat.h>

struct gzFile_s;
enum {
    LINE_MAX_BYTES =
        160 << 10, /* of a line, the rest is cut and said; as an event it is below 1 MiB whatever is escaped */
    HEAD_BYTES = 1024,
    TAIL_BYTES = 64,
};
#define JOIN_QUIET (USEC_PER_SEC / 2) /* after it a line does not go on */
#define BATCH_BYTES (1u << 20)        /* a batch ends after the line that passes it */
#define BATCH_EVENTS 10000u

struct file {
    uint64_t dev, ino;
    char *path;            /* where it was last seen */
    uint64_t acked, sent;  /* offsets; of a .gz in what it holds */
    uint32_t head_n;       /* bytes of its start that were seen, up to HEAD_BYTES */
    uint64_t head, tail;   /* xxh64 of these, and of the last min(TAIL_BYTES, sent) before `sent` */
    int64_t mtime;         /* ns, when last looked at */
    uint64_t size;         /* when last looked at; of a .gz 0 */
    bool gz;               /* compressed */
    bool skip, acked_skip; /* at `sent`, at `acked`: inside of a line whose start was cut off and sent */
    bool done;             /* superseded, read to its end and closed; kept so that it is not taken for a new one */
    /* in memory only */
    char first[2];      /* bytes of it, as far as head_n goes */
    int fd;             /* -1: closed */
    struct gzFile_s *z; /* of a .gz, NULL: closed */
    bool old;           /* no longer what stands at the source's path */
    bool changed;       /* there may be something to read */
    bool closing;       /* nobody writes it any more: its last line may lack an end */
    bool replaced;      /* its bytes are not those that were read */
    uint8_t thinned;    /* of a spool: how far what it holds was let go, see thin.c */
    bool waits;         /* it was read to its end, but for lines that may go on */
    bool rested;        /* nothing came for JOIN_QUIET: they do not */
    bool was_empty;     /* or nearly so, and something happened to it */
    bool young;         /* when last looked at: another change may have left the same mtime */
    usec lost_since;    /* it was looked for and not found; 0: not so */
    usec quiet_since;   /* nothing came since */
};
struct source {
    char *path;
    struct file **files; /* oldest first; the live one, if any, is the last */
    size_t n;
    uint64_t read, sent, acked, dropped; /* lines read; events in batches, taken by the server, refused by it */
    uint64_t cut;                        /* lines that were longer than LINE_MAX_BYTES */
    uint32_t batch_first, batch_n;       /* its events in the batch under way */
    uint32_t batch_read;                 /* its lines there, blank ones too */
    struct shaper *shaper;               /* of the first pattern that matches it; NULL: none does, it is let be */
    bool fresh;                          /* never seen before this start */
    bool news;                           /* see struct follow */
    bool again;                          /* what lies beside it changed while it was looked at: since look_since */
    int64_t look_since;
};
struct follow {
    char **patterns;
    struct shaper **shapers; /* of each pattern, how its lines become events; the owner's */
    size_t patterns_n;
    struct source **sources;
    size_t n;
    struct map by_path;      /* to struct source */
    size_t next;             /* the source whose turn it is */
    size_t max_events;       /* of the batch that is being filled */
    usec stamped;            /* of the last line: lines of one moment stay in order */
    bool news;               /* a file was found that the state on disk does not know */
    usec globbed;            /* when patterns were last looked up; 0: never */
    struct source forgotten; /* sums of sources whose files are gone */
    char host[256];
    char *window; /* LINE_MAX_BYTES and 64 KiB */
};

void follow_init(struct follow *fo, char **patterns, size_t n); /* relative ones start at the working folder */
void follow_done(struct follow *fo);
struct source *follow_source(struct follow *fo, str path); /* finds or adds */
struct file *source_file(struct source *s, size_t at);     /* inserts an empty one before the at-th */
/* Looks at every file once: what appeared, grew, was renamed, truncated, removed. May be called while a batch is under
 * way; then nothing that lies in it is moved. */
void follow_scan(struct follow *fo, usec mono);
/* Appends events of whole lines, as JSON lines, until there are BATCH_BYTES or max_events; returns how many. Moves `sent`. */
uint32_t follow_fill(struct follow *fo, struct buf *body, size_t max_events);
bool follow_more(const struct follow *fo);      /* something is known to be unread */
bool follow_all_taken(const struct follow *fo); /* the servers have all bytes that are there */
/* The batch was taken, of its events `refused` were not; `refused_at` are the places of the first `n` of these. */
void follow_acked(struct follow *fo, uint64_t refused, const uint32_t *refused_at, size_t n);
void follow_unsent(struct follow *fo); /* the batch is given up: reading starts at `acked` again */

/* Nothing of it was read and hardly anything seen: what has the same few bytes or its inode may be another file. */
static inline bool is_vague(const struct file *f) { return f->sent == 0 && f->head_n < TAIL_BYTES; }

static inline int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * NSEC_PER_SEC + st->st_mtim.tv_nsec;
}

/* read.c: reading one file. */
int file_open(struct file *f, const char *path, struct stat *ret); /* -1: errno; also sets dev, ino, size, mtime */
void file_close(struct file *f);
bool file_matches(const struct file *f, int fd, bool gz); /* what was seen and read of f is in there */
bool file_ends_at(int fd, bool gz, uint64_t offset);
/* `part` is not empty and what `whole` starts with: a copy, maybe one in the making. */
bool file_starts(int whole, int part, bool gz);
bool file_young(const struct stat *st);
bool file_head(struct file *f); /* its start is what it was; takes note of more of it */
bool file_fill(struct follow *fo, struct source *s, struct file *f, struct buf *body, uint32_t *events);
void file_mark(struct follow *fo, struct file *f); /* fingerprint anew, after `sent` was moved back */

#endif
