/* maps/worker.h - source maps are read by a child process that can do nothing else.
 *
 * The child is this program again: it reads the map and the minified file from a pipe, and may afterwards take memory, read
 * and write, and end; no files, no network, MAPS_WORKER_MEMORY bytes and MAPS_WORKER_CPU seconds. Whatever a hostile map does to it,
 * the server sees an index or a sentence.
 * Owner   any thread that may block. */
#ifndef MAPS_WORKER_H
#define MAPS_WORKER_H

#include "base/buf.h"
#include "base/err.h"

#define MAPS_WORKER "--read-source-map" /* argv[1] of the child */
enum { MAPS_WORKER_CPU = 20 };
#define MAPS_WORKER_MEMORY (768u << 20)

int maps_worker_main(void); /* the child: exit code */
/* The index of `map`, by a child. `minified` absent: functions keep the names the minified file gives them. ERR_INPUT:
 * what is wrong with the map. */
int maps_worker_run(str map, str minified, struct buf *ret_index, struct err *e) MUST_CHECK;

#endif
