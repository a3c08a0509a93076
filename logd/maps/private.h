/* maps/private.h - what maps.c, file.c, resolve.c and health.c share; nobody else includes it. All with `lock` held. */
#ifndef MAPS_PRIVATE_H
#define MAPS_PRIVATE_H

#include "base/map.h"
#include "maps/maps.h"

#include <pthread.h>

struct map_file {
    uint64_t number; /* of the file */
    uint32_t app;
    char *release, *path, *debug_id; /* "" where there is none; debug_id in small hex digits only */
    usec uploaded;
    uint64_t bytes;
    uint32_t sources, mappings;
    bool damaged;
    void *at; /* the whole file in memory; NULL: not asked yet */
    str index;
    struct map_file *next_name, *next_id; /* that share a bucket */
};
struct health; /* health.c */
struct maps {
    pthread_mutex_t lock;
    char *dir;
    struct map_file **files; /* by number */
    size_t n, cap;
    uint64_t next, bytes;
    struct map by_name, by_id; /* app and the path's last part, app and debug id: chains */
    struct map releases;       /* app and release: a counter */
    size_t mapped;             /* files in memory */
    struct health *health;
    uint64_t uploads, refused;
};

/* file.c */
void map_file_name(uint64_t number, char ret[24]);
/* The whole text of a file of `index`. */
void map_file_print(const struct map_file *f, str index, struct buf *out);
/* Head and facts, without the rest. ERR_CORRUPT. */
int map_file_read(const char *dir, uint64_t number, struct map_file **ret, struct err *e) MUST_CHECK;
bool map_file_load(const char *dir, struct map_file *f); /* into memory; false: damaged, which is noted */
void map_file_unload(struct map_file *f);
void map_file_free(struct map_file *f);

/* maps.c */
str map_path(str url);       /* without scheme, host, "~", leading slashes and dots, query and fragment */
str map_last_part(str path); /* behind the last slash */
/* The key of a chain: an app and a text. In `out`, which is reset. */
str map_key(uint32_t app, str text, struct buf *out);
void map_debug_id(str text, char ret[33]); /* its hex digits, small; "" when it is none */

/* health.c */
struct health *health_new(void);
void health_free(struct health *h);
void health_note(struct health *h, uint32_t app, str release, str file, enum map_cause cause);
void health_json(struct health *h, uint32_t app, maps_app_name_fn *name, void *arg, struct buf *out);
void health_uploaded(struct health *h, uint32_t app, str release); /* what it lacked may be there now: forget it */
void health_counts(const struct health *h, uint64_t ret[MAP_CAUSES]);

#endif
