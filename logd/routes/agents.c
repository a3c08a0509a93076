/* routes/agents.c - POST and GET /v1/agents: the ledger of each logd-agent, as it last told it.
 *
 * An agent says every while what it read, sent, lost and has left, so that what is missing here is known here: for each
 * of its files, in sums since its state folder was made. Nothing is kept on disk: after a restart they tell it again.
 *
 * Owner   any thread, under one lock. Memory: AGENTS_MAX reports and REPORTS_MAX bytes; past either the agent that was
 *         silent for longest is forgotten. */
#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"
#include "parts.h"
#include "routes/resources.h"

#include <jansson.h>
#include <pthread.h>

enum { AGENTS_MAX = 1000, HOST_MAX_LEN = 255, VERSION_MAX_LEN = 40 };
#define REPORT_MAX (64u << 10) /* bytes of a body */
#define REPORTS_MAX (16u << 20)

static const char *const counted[] = {"read", "sent", "acknowledged", "dropped", "lag"};
enum { COUNTED = LENGTH(counted) };

struct report {
    char agent[17], host[HOST_MAX_LEN + 1], version[VERSION_MAX_LEN + 1], app[LIMIT_APP + 1];
    usec seen;
    uint64_t sums[COUNTED], duplicates;
    char *sources; /* a JSON array */
    size_t sources_n;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map reports; /* by app and agent */
static size_t reports_bytes;

/* ---- reading one ---- */

static bool is_agent(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return s.n == 16;
}

static bool is_name(str s) /* fit for a label as it is */
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == 0x7f)
            return false;
    return s.n > 0;
}

static int read_text(const json_t *j, const char *name, bool (*good)(str), char *out, size_t size, const char *expected,
                     struct err *e)
{
    const json_t *value = json_object_get(j, name);
    str s = {json_string_value(value), json_string_length(value)};
    if (!s.p || s.n >= size || !good(s))
        return err_set(e, ERR_INPUT, "field '%s': expected %s", name, expected);
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return 0;
}

