/* maps/health.c - which frames stay as they came, and why. Bounded: what does not fit is counted without its place. */
#include "base/clock.h"
#include "base/str.h"
#include "maps/private.h"

enum { HEALTH_PLACES = 2000, FILE_MAX = 300 };

const char *const map_cause_names[MAP_CAUSES] = {"resolved",  "no_release", "no_maps", "no_file",
                                                 "no_column", "no_mapping", "damaged", "not_ours"};
static const char *const fixes[MAP_CAUSES] = {
    [MAP_NO_RELEASE] = "the events name no release: set data-release on b.js, or `release` in the SDK or the event",
    [MAP_NO_MAPS] =
        "no map of this release was uploaded: run logd maps put --app APP --release RELEASE DIR when it is built",
    [MAP_NO_FILE] =
        "the release has maps, but none whose path is the end of this URL: upload the folder that is served, or compare logd maps list",
    [MAP_NO_COLUMN] = "the frames have no column, and a minified file is one line: the sender must tell it",
    [MAP_NO_MAPPING] = "the map says nothing of the place: upload the map of the very build that is served",
    [MAP_DAMAGED] = "the map's file on disk is damaged: upload it again"};

struct place {
    uint32_t app;
    enum map_cause cause;
    char *release, *file;
    uint64_t count;
    usec last;
};
struct health {
    usec since;
    uint64_t counts[MAP_CAUSES];
    uint64_t others; /* that had no room */
    struct map places;
};

struct health *health_new(void)
{
    struct health *h = xcalloc(1, sizeof *h);
    h->since = clock_now();
    return h;
}

static void place_free(struct place *p)
{
    free(p->release);
    free(p->file);
    free(p);
}

void health_free(struct health *h)
{
    struct map_slot *slot;
    for (size_t i = 0; (slot = map_next(&h->places, &i));)
        place_free(slot->value);
    map_done(&h->places);
    free(h);
}

void health_counts(const struct health *h, uint64_t ret[MAP_CAUSES]) { memcpy(ret, h->counts, sizeof h->counts); }

/* Without query and fragment: they are another in every visit, and may hold what nobody should keep. */
static str place_file(str file)
{
    for (size_t i = 0; i < file.n; i++)
        if (file.p[i] == '?' || file.p[i] == '#')
            file.n = i;
    return str_head(file, FILE_MAX);
}

void health_note(struct health *h, uint32_t app, str release, str file, enum map_cause cause)
{
    h->counts[cause]++;
    if (cause == MAP_RESOLVED)
        return;
    struct buf key = BUF_INIT(4096);
    file = place_file(file);
    release = str_head(release, MAPS_RELEASE);
    buf_printf(&key, "%u:%d:%.*s:", app, (int)cause, STR_ARG(release));
    buf_str(&key, file);
    struct place *p = map_get(&h->places, buf_view(&key));
    if (!p && h->places.n < HEALTH_PLACES) {
        p = xcalloc(1, sizeof *p);
        *p = (struct place){.app = app, .cause = cause, .release = str_dup(release), .file = str_dup(file)};
        map_set(&h->places, buf_view(&key), p);
    }
    buf_done(&key);
    if (!p) {
        h->others++;
        return;
    }
    p->count++;
    p->last = clock_now();
}

void health_uploaded(struct health *h, uint32_t app, str release)
{
    struct map_slot *slot;
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; !again && (slot = map_next(&h->places, &i));) {
            struct place *p = slot->value;
            if (p->app != app || !str_eq(str_of(p->release), release))
                continue;
            (void)map_del(&h->places, str_n(slot->key, slot->key_n)); /* the walk begins again */
            place_free(p);
            again = true;
        }
    }
}

static int most_first(const void *x, const void *y)
{
    const struct place *a = *(struct place *const *)x, *b = *(struct place *const *)y;
    return a->count > b->count ? -1 : a->count < b->count;
}

static void put_place(const struct place *p, maps_app_name_fn *name, void *arg, struct buf *out)
{
    char when[TIME_TEXT_MAX];
    time_print(p->last * NSEC_PER_USEC, 0, when);
    buf_lit(out, "{\"app\":");
    name(arg, p->app, out);
    buf_lit(out, ",\"release\":");
    p->release[0] ? buf_json(out, str_of(p->release)) : buf_lit(out, "null");
    buf_lit(out, ",\"file\":");
    buf_json(out, str_of(p->file));
    buf_printf(out, ",\"cause\":\"%s\",\"count\":%llu,\"last\":\"%s\",\"fix\":", map_cause_names[p->cause],
               (unsigned long long)p->count, when);
    buf_json(out, str_of(fixes[p->cause]));
    buf_byte(out, '}');
}

void health_json(struct health *h, uint32_t app, maps_app_name_fn *name, void *arg, struct buf *out)
{
    struct place **list = xcalloc(h->places.n + 1, sizeof(struct place *));
    struct map_slot *slot;
    size_t n = 0;
    char when[TIME_TEXT_MAX];
    for (size_t i = 0; (slot = map_next(&h->places, &i));)
        if (!app || ((struct place *)slot->value)->app == app)
            list[n++] = slot->value;
    qsort(list, n, sizeof *list, most_first);
    time_print(h->since * NSEC_PER_USEC, 0, when);
    buf_printf(out, "{\"since\":\"%s\",\"resolved\":%llu,\"unresolved\":[", when,
               (unsigned long long)h->counts[MAP_RESOLVED]);
    for (size_t i = 0; i < n; i++) {
        buf_str(out, i ? S(",") : S(""));
        put_place(list[i], name, arg, out);
    }
    buf_printf(out, "],\"others\":%llu}", (unsigned long long)h->others);
    free(list);
}
