#include "counted.h"
#include "base/log.h"
#include "base/str.h"
#include "stats/gather.h"

enum { LINES_MAX = 1 << 20 };

struct counted {
    struct db *db;
    struct zone *zone; /* NULL: UTC */
    struct gather *series;
    struct buf lines; /* of `app`, not applied yet */
    uint32_t app;
};

struct counted *counted_new(struct db *db)
{
    struct counted *c = xcalloc(1, sizeof *c);
    c->db = db;
    c->series = gather_new();
    buf_init(&c->lines, 4 * LINES_MAX);
    return c;
}

void counted_free(struct counted *c)
{
    if (!c)
        return;
    zone_free(c->zone);
    gather_free(c->series);
    buf_done(&c->lines);
    free(c);
}

void counted_zone(struct counted *c, const char *name)
{
    struct err e;
    struct zone *z = NULL;
    if (zone_open(str_of(name), &z, &e) < 0)
        log_error("rules", "what=\"days of stats go on in UTC\" why=\"%s\"", e.text);
    zone_free(c->zone);
    c->zone = z;
}

int counted_apply(struct counted *c, uint32_t app, str lines, struct err *e)
{
    return stats_apply(c->db, app, c->zone, lines, e);
}

void counted_forget(struct counted *c) { buf_reset(&c->lines); }

int counted_flush(struct counted *c, struct err *e)
{
    int rc = c->lines.n ? counted_apply(c, c->app, buf_view(&c->lines), e) : 0;
    buf_reset(&c->lines);
    return rc;
}

/* NULL: not a series that can be, and *e says why. */
static struct gathered *find_series(struct counted *c, uint32_t app, const struct rules_stat *s, struct err *e)
{
    struct buf key = BUF_INIT(64 << 10);
    struct gathered *ret = NULL;
    str values[LENGTH(s->label_values)];
    struct gather_series series = {app, str_of(s->name), str_of(s->type), s->label_names, values, s->labels, 0};
    memcpy(values, s->label_values, sizeof values);
    for (size_t tries = 0; !ret && tries <= s->labels; tries++) {
        buf_reset(&key);
        buf_printf(&key, "%u %s %s", app, s->type, s->name);
        for (size_t i = 0; i < s->labels; i++)
            buf_printf(&key, "%c%.*s=%.*s", '\0', STR_ARG(s->label_names[i]), STR_ARG(values[i]));
        if ((ret = gather_find(c->series, buf_view(&key))))
            break;
        *e = (struct err){0};
        if (gather_make(c->series, buf_view(&key), &series, c->db, &ret, e) == 0)
            break;
        if (e->kind == ERR_FULL) { /* it forgets them all, and begins again */
            gather_free(c->series);
            c->series = gather_new();
        }
        for (size_t i = 0; i < s->labels && str_starts(str_of(e->pointer), S("/labels/")); i++)
            if (str_eq(str_of(e->pointer + 8), str_head(s->label_names[i], 80)))
                values[i] = S("__refused__");
    }
    buf_done(&key);
    return ret;
}

int counted_add(struct counted *c, uint32_t app, const struct rules_stat *s, struct err *e)
{
    struct err why = {0};
    struct gathered *series = find_series(c, app, s, &why);
    if (!series && why.kind != ERR_INPUT && why.kind != ERR_FULL) {
        *e = why;
        return -1;
    }
    if (c->app != app && counted_flush(c, e) < 0)
        return -1;
    c->app = app;
    if (!series || !gather_line(series, s->value, s->event->time / NSEC_PER_USEC, &c->lines))
        log_warn("rules", "what=\"an event was not counted: %s\" rule=%s stat=\"%s\"",
                 series ? "its number is none of that type" : "another type or no such label", s->rule->id, s->name);
    return c->lines.n > LINES_MAX ? counted_flush(c, e) : 0;
}
