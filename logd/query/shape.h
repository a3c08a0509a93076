/* query/shape.h - stages that change one row at a time: `fields`, `parse`, and what `patterns` and `issues` add.
 *
 * They work on a read event in place: its fields become others, whose texts are views into the event or live in the
 * arena. shape_line writes the event as a line again. Owner: one thread. */
#ifndef QUERY_SHAPE_H
#define QUERY_SHAPE_H

#include "query/plan.h"

bool stage_shapes(const struct stage *st); /* fields, parse */
void shape(const struct stage *st, struct event *ev, struct arena *a);
/* `pattern`, or `issue` and `title`. False: the row has none. */
bool shape_group(const struct stage *st, const struct query_options *o, struct event *ev, struct arena *a);
/* One JSON object, in the arena, no newline. */
str shape_line(const struct event *ev, struct arena *a);
/* `null` when the field is not there. */
void shape_value(const struct field *f, struct buf *out);

#endif
