/* routes/resolve.h - stacks of minified code in events become stacks of the original, by the maps of the event's app.
 *
 * Done once, before the journal: what is stored has the frames of the original in `error.frames`, each with what came in
 * its `raw`, and the text that came stays in `error.stack`. So every fold sees the same frames whenever it replays, whatever
 * maps come and go. What came before its map is resolved again when it is looked at, for the eyes only.
 *
 *   "error.frames":[{"function":"checkout","file":"src/cart.ts","line":47,"column":9,"in_app":true,
 *                    "raw":{"function":"t","file":"https://shop.example/a.js","line":1,"column":4523}}, …]
 *
 * Causes (`error.cause.stack`, `error.cause.cause.stack` …) get `frames` in the same way.
 *
 * A stack whose frames have a `raw` was resolved already and stays as it is. Debug ids are taken from a frame's `debug_id`
 * or from `debug_meta.images` ([{"code_file","debug_id"}], as Sentry's SDKs send them).
 * Owner   any thread. */
#ifndef ROUTES_RESOLVE_H
#define ROUTES_RESOLVE_H

#include "event/batch.h"
#include "routes/http.h"

/* Rewrites the lines of b that have frames to resolve. Cheap when there are none. */
void resolve_batch(struct request *r, struct batch *b);
/* The event that stands at the end of r->out, from `at`. */
void resolve_answer(struct request *r, size_t at);

#endif
