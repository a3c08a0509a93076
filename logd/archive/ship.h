/* archive/ship.h - one shipment: what is new in the data folder, as objects and manifest entries. The archive thread's. */
#ifndef ARCHIVE_SHIP_H
#define ARCHIVE_SHIP_H

#include "archive/manifest.h"
#include "archive/objects.h"
#include "parts.h"

struct shipper {
    struct parts *parts;
    const char *data; /* folder */
    struct objects *objects;
    struct manifest manifest;  /* what is there */
    uint64_t bytes;            /* sent since start */
    uint64_t events_seq;       /* all segments up to it are in a manifest that was written */
    int64_t state_versions[2]; /* what was shipped last: a database that did not change is not sent again */
};
/* zstd, SHA-256, put; fills bytes and sha256 of the entry. */
int ship_object(struct shipper *s, struct object *entry, str body, struct err *e) MUST_CHECK;
int ship_segments(struct shipper *s, uint64_t *ret_last_seq, struct err *e) MUST_CHECK; /* sealed ones not there yet */
int ship_state(struct shipper *s, uint64_t *ret_fold_seq,
               struct err *e) MUST_CHECK; /* before the journal: see archive.c */
int ship_windows(struct shipper *s,
                 struct err *e) MUST_CHECK;                 /* the duplicate windows of journal files that are gone */
int ship_maps(struct shipper *s, struct err *e) MUST_CHECK; /* indexes of source maps */
int ship_journal(struct shipper *s, struct err *e) MUST_CHECK; /* sets manifest.position */

#endif
