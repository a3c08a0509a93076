/* maps/bundle.h - an artifact bundle: a ZIP of minified files and their maps with a manifest.json, as sentry-cli makes it.
 *
 * Read here: methods stored and deflated, no ZIP64, no encryption; whatever is wrong is
 * refused, and no entry is unpacked past BUNDLE_ENTRY bytes. Names in it are looked up in the manifest only, they never become
 * names of files. `logd maps put` writes the same.
 * Owner   any thread. */
#ifndef MAPS_BUNDLE_H
#define MAPS_BUNDLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { BUNDLE_FILES = 100000 };
#define BUNDLE_ENTRY (128u << 20)

struct bundle_map {       /* a minified file and its map */
    str path;             /* of the minified file, or of the map without ".map" when it is there alone */
    str debug_id;         /* absent: not told */
    size_t minified, map; /* entries; minified SIZE_MAX: not there */
};
struct bundle;
/* `bytes` stay until bundle_close. */
int bundle_open(str bytes, struct bundle **ret, struct err *e) MUST_CHECK;
void bundle_close(struct bundle *b);        /* NULL is fine */
str bundle_release(const struct bundle *b); /* absent: not told */
const struct bundle_map *bundle_maps(const struct bundle *b, size_t *ret_n);
int bundle_entry(const struct bundle *b, size_t entry, struct buf *out, struct err *e) MUST_CHECK;
bool bundle_is(str bytes); /* by its first bytes */

struct bundle_file {
    const char *type, *url;  /* "minified_source" or "source_map"; "~/assets/main.js" */
    str debug_id, sourcemap; /* absent: none; sourcemap: its URL from this file's */
    str body;
};
void bundle_write(const struct bundle_file *files, size_t n, str release, struct buf *out);

#endif
