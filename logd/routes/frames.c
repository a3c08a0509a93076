#include "routes/frames.h"
#include "base/str.h"
#include "event/event.h"
#include "issues/issues.h"
#include "issues/stack.h"

static void put_frame(struct buf *out, const struct frame *f)
{
    buf_lit(out, "{\"function\":");
    buf_json(out, f->function.p ? f->function : S(""));
    buf_lit(out, ",\"file\":");
    buf_json(out, f->file.p ? f->file : S(""));
    buf_printf(out, ",\"line\":%u,\"column\":%u,\"in_app\":%s}", f->line, f->column, f->in_app ? "true" : "false");
}

void frames_json(struct arena *a, struct buf *out, size_t at)
{
    struct event *ev = xmalloc(sizeof *ev);
    struct stack *s = arena_alloc(a, sizeof *s);
    struct err not_one;
    str line = arena_str(a, str_skip(buf_view(out), at)); /* out grows, and may move */
    str text = event_read(line, ev, a, &not_one) == 0 && !event_field(ev, S("error.frames"))
                   ? event_text(ev, S("error.stack"), a)
                   : (str){0};
    s->n = 0;
    if (text.n)
        stack_read(text, GROUPING_NEWEST, s);
    for (size_t i = 0; i < s->n; i++) {
        buf_str(out, i ? S(",") : S(",\"frames\":["));
        put_frame(out, &s->frames[i]);
    }
    buf_str(out, s->n ? S("]") : S(""));
    free(ev);
}
