/* archive/manifest.h - the list of what an archive holds: manifest.json.
 *
 *   {"format":1,"lineage":"…","generation":3,"position":812,
 *    "objects":[{"name":"events/app=shop/date=2026-11-25/1-800.ndjson.zst","kind":"events","bytes":…,"sha256":"…",
 *                "first":1,"last":800,"events":1200}, …]}
 *
 * kinds: events (first-last: the segment's records), journal (file, offset: bytes of that journal file; first-last: the
 * records it may hold), state (file: its name in the data folder; last: the fold's position in it).
 * Owner   one thread. */
#ifndef ARCHIVE_MANIFEST_H
#define ARCHIVE_MANIFEST_H

#include "base/buf.h"
#include "base/err.h"

enum object_kind { OBJECT_EVENTS, OBJECT_JOURNAL, OBJECT_STATE };
struct object {
    char *name;
    enum object_kind kind;
    uint64_t bytes; /* as stored */
    char sha256[65];
    uint64_t first, last;
    uint64_t events;            /* lines; 0: not known */
    uint64_t file, offset, raw; /* journal: file number, offset and length in it */
    char *target;               /* state: "logd.db", "fold.db", "journal/00000001.w", "maps/00000001.map" */
};
struct manifest {
    char lineage[33];    /* of the server whose archive this is; survives a restore */
    uint64_t generation; /* who may write: the highest */
    uint64_t position;   /* every record up to it can be restored */
    struct object *objects;
    size_t n, cap;
};
void manifest_done(struct manifest *m);
int manifest_read(struct manifest *m, str json, struct err *e) MUST_CHECK; /* m is empty */
void manifest_print(const struct manifest *m, struct buf *out);
struct object *manifest_add(struct manifest *m, const char *name, enum object_kind kind);
void manifest_remove(struct manifest *m, size_t i);
/* The state object that holds that file of the data folder, or NULL. */
const struct object *manifest_target(const struct manifest *m, const char *target);
/* ERR_CORRUPT unless the bytes are those that were put. */
int object_check(const struct object *o, str body, struct err *e) MUST_CHECK;

#endif
