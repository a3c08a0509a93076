/* maps/chunk.h - pieces of a bundle on their way in, as sentry-cli sends them: named by the SHA-1 of what they hold.
 *
 * DATA/maps/chunk-APP-SHA1, gone when their bundle was read, after an hour when room is needed, and at the next start.
 * Owner   any thread that may block. */
#ifndef MAPS_CHUNK_H
#define MAPS_CHUNK_H

#include "maps/maps.h"

#define CHUNKS_BYTES (1ull << 30) /* of all that wait */
int chunk_put(struct maps *m, uint32_t app, str sha1_hex, str bytes,
              struct err *e) MUST_CHECK; /* ERR_INPUT: another SHA-1 */
bool chunk_have(struct maps *m, uint32_t app, str sha1_hex);
struct assembled {
    char *at; /* of all chunks, one behind the other */
    size_t n;
};
/* ERR_INPUT: together they have another SHA-1 than `checksum`. chunks_done frees it and removes the chunks. */
int chunks_assemble(struct maps *m, uint32_t app, str checksum, const str *chunks, size_t n, struct assembled *ret,
                    struct err *e) MUST_CHECK;
void chunks_done(struct maps *m, uint32_t app, const str *chunks, size_t n, struct assembled *x);
void chunks_clean(const char *dir); /* at the start */

#endif
