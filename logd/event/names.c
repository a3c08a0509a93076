#include "event/names.h"
#include "base/hash.h"
#include "base/str.h"
#include "event/json.h"
#include "event/scrub.h"

/* Of the names of one part the earlier wins. The error's parts stand without their root ("error.type" as "type"). */
static const struct alias {
    str name;
    enum part part;
    uint8_t rank;
} aliases[] =
    {
        {S("time"), PART_TIME, 1},
        {S("ts"), PART_TIME, 2},
        {S("timestamp"), PART_TIME, 3},
        {S("@timestamp"), PART_TIME, 4},
        {S("_time"), PART_TIME, 5},
        {S("level"), PART_LEVEL, 1},
        {S("severity_number"), PART_LEVEL, 2},
        {S("severity"), PART_LEVEL, 3},
        {S("lvl"), PART_LEVEL, 4},
        {S("severity_text"), PART_LEVEL, 5},
        {S("priority"), PART_LEVEL, 6},
        {S("log.level"), PART_LEVEL, 7},
        {S("levelname"), PART_LEVEL, 8},
        {S("event_id"), PART_EVENT_ID, 1},
        {S("id"), PART_EVENT_ID, 2},
        {S("app"), PART_APP, 1},
        {S("message"), PART_MESSAGE, 1},
        {S("msg"), PART_MESSAGE, 2},
        {S("short_message"), PART_MESSAGE, 3},
        {S("body"), PART_MESSAGE, 4},
        {S("type"), PART_TYPE, 1},
        {S("event"), PART_TYPE, 2},
        {S("ev"), PART_TYPE, 3},
        {S("env"), PART_ENV, 1},
        {S("environment"), PART_ENV, 2},
        {S("release"), PART_RELEASE, 1},
        {S("version"), PART_RELEASE, 2},
        {S("host"), PART_HOST, 1},
        {S("hostname"), PART_HOST, 2},
        {S("service"), PART_SERVICE, 1},
        {S("service_name"), PART_SERVICE, 2},
        {S("logger"), PART_LOGGER, 1},
        {S("logger_name"), PART_LOGGER, 2},
        {S("log.logger"), PART_LOGGER, 3},
        {S("trace_id"), PART_TRACE_ID, 1},
        {S("traceId"), PART_TRACE_ID, 2},
        {S("traceid"), PART_TRACE_ID, 3},
        {S("trace.id"), PART_TRACE_ID, 4},
        {S("span_id"), PART_SPAN_ID, 1},
        {S("spanId"), PART_SPAN_ID, 2},
        {S("spanid"), PART_SPAN_ID, 3},
        {S("span.id"), PART_SPAN_ID, 4},
        {S("user"), PART_USER, 1},
        {S("ip"), PART_IP, 1},
        {S("stack"), PART_ERROR_STACK, 64},
        {S("stack_trace"), PART_ERROR_STACK, 65},
        {S("stacktrace"), PART_ERROR_STACK, 66},
        {S("exc_info"), PART_ERROR_STACK, 67},
        {S("auth.action"), PART_AUTH_ACTION, 1},
        {S("auth.outcome"), PART_AUTH_OUTCOME, 1},
},
  of_errors[] = {
      {S("type"), PART_ERROR_TYPE, 1},         {S("name"), PART_ERROR_TYPE, 2},
      {S("kind"), PART_ERROR_TYPE, 3},         {S("message"), PART_ERROR_MESSAGE, 1},
      {S(""), PART_ERROR_MESSAGE, 2}, /* plain text */
      {S("msg"), PART_ERROR_MESSAGE, 3},       {S("stack"), PART_ERROR_STACK, 1},
      {S("stack_trace"), PART_ERROR_STACK, 2}, {S("stacktrace"), PART_ERROR_STACK, 3},
};
static const str roots[] = {S(""), S("error"), S("err"), S("exception")};

