/* query/event.c - one event by its id, and times as people give them. */
#include "base/clock.h"
#include "query/scan.h"

static bool find_line(str lines, str id, str *ret)
{
    while (lines.n) {
        ptrdiff_t at = str_find(lines, id); /* in memchr's stride; ids are rare in other places */
        if (at < 0)
            return false;
        const char *before = memrchr(lines.p, '\n', (size_t)at);
        lines = str_skip(lines, before ? (size_t)(before + 1 - lines.p) : 0);
        str line = str_cut(&lines, '\n');
        if (str_eq(line_id(line), id)) {
            *ret = line;
            return true;
        }
    }
    return false;
}

int query_event(struct store_view *v, str id, struct buf *out, struct err *e)
{
    struct buf scratch = BUF_INIT(SIZE_MAX);
    struct err damaged = {0};
    usec recv = 0;
    uint32_t row;
    bool found = false, known = event_id_parse(id, &recv, &row);
    for (size_t i = 0; known && !found && i < store_view_count(v); i++) {
        const struct store_block *b = store_view_block(v, i);
        str lines, line;
        if (recv < b->recv_min || recv > b->recv_max || store_view_lines(v, i, &scratch, &lines, &damaged) < 0)
            continue;
        if ((found = find_line(lines, id, &line)))
            buf_str(out, line);
    }
    buf_done(&scratch);
    if (found)
        return 0;
    if (damaged.kind)
        return err_set(e, ERR_CORRUPT, "the event '%.*s' may be in a damaged block: %s", STR_ARG(str_head(id, 40)),
                       damaged.text);
    return err_set(e, ERR_GONE, "there is no event '%.*s'", STR_ARG(str_head(id, 40)));
}

int query_time(str text, usec now, nsec *ret, struct err *e)
{
    str rest = text;
    usec by;
    int digits;
    if (str_starts(rest, S("now")))
        rest = str_skip(rest, 3);
    if (rest.n == 0 && text.n) {
        *ret = now * NSEC_PER_USEC;
        return 0;
    }
    bool minus = rest.n && rest.p[0] == '-', shift = minus || (rest.n && rest.p[0] == '+');
    if (shift && str_duration(str_skip(rest, 1), &by) && by < INT64_MAX / NSEC_PER_USEC / 4) {
        *ret = (minus ? now - by : now + by) * NSEC_PER_USEC;
        return 0;
    }
    if (rest.n == text.n && time_read(text, ret, &digits, e) == 0)
        return 0;
    return err_set(e, ERR_INPUT, "expected a time as 2026-01-02T03:04:05Z, epoch, now or -15m, got '%.*s'",
                   STR_ARG(str_head(text, 60)));
}
