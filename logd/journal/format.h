/* journal/format.h - the bytes of a journal file. Little endian, no padding, records back to back.
 *
 * File header, 64 bytes
 *    0  8  magic 89 'L' 'O' 'G' 'D' 'J' 0D 0A
 *    8  4  version, 1
 *   12  4  kind: 0 journal (`NNNNNNNN.j`), 1 what the duplicate windows still need of a removed file (`NNNNNNNN.w`)
 *   16  8  file number, the NNNNNNNN of the name
 *   24  8  seq the first record of the file has, or will have
 *   32  8  latest reception time of all files before, us since the epoch; 0: none
 *   40 16  zero
 *   56  8  xxh64 of bytes 0..55
 *
 * Record, 72 bytes and then meta and body
 *    0  8  magic FF 'L' 'R' 'E' 'C' FE 0D 0A: no byte FF or FE is in any UTF-8 text
 *    8  1  version, 1
 *    9  1  type, enum record_type
 *   10  1  flags: 1 = the request had an Idempotency-Key
 *   11  1  zero
 *   12  4  app
 *   16  8  seq
 *   24  8  reception time, us since the epoch
 *   32  4  events: lines in the body
 *   36  4  ids: how many of them carry an event_id
 *   40  4  bytes of meta
 *   44  4  bytes of body
 *   48  8  group: offset in this file where the write began that this record was part of
 *   56  8  xxh64 of the body, its seed the xxh64 of the meta
 *   64  8  xxh64 of bytes 0..63; seed: file number << 40 plus the record's own offset, so that a stale block of
 *          another file or place never passes for a record
 *   72     meta: with flag 1: 16 idem_key, 16 idem_body, 4 length of the reply, the reply;
 *          then 8 bytes for each id: its hash
 *          body: the stored lines (none in a .w file)
 *
 * Torn or corrupt  A group is written and synced as one. Where a record is bad and every later header belongs to a
 *                  group that began at or before that spot, the group's sync never returned: the file is torn there,
 *                  nothing after it was acknowledged. A later group proves the spot was synced once: it is corrupt. */
#ifndef JOURNAL_FORMAT_H
#define JOURNAL_FORMAT_H

#include "base/err.h"
#include "event/batch.h"

enum { FILE_HEADER = 64, RECORD_HEADER = 72, FORMAT_VERSION = 1 };
enum file_kind { FILE_JOURNAL = 0, FILE_WINDOW = 1 };
enum record_flag { RECORD_IDEMPOTENT = 1 };
extern const char record_magic[8];

struct file_header {
    enum file_kind kind;
    uint64_t number, first_seq;
    usec before_us; /* latest reception before this file */
};
enum header_state {
    HEADER_OK,
    HEADER_NEWER, /* ours, of a later version */
    HEADER_BAD,   /* damaged, or not ours at all */
};
void file_header_write(const struct file_header *h, char out[FILE_HEADER]);
enum header_state file_header_read(const char *p, size_t n, struct file_header *ret);

struct record_header {
    uint8_t type, flags;
    uint32_t app;
    uint64_t seq;
    usec recv_us;
    uint32_t events, ids, meta_n, body_n;
    uint64_t group;
    uint64_t payload_sum;
};
static inline uint64_t record_size(const struct record_header *h)
{
    return RECORD_HEADER + (uint64_t)h->meta_n + h->body_n;
}
uint64_t payload_sum(const char *meta, size_t meta_n, const char *body, size_t body_n);
/* `at`: the record's offset in file `number`. */
void record_header_write(const struct record_header *h, uint64_t number, uint64_t at, char out[RECORD_HEADER]);
enum header_state record_header_read(const char *p, uint64_t number, uint64_t at, struct record_header *ret);

/* What the duplicate windows learn from a record. */
struct record_meta {
    bool idempotent;
    const uint8_t *idem_key, *idem_body; /* 16 bytes each, NULL when not idempotent */
    str reply;
    const char *ids; /* h->ids hashes of 8 bytes, not aligned: meta_id */
};
size_t record_meta_size(const struct record_header *h, size_t reply_n);
/* Adds the meta of b to out: its first record_meta_size bytes. */
void record_meta_write(const struct batch *b, str reply, struct buf *out);
bool record_meta_read(const struct record_header *h, const char *meta, struct record_meta *ret) MUST_CHECK;
static inline uint64_t meta_id(const struct record_meta *m, size_t i)
{
    uint64_t v;
    memcpy(&v, m->ids + 8 * i, 8);
    return v;
}

#define JOURNAL_NAME_MAX 32
void journal_name(uint64_t number, enum file_kind kind, char out[JOURNAL_NAME_MAX]);
bool journal_name_read(const char *name, enum file_kind kind, uint64_t *ret_number) MUST_CHECK;

#endif
