/* issues/life.c - see life.h. */
#include "issues/life.h"
#include "base/str.h"

const str life_states[3] = {S("open"), S("resolved"), S("muted")};
const str mute_names[MUTES] = {S("anybody"), S("time"), S("count"), S("users"), S("rate")};

/* Has so much come that it is muted no more? */
static bool heard_enough(struct life *l, const struct life_event *ev)
{
    switch (l->mute) {
    case MUTE_TIME: return ev->now >= l->limit;
    case MUTE_COUNT: return (l->seen += ev->n) >= l->limit;
    case MUTE_USERS: return ev->users >= l->limit;
    case MUTE_RATE:
        if (ev->time / l->window > l->bucket) {
            l->bucket = ev->time / l->window;
            l->seen = 0;
        }
        return ev->time / l->window == l->bucket && (l->seen += ev->n) >= l->limit;
    case MUTE_ANYBODY:
    case MUTES: break;
    }
    return false;
}

enum life_change life_event(struct life *l, const struct life_event *ev)
{
    enum life_change change = LIFE_SAME;
    if (l->state == LIFE_OPEN || ev->time <= l->since)
        return LIFE_SAME;
    if (l->state == LIFE_RESOLVED && !ev->older)
        change = LIFE_REGRESSED;
    if (l->state == LIFE_MUTED && heard_enough(l, ev))
        change = LIFE_UNMUTED;
    if (change != LIFE_SAME)
        l->state = LIFE_OPEN;
    return change;
}