str part_name(enum part part)
{
    static const str names[PARTS] = {
        [PART_TIME] = S("time"),
        [PART_LEVEL] = S("level"),
        [PART_EVENT_ID] = S("event_id"),
        [PART_APP] = S("app"),
        [PART_MESSAGE] = S("message"),
        [PART_TYPE] = S("type"),
        [PART_ENV] = S("env"),
        [PART_RELEASE] = S("release"),
        [PART_HOST] = S("host"),
        [PART_SERVICE] = S("service"),
        [PART_LOGGER] = S("logger"),
        [PART_TRACE_ID] = S("trace_id"),
        [PART_SPAN_ID] = S("span_id"),
        [PART_USER] = S("user"),
        [PART_IP] = S("ip"),
        [PART_ERROR_TYPE] = S("error.type"),
        [PART_ERROR_MESSAGE] = S("error.message"),
        [PART_ERROR_STACK] = S("error.stack"),
        [PART_AUTH_ACTION] = S("auth.action"),
        [PART_AUTH_OUTCOME] = S("auth.outcome"),
    };
    return names[part];
}

size_t root_length(unsigned root) { return roots[root].n; }

void names_init(struct names *k)
{
    memset(k, 0, sizeof *k);
    random_bytes(k->key, sizeof k->key);
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* The last step takes the last 8 bytes, some of them twice; what is shorter is put together from its ends. */
static uint64_t hash(const struct names *k, str s)
{
    uint64_t h = k->key[0] ^ s.n, last = 0;
    for (size_t i = 8; i < s.n; i += 8)
        h = fold(h ^ load8(s.p + i - 8), k->key[1] | 1);
    if (s.n >= 8)
        last = load8(s.p + s.n - 8);
    else if (s.n >= 4)
        last = (uint64_t)load4(s.p) << 32 | load4(s.p + s.n - 4);
    else if (s.n > 0)
        last = (uint64_t)(unsigned char)s.p[0] << 16 | (uint64_t)(unsigned char)s.p[s.n / 2] << 8 |
               (unsigned char)s.p[s.n - 1];
    return fold(h ^ last, k->key[1] | 1);
}

static void find(const struct alias *a, size_t n, str text, struct name *ret)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(a[i].name, text)) {
            ret->part = (uint8_t)a[i].part;
            ret->rank = a[i].rank;
        }
}

unsigned name_half(str text)
{
    static const str words[] = {S("name"), S("key"), S("header"), S("value"), S("values")};
    ptrdiff_t dot;
    while ((dot = str_chr(text, '.')) >= 0)
        text = str_skip(text, (size_t)dot + 1);
    for (size_t i = 0; i < LENGTH(words); i++)
        if (str_eq_nocase(text, words[i]))
            return i < 3 ? HALF_NAME : HALF_VALUE;
    return 0;
}

/* All that is known of a name, into *ret. */
static void learn(str text, struct name *ret)
{
    struct buf scrubbed = BUF_INIT(64 << 10);
    for (unsigned r = ROOT_ERROR; r <= ROOT_EXCEPTION; r++)
        if (str_starts(text, roots[r]) && (text.n == roots[r].n || text.p[roots[r].n] == '.')) {
            ret->root = (uint8_t)r;
            find(of_errors, LENGTH(of_errors), str_skip(text, roots[r].n + 1), ret);
            ret->rank = (uint8_t)(ret->rank + 16 * r); /* one root's parts come before the next one's */
        }
    find(aliases, LENGTH(aliases), text, ret);
    if (ret->part == PART_NONE)
        ret->secret = scrub_name(text);
    ret->clean = scrub_clean(text, &scrubbed);
    buf_done(&scrubbed);
    ret->plain = json_plain(text);
    ret->half = (uint8_t)name_half(text);
}

const struct name *names_look(struct names *k, str text)
{
    uint64_t h = hash(k, text);
    struct name *set = k->slots[h % LENGTH(k->slots)], *fresh = &k->other;
    for (size_t i = 0; i < LENGTH(k->slots[0]); i++)
        if (set[i].hash == h && set[i].n == text.n && text.n > 0 && same_bytes(set[i].text, text.p, text.n))
            return &set[i];
    *fresh = (struct name){.hash = h};
    learn(text, fresh);
    if (!fresh->clean || text.n == 0 || text.n > sizeof fresh->text)
        return fresh;
    fresh->n = (uint8_t)text.n;
    memcpy(fresh->text, text.p, text.n);
    set += k->turn++ % LENGTH(k->slots[0]);
    *set = *fresh;
    return set;
}

/* Of one that is not kept nothing is known. */
void names_follow(struct names *k, const struct name *before, const struct name *now)
{
    const struct name *next = now == &k->other ? NULL : now;
    struct name *all = &k->slots[0][0];
    if (!before)
        k->first = next;
    else if (before->next != next && before != &k->other)
        all[before - all].next = next;
}