static int read_count(const json_t *j, const char *name, uint64_t *sum, struct err *e)
{
    const json_t *value = json_object_get(j, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return err_set(e, ERR_INPUT, "field '%s': expected a whole number from 0 up", name);
    *sum += (uint64_t)json_integer_value(value);
    return 0;
}

static int read_sources(const json_t *sources, struct report *ret, struct err *e)
{
    size_t i;
    json_t *source;
    if (!json_is_array(sources))
        return err_set(e, ERR_INPUT, "field 'sources': expected an array");
    json_array_foreach(sources, i, source)
    {
        if (!json_is_string(json_object_get(source, "file")))
            return err_set(e, ERR_INPUT, "field 'sources': expected objects with text in 'file', got none in the %zuth",
                           i + 1);
        for (size_t k = 0; k < COUNTED; k++)
            if (read_count(source, counted[k], &ret->sums[k], e) < 0)
                return -1;
    }
    ret->sources = json_dumps(sources, JSON_COMPACT);
    ret->sources_n = strlen(ret->sources);
    return 0;
}

static int read_report(const json_t *j, struct report *ret, struct err *e)
{
    if (!json_is_object(j))
        return err_set(e, ERR_INPUT, "expected a JSON object");
    if (read_text(j, "agent", is_agent, ret->agent, sizeof ret->agent, "16 lower-case hex digits", e) < 0 ||
        read_text(j, "host", is_name, ret->host, sizeof ret->host, "a name of 1 to 255 bytes without quotes", e) < 0 ||
        read_text(j, "version", is_name, ret->version, sizeof ret->version, "1 to 40 bytes without quotes", e) < 0 ||
        read_count(j, "duplicates", &ret->duplicates, e) < 0)
        return -1;
    return read_sources(json_object_get(j, "sources"), ret, e);
}

/* ---- keeping them ---- */

static void report_free(struct report *p)
{
    if (!p)
        return;
    reports_bytes -= p->sources_n;
    free(p->sources);
    free(p);
}

static void forget_oldest(void)
{
    struct map_slot *slot, *oldest = NULL;
    size_t i = 0;
    while ((slot = map_next(&reports, &i)))
        if (!oldest || ((struct report *)slot->value)->seen < ((struct report *)oldest->value)->seen)
            oldest = slot;
    if (oldest)
        report_free(map_del(&reports, str_n(oldest->key, oldest->key_n)));
}

static void keep(struct report *p)
{
    char key[sizeof p->app + sizeof p->agent + 1];
    snprintf(key, sizeof key, "%s/%s", p->app, p->agent);
    pthread_mutex_lock(&lock);
    reports_bytes += p->sources_n;
    report_free(map_del(&reports, str_of(key)));
    while (reports.n >= AGENTS_MAX || (reports.n && reports_bytes > REPORTS_MAX))
        forget_oldest();
    map_set(&reports, str_of(key), p);
    pthread_mutex_unlock(&lock);
}

void post_agents(struct request *r)
{
    struct err e;
    json_error_t where;
    if (!r->who.app) {
        reply_error(r, 400, "expected the ingest key of an app");
        return;
    }
    if (r->body.n > REPORT_MAX) {
        reply_error(r, 413, "expected at most %u bytes, got %zu", REPORT_MAX, r->body.n);
        return;
    }
    json_t *j = json_loadb(r->body.p ? r->body.p : "", r->body.n, JSON_REJECT_DUPLICATES, &where);
    struct report *p = xcalloc(1, sizeof *p);
    p->seen = clock_now();
    snprintf(p->app, sizeof p->app, "%s", r->who.app_name);
    if (read_report(j, p, &e) == 0) {
        keep(p);
        buf_lit(&r->out, "{\"status\":\"ok\"}\n");
    } else {
        free(p);
        reply_err(r, &e);
    }
    json_decref(j);
}

/* ---- telling ---- */

static void put(struct buf *b, const struct report *p)
{
    char seen[TIME_TEXT_MAX];
    time_print(p->seen * NSEC_PER_USEC, 6, seen);
    buf_printf(b, "{\"agent\":\"%s\",\"app\":", p->agent);
    buf_json(b, str_of(p->app));
    buf_lit(b, ",\"host\":");
    buf_json(b, str_of(p->host));
    buf_lit(b, ",\"version\":");
    buf_json(b, str_of(p->version));
    buf_printf(b, ",\"seen\":\"%s\"", seen);
    for (size_t k = 0; k < COUNTED; k++)
        buf_printf(b, ",\"%s\":%llu", counted[k], (unsigned long long)p->sums[k]);
    buf_printf(b, ",\"duplicates\":%llu,\"sources\":", (unsigned long long)p->duplicates);
    buf_str(b, str_n(p->sources, p->sources_n));
    buf_byte(b, '}');
}

void get_agents(struct request *r)
{
    size_t i = 0, n = 0;
    struct map_slot *slot;
    buf_lit(&r->out, "{\"agents\":[");
    pthread_mutex_lock(&lock);
    while ((slot = map_next(&reports, &i))) {
        buf_str(&r->out, n++ ? S(",") : S(""));
        put(&r->out, slot->value);
    }
    pthread_mutex_unlock(&lock);
    buf_lit(&r->out, "]}\n");
}

static void metric(struct buf *b, const char *name, const char *type, const char *help, size_t offset)
{
    size_t i = 0;
    struct map_slot *slot;
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    while ((slot = map_next(&reports, &i))) {
        const struct report *p = slot->value;
        buf_printf(b, "%s{app=\"%s\",host=\"%s\",agent=\"%s\"} %llu\n", name, p->app, p->host, p->agent,
                   *(const unsigned long long *)(const void *)((const char *)p + offset));
    }
}

void agents_metrics(struct buf *b)
{
    static const char *const names[] = {"logd_agent_lines_read_total", "logd_agent_events_sent_total",
                                        "logd_agent_events_acknowledged_total", "logd_agent_events_dropped_total"};
    static const char *const helps[] = {"Lines that an agent read.", "Events that it sent.",
                                        "Of these, what a logd took.", "Of these, what a logd refused."};
    static_assert(sizeof(uint64_t) == sizeof(unsigned long long), "sums are printed as such");
    pthread_mutex_lock(&lock);
    for (size_t k = 0; k < LENGTH(names); k++)
        metric(b, names[k], "counter", helps[k], offsetof(struct report, sums) + k * sizeof(uint64_t));
    metric(b, "logd_agent_events_duplicate_total", "counter", "Events that it sent again and a logd had already.",
           offsetof(struct report, duplicates));
    metric(b, "logd_agent_lag_bytes", "gauge", "Bytes of its files that no logd has yet.",
           offsetof(struct report, sums) + 4 * sizeof(uint64_t));
    pthread_mutex_unlock(&lock);
}
