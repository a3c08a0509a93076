/* routes/frames.h - the frames in an event's `error.stack`, for a page that shows which are the app's own.
 *
 * Owner   any thread. */
#ifndef ROUTES_FRAMES_H
#define ROUTES_FRAMES_H

#include "base/arena.h"
#include "base/buf.h"

/* Appends ,"frames":[{"function","file","line","column","in_app"}], newest first, of the event that stands at the end of
 * out, from `at`. Nothing is appended where there are none, or where the event brings its own as `error.frames`. */
void frames_json(struct arena *a, struct buf *out, size_t at);

#endif
