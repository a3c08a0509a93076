/* Lines by a pattern of somebody's own: what its named groups hold are the members. */
#include "base/arena.h"
#include "event/event.h"
#include "event/line-private.h"
#include "event/regex.h"

enum { GROUPS_MAX = 64 };

struct line_pattern {
    struct regex *regex;
    const char *names[GROUPS_MAX]; /* of the groups; NULL: it has none */
    size_t n;
    struct arena arena; /* of a match */
};

int line_pattern_new(str pattern, struct line_pattern **ret, struct err *e)
{
    size_t at, named = 0;
    struct line_pattern *p = xcalloc(1, sizeof *p);
    int rc = regex_compile(pattern, &p->regex, &at, e);
    if (rc == 0 && (p->n = regex_count(p->regex)) > GROUPS_MAX)
        rc = err_set(e, ERR_INPUT, "expected at most %d groups, got %zu", GROUPS_MAX, p->n);
    for (size_t i = 0; rc == 0 && i < p->n; i++)
        named += (p->names[i] = regex_name(p->regex, i + 1)) != NULL;
    if (rc == 0 && named == 0)
        rc = err_set(e, ERR_INPUT, "expected a group with a name, (?<NAME>...)");
    if (rc < 0)
        line_pattern_free(p);
    else
        *ret = p;
    return rc;
}

void line_pattern_free(struct line_pattern *p)
{
    if (!p)
        return;
    regex_free(p->regex);
    arena_done(&p->arena);
    free(p);
}

/* A time in any of the ways that lines have it; what is none of them is not thrown away, but not believed either. */
static void add_when(str text, const struct line_place *p, struct buf *out)
{
    struct moment m = {0};
    if (take_any_time(text, &m))
        add_time(&m, p, out);
    else if (is_number(text))
        add_raw(out, "time", text); /* since 1970 */
    else
        add_member(out, "time_text", text);
}

static void add_group(const char *name, str value, const struct line_place *p, struct buf *out)
{
    if (str_eq(str_of(name), S("time")))
        add_when(value, p, out);
    else if (str_eq(str_of(name), S("level")) && level_read(value))
        add_level(out, value);
    else if (str_eq(str_of(name), S("level")))
        add_member(out, "level_text", value);
    else if (is_number(value))
        add_raw(out, name, value);
    else
        add_member(out, name, value);
}

/* The message is the group of that name, or the line. */
bool read_regex(str line, const struct line_place *p, struct buf *out)
{
    str groups[GROUPS_MAX];
    bool gave_up = false, message = false;
    size_t before = out->n;
    if (!p->pattern)
        return false;
    arena_reset(&p->pattern->arena);
    if (!regex_groups(p->pattern->regex, line, groups, p->pattern->n, &p->pattern->arena, &gave_up))
        return false;
    for (size_t i = 0; i < p->pattern->n; i++)
        if (p->pattern->names[i] && groups[i].n) {
            add_group(p->pattern->names[i], groups[i], p, out);
            message |= str_eq(str_of(p->pattern->names[i]), S("message"));
        }
    if (!message)
        add_member(out, "message", line);
    return out->n > before;
}
