/* maps/maps.h - the source maps that were uploaded, and what becomes of minified stack frames by them.
 *
 * A map belongs to an app, and to a debug id or to a release and the path of the minified file, or to both. A frame asks by
 * debug id first, then by its event's release and its own URL: the path that was uploaded must be the end of the URL's path, or
 * the other way round, at a slash; the longest wins. Nothing is ever fetched, and there is no way to read a map again.
 *
 * One file a map, DATA/maps/NNNNNNNN.map, written once (tmp, fsync, rename) and never changed:
 *   0   8   "logdmap1"
 *   8   8   xxh64 of all that follows
 *   16  4   length of the head, a JSON object: {"app":1,"release","path","debug_id","uploaded":µs}
 *   20  4   length of the index that follows it (maps/index.h)
 * The folder is the catalogue: heads are read at the start, an index is mapped into memory when it is first asked. Of two
 * files for the same place the later one counts, and the other goes.
 *
 * Health: frames that stay as they came are counted by app, release, file and reason, since the start.
 * Owner   any thread; one lock. maps_put blocks for a child process and a sync; maps_resolve takes microseconds.
 * Memory  about 300 bytes a map; HEALTH_PLACES of health. */
#ifndef MAPS_MAPS_H
#define MAPS_MAPS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { MAPS_FILES = 50000, MAPS_RELEASE = 200, MAPS_PATH = 1000 };
#define MAPS_BYTES (4ull << 30)

struct maps;
int maps_open(const char *dir, struct maps **ret, struct err *e) MUST_CHECK; /* the folder is made by the first put */
void maps_close(struct maps *m);                                             /* NULL is fine */

struct map_new {
    uint32_t app;
    str release;  /* absent: only by its debug id */
    str path;     /* of the minified file: "assets/main.js"; "~/", scheme and host are left out */
    str debug_id; /* absent: the map's own, if any */
    str map, minified;
    usec now;
};
struct map_proof { /* one frame that was resolved by what is on disk now */
    str path;
    uint32_t line, column; /* of the minified file, from 1 */
    str source;
    uint32_t oline; /* from 1 */
    str name;       /* absent: none */
    str debug_id;
    uint32_t sources, mappings;
};
/* ERR_INPUT: why the map cannot be used, and nothing is kept; ERR_FULL. Texts of the proof are in `a`. */
int maps_put(struct maps *m, const struct map_new *n, struct arena *a, struct map_proof *ret, struct err *e) MUST_CHECK;
/* Absent release or path: any. Returns how many went. */
size_t maps_remove(struct maps *m, uint32_t app, str release, str path);

enum map_cause {
    MAP_RESOLVED,
    MAP_NO_RELEASE, /* of the event, and no debug id */
    MAP_NO_MAPS,    /* for that release */
    MAP_NO_FILE,    /* the release has maps, but not of this file */
    MAP_NO_COLUMN,  /* the frame tells only a line */
    MAP_NO_MAPPING, /* the map says nothing of the place */
    MAP_DAMAGED,    /* the file on disk */
    MAP_NOT_OURS,   /* native code, an extension, no file of JavaScript: not counted */
    MAP_CAUSES
};
extern const char *const map_cause_names[MAP_CAUSES];
struct map_frame {
    str function, file, debug_id; /* as they came; debug_id absent: not known */
    uint32_t line, column;        /* from 1; 0: not known */
    /* filled in: */
    enum map_cause cause;
    str source, name; /* in `a`; name: of the function, absent: none that means anything */
    str symbol;       /* what stands at the place in the original; absent: not told */
    uint32_t oline, ocolumn;
    bool ignored; /* the build says it is not the app's own code */
};
/* Frames of one stack, newest first. `count`: note in health what became of them. Returns how many were resolved. */
size_t maps_resolve(struct maps *m, uint32_t app, str release, struct map_frame *f, size_t n, bool count,
                    struct arena *a);
bool maps_any(struct maps *m, uint32_t app);

typedef void maps_app_name_fn(void *arg, uint32_t app, struct buf *out); /* its name as JSON */
/* {"maps":[…],"health":{…}}; app 0: all. */
void maps_json(struct maps *m, uint32_t app, maps_app_name_fn *name, void *arg, struct buf *out);
struct maps_stats {
    uint64_t files, bytes, uploads, refused;
    uint64_t frames[MAP_CAUSES];
};
void maps_get_stats(struct maps *m, struct maps_stats *ret);

#endif
