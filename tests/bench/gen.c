/* tests/bench/gen.c - the corpus of the store's and the queries' figures: JSON events of 20 apps, one a line, as POST
 * /v1/events takes them, 330 bytes on average, in the order in which they would arrive.
 *
 * usage: gen EVENTS LOGHUB2K_FOLDER [SEED]     writes to stdout; the same arguments give the same bytes
 *
 * 40 % are real messages of ten systems (loghub) whose numbers change, 35 % access logs, 10 % logins, 10 % jobs with a
 * nested object, 5 % browser errors with stacks. Two of three carry a random 128-bit trace id: 10.5 bytes an event that
 * nothing compresses. They spread over some four days from 2026-11-16, busier by day; one in a hundred comes up to 30 s late.
 * Three events, a fifth, half and four fifths of the way, hold the word "heliotrope", which is nowhere else.
 *
 * Speed: 3 million events a second on one core. Memory: a few MB. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

#include <unistd.h>

enum { DAYS = 4, USERS = 50000, HOSTS = 8, FLUSH = 1 << 20, MESSAGES_MAX = 2500, COLUMNS_MAX = 20 };
#define BEGIN_US 1794787200000000LL /* 2026-11-16T00:00:00Z */

struct piece {
    str text;        /* escaped for JSON */
    unsigned digits; /* that follow it; the number changes from event to event */
};
struct message {
    struct piece *pieces;
    size_t n;
    str logger, level;
};
enum kind { LOGHUB, ACCESS, LOGIN, BROWSER, JOB };
struct app {
    str name;
    enum kind kind;
    unsigned weight;   /* of 1000 */
    str folder, where; /* LOGHUB: its data, and the column that says which part spoke */
    bool traced;
    struct message *messages;
    size_t n;
};

static struct app apps[] = {
    {S("apache"), LOGHUB, 40, S("Apache"), S(""), true, NULL, 0},
    {S("bluegene"), LOGHUB, 40, S("BGL"), S("Component"), true, NULL, 0},
    {S("hdfs"), LOGHUB, 40, S("HDFS"), S("Component"), true, NULL, 0},
    {S("hpc"), LOGHUB, 40, S("HPC"), S("Component"), true, NULL, 0},
    {S("hadoop"), LOGHUB, 40, S("Hadoop"), S("Component"), true, NULL, 0},
    {S("macos"), LOGHUB, 40, S("Mac"), S("Component"), true, NULL, 0},
    {S("sshd"), LOGHUB, 40, S("OpenSSH"), S(""), true, NULL, 0},
    {S("proxifier"), LOGHUB, 40, S("Proxifier"), S("Program"), true, NULL, 0},
    {S("spark"), LOGHUB, 40, S("Spark"), S("Component"), true, NULL, 0},
    {S("windows"), LOGHUB, 40, S("Windows"), S("Component"), true, NULL, 0},
    {S("shop"), ACCESS, 110, S(""), S(""), true, NULL, 0},
    {S("api"), ACCESS, 100, S(""), S(""), true, NULL, 0},
    {S("blog"), ACCESS, 50, S(""), S(""), false, NULL, 0},
    {S("cdn"), ACCESS, 70, S(""), S(""), false, NULL, 0},
    {S("admin"), ACCESS, 20, S(""), S(""), false, NULL, 0},
    {S("login"), LOGIN, 100, S(""), S(""), false, NULL, 0},
    {S("web"), BROWSER, 35, S(""), S(""), true, NULL, 0},
    {S("mobile"), BROWSER, 15, S(""), S(""), true, NULL, 0},
    {S("worker"), JOB, 70, S(""), S(""), false, NULL, 0},
    {S("mailer"), JOB, 30, S(""), S(""), false, NULL, 0},
};
static const str agents[] = {
    S("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"),
    S("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"),
    S("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"),
    S("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"),
    S("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"),
    S("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    S("curl/8.11.0"),
    S("python-requests/2.32.3"),
    S("okhttp/4.12.0"),
    S("Go-http-client/2.0"),
};
static const str paths[] = {S("/"),         S("/cart"),       S("/product/"), S("/search?page="), S("/api/v2/orders/"),
                            S("/checkout"), S("/api/users/"), S("/img/"),     S("/posts/"),       S("/healthz")};
static const bool numbered[] = {false, false, true, true, true, false, true, true, true, false};
static const str faults[] = {
    S("TypeError\",\"message\":\"Cannot read properties of undefined (reading 'price')"),
    S("ReferenceError\",\"message\":\"dataLayer is not defined"),
    S("NetworkError\",\"message\":\"Failed to fetch"),
    S("RangeError\",\"message\":\"Maximum call stack size exceeded"),
};
static const str functions[] = {S("render"),  S("updateCart"), S("Object.dispatch"), S("async loadProduct"),
                                S("onClick"), S("commitWork"), S("flushSync"),       S("new Promise")};
static const str queues[] = {S("thumbnails"), S("invoices"), S("exports"), S("newsletter"), S("search-index")};

static uint64_t state;
static uint64_t rnd(void) /* splitmix64 */
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static uint32_t below(uint32_t n) { return (uint32_t)((rnd() >> 32) * n >> 32); }
static uint64_t mix(uint64_t x) { return (x ^ x >> 15) * 0xd168aaad2c9f4eb5u >> 7; }
#define PICK(array) (array)[below(LENGTH(array))]

static void put_number(struct buf *b, uint64_t v)
{
    char t[20], *p = t + sizeof t;
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(b, p, (size_t)(t + sizeof t - p));
}

static void put_trace(struct buf *b)
{
    uint64_t id[2];
    id[0] = rnd(), id[1] = rnd(); /* the order of calls inside an expression is the compiler's, and bytes must not be */
    buf_lit(b, ",\"trace_id\":\"");
    buf_hex(b, id, sizeof id);
    buf_byte(b, '"');
}

static void put_ip(struct buf *b, uint64_t seed)
{
    for (int i = 0; i < 4; i++, seed >>= 8) {
        put_number(b, i ? seed & 255 : 1 + (seed & 127));
        if (i < 3)
            buf_byte(b, '.');
    }
}

/* Half of what users do is done by the few who are always there. */
static uint32_t a_user(void) { return 1 + (rnd() & 1 ? below(USERS / 20) : below(USERS)); }

static void put_head(struct buf *b, const struct app *a, usec at, str level)
{
    static char text[TIME_TEXT_MAX];
    static usec last = -1;
    if (at / 1000 != last / 1000)
        time_print(at * NSEC_PER_USEC, 3, text);
    last = at;
    buf_lit(b, "{\"time\":\"");
    buf_str(b, str_of(text));
    buf_lit(b, "\",\"app\":\"");
    buf_str(b, a->name);
    buf_lit(b, "\",\"level\":\"");
    buf_str(b, level);
    buf_lit(b, "\",\"env\":\"prod\",\"host\":\"");
    buf_str(b, a->name);
    buf_byte(b, '-');
    put_number(b, 1 + below(HOSTS));
    buf_byte(b, '"');
}

static void put_digits(struct buf *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_byte(b, (char)('0' + (i ? below(10) : 1 + below(9))));
}

static void loghub_event(struct buf *b, const struct app *a, usec at)
{
    const struct message *m = &a->messages[below((uint32_t)a->n)];
    put_head(b, a, at, m->level);
    buf_lit(b, ",\"logger\":\"");
    buf_str(b, m->logger);
    buf_lit(b, "\",\"pid\":");
    put_number(b, 900 + below(64) * 37);
    put_trace(b);
    buf_lit(b, ",\"message\":\"");
    for (size_t i = 0; i < m->n; i++) {
        buf_str(b, m->pieces[i].text);
        put_digits(b, m->pieces[i].digits);
    }
    buf_lit(b, "\"}\n");
}

static void put_path(struct buf *b, uint32_t which, uint32_t number)
{
    buf_str(b, paths[which]);
    if (numbered[which])
        put_number(b, number);
}

static unsigned a_status(void)
{
    uint32_t r = below(1000);
    return r < 880   ? 200
           : r < 920 ? 304
           : r < 940 ? 302
           : r < 975 ? 404
           : r < 985 ? 401
           : r < 993 ? 500
           : r < 997 ? 502
                     : 503;
}

static void access_event(struct buf *b, const struct app *a, usec at)
{
    static const str methods[] = {S("GET"), S("GET"), S("GET"), S("GET"), S("GET"), S("POST"), S("PUT"), S("HEAD")};
    uint32_t which = below(LENGTH(paths)), number = below(2000), user = a_user();
    unsigned status = a_status(), latency = 1 + (1u << below(9));
    str method = PICK(methods);
    uint64_t who = mix(user);
    put_head(b, a, at, status >= 500 ? S("error") : status >= 400 ? S("warn") : S("info"));
    buf_lit(b, ",\"method\":\"");
    buf_str(b, method);
    buf_lit(b, "\",\"path\":\"");
    put_path(b, which, number);
    buf_lit(b, "\",\"status\":");
    put_number(b, status);
    buf_lit(b, ",\"latency_ms\":");
    put_number(b, latency + below(12));
    buf_byte(b, '.');
    buf_byte(b, (char)('0' + below(10)));
    buf_lit(b, ",\"bytes\":");
    put_number(b, 200 + which * 1700 + (status == 200 ? number * 7 : 0));
    buf_lit(b, ",\"ip\":\"");
    put_ip(b, who);
    buf_lit(b, "\",\"user_agent\":\"");
    buf_str(b, agents[who % LENGTH(agents)]);
    buf_byte(b, '"');
    if (a->traced) {
        buf_lit(b, ",\"user_id\":");
        put_number(b, user);
        put_trace(b);
    }
    buf_lit(b, ",\"message\":\"");
    buf_str(b, method);
    buf_byte(b, ' ');
    put_path(b, which, number);
    buf_byte(b, ' ');
    put_number(b, status);
    buf_lit(b, "\"}\n");
}

static void login_event(struct buf *b, const struct app *a, usec at)
{
    static const str reasons[] = {S("bad password"), S("bad password"), S("unknown user"), S("account locked")};
    bool failed = below(4) == 0;
    str reason = PICK(reasons);
    uint32_t user = a_user();
    uint64_t who = mix(user);
    put_head(b, a, at, failed ? S("warn") : S("info"));
    buf_lit(b, ",\"user_id\":");
    put_number(b, user);
    buf_lit(b, ",\"auth\":{\"action\":\"login\",\"outcome\":\"");
    buf_str(b, failed ? S("failure") : S("success"));
    buf_lit(b, "\",\"user\":\"user");
    put_number(b, user);
    buf_lit(b, "\",\"ip\":\"");
    put_ip(b, who);
    buf_lit(b, "\",\"user_agent\":\"");
    buf_str(b, agents[who % LENGTH(agents)]);
    buf_lit(b, "\"},\"message\":\"login of user");
    put_number(b, user);
    buf_str(b, failed ? S(" failed: ") : S(" succeeded"));
    if (failed)
        buf_str(b, reason);
    buf_lit(b, "\"}\n");
}

static void browser_event(struct buf *b, const struct app *a, usec at)
{
    str fault = PICK(faults);
    uint32_t user = a_user();
    put_head(b, a, at, S("error"));
    buf_lit(b, ",\"release\":\"2.");
    put_number(b, below(6));
    buf_lit(b, ".0\",\"user_id\":");
    put_number(b, user);
    buf_lit(b, ",\"user_agent\":\"");
    buf_str(b, agents[mix(user) % 5]);
    buf_byte(b, '"');
    put_trace(b);
    buf_lit(b, ",\"message\":\"uncaught error\",\"error\":{\"type\":\"");
    buf_str(b, fault);
    buf_lit(b, "\",\"stack\":\"");
    for (uint32_t i = 0, frames = 3 + below(10); i < frames; i++) {
        buf_str(b, i ? S("\\n    at ") : S("    at "));
        buf_str(b, PICK(functions));
        buf_lit(b, " (https://shop.example/static/app.");
        put_number(b, 41 + below(3));
        buf_lit(b, ".js:");
        put_number(b, 1 + below(4));
        buf_byte(b, ':');
        put_number(b, 1000 + below(300) * 61);
        buf_byte(b, ')');
    }
    buf_lit(b, "\"}}\n");
}

static void job_event(struct buf *b, const struct app *a, usec at, bool rare)
{
    static uint64_t jobs = 7000000;
    str queue = PICK(queues);
    bool failed = below(50) == 0;
    put_head(b, a, at, failed ? S("error") : S("info"));
    buf_lit(b, ",\"job\":{\"id\":");
    put_number(b, ++jobs);
    buf_lit(b, ",\"queue\":\"");
    buf_str(b, queue);
    buf_lit(b, "\",\"attempt\":");
    put_number(b, failed ? 1 + below(5) : 1);
    buf_lit(b, ",\"duration_ms\":");
    put_number(b, 20 + below(8000));
    buf_lit(b, ",\"worker\":{\"name\":\"w");
    put_number(b, below(32));
    buf_lit(b, "\",\"rss_kb\":");
    put_number(b, 40000 + below(500) * 64);
    buf_lit(b, "}},\"tags\":[\"batch\",\"");
    buf_str(b, queue);
    buf_lit(b, "\"],\"message\":\"");
    buf_str(b, rare ? S("lease of node heliotrope expired, job of queue ") : S("job of queue "));
    buf_str(b, queue);
    buf_str(b, failed ? S(" failed: connection reset by peer\"}\n") : S(" done\"}\n"));
}

static void put_event(struct buf *b, const struct app *a, usec at, bool rare)
{
    switch (a->kind) {
    case LOGHUB: loghub_event(b, a, at); break;
    case ACCESS: access_event(b, a, at); break;
    case LOGIN: login_event(b, a, at); break;
    case BROWSER: browser_event(b, a, at); break;
    case JOB: job_event(b, a, at, rare); break;
    }
}

/* --- real messages ------------------------------------------------------------------------------------------------ */

static struct arena kept;

static NORETURN void die(const char *why)
{
    fprintf(stderr, "gen: %s\n", why);
    exit(1);
}

/* One record of a CSV file; fields without their quotes. Returns how many, 0 at the end. */
static size_t csv_record(str *rest, str *ret)
{
    size_t n = 0;
    while (rest->n && n < COLUMNS_MAX) {
        struct buf f = BUF_INIT(1 << 16);
        bool quoted = false;
        char c = ',';
        for (; rest->n; *rest = str_skip(*rest, 1)) {
            c = rest->p[0];
            if (c == '"' && quoted && rest->n > 1 && rest->p[1] == '"')
                *rest = str_skip(*rest, 1), buf_byte(&f, c);
            else if (c == '"')
                quoted = !quoted;
            else if ((c == ',' || c == '\n') && !quoted)
                break;
            else if (c != '\r')
                buf_byte(&f, c);
        }
        *rest = str_skip(*rest, 1);
        ret[n++] = arena_str(&kept, buf_view(&f));
        buf_done(&f);
        if (c == '\n')
            break;
    }
    return n;
}

static str escaped(str s)
{
    struct buf b = BUF_INIT(1 << 20);
    buf_json(&b, s);
    str out = arena_str(&kept, str_n(b.p + 1, b.n - 2));
    buf_done(&b);
    return out;
}

/* Numbers of two digits and more change, the last four digits of long ones: ports, pids, sizes, block ids. */
static void cut_message(struct message *m, str text)
{
    struct piece pieces[200];
    size_t from = 0;
    for (size_t i = 0; i <= text.n && m->n < LENGTH(pieces) - 1;) {
        size_t d = i;
        while (d < text.n && text.p[d] >= '0' && text.p[d] <= '9')
            d++;
        if (i == text.n || (d - i >= 2 && below(2))) {
            size_t changing = i == text.n ? 0 : d - i > 4 ? 4 : d - i;
            pieces[m->n++] = (struct piece){escaped(str_n(text.p + from, d - changing - from)), (unsigned)changing};
            from = d;
        }
        i = d > i ? d : i + 1;
    }
    m->pieces = arena_alloc(&kept, m->n * sizeof *pieces);
    memcpy(m->pieces, pieces, m->n * sizeof *pieces);
}

static str level_of(str s)
{
    static const struct {
        str word, level;
    } table[] = {{S("warn"), S("warn")},  {S("err"), S("error")},   {S("severe"), S("error")},
                 {S("fail"), S("error")}, {S("fatal"), S("fatal")}, {S("notice"), S("notice")},
                 {S("debug"), S("debug")}};
    for (size_t i = 0; i < LENGTH(table); i++)
        if (str_starts_nocase(s, table[i].word))
            return table[i].level;
    return S("info");
}

static str column(const str *names, const str *values, size_t n, str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(names[i], name))
            return values[i];
    return S("");
}

static void read_messages(struct app *a, const char *folder)
{
    struct buf text = BUF_INIT(16 << 20);
    struct err e;
    str names[COLUMNS_MAX], values[COLUMNS_MAX];
    const char *file = arena_printf(&kept, "%s/%.*s/%.*s_2k.log_structured.csv", folder, STR_ARG(a->folder),
                                    STR_ARG(a->folder));
    if (file_read(file, 16 << 20, &text, &e) < 0)
        die(e.text);
    str rest = buf_view(&text);
    size_t n = csv_record(&rest, names);
    a->messages = xcalloc(MESSAGES_MAX, sizeof *a->messages);
    while (a->n < MESSAGES_MAX && csv_record(&rest, values) == n) {
        struct message *m = &a->messages[a->n++];
        str where = column(names, values, n, a->where);
        m->logger = where.n ? escaped(where) : a->name;
        m->level = level_of(column(names, values, n, S("Level")));
        cut_message(m, column(names, values, n, S("Content")));
    }
    if (a->n < 2000)
        die(arena_printf(&kept, "%s: expected 2000 messages, got %zu", file, a->n));
    buf_done(&text);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static const struct app *an_app(void)
{
    uint32_t r = below(1000);
    const struct app *a = apps;
    while (r >= a->weight)
        r -= a++->weight;
    return a;
}

/* By hour of the day, in tenths of the mean gap between two events: the nights are quiet. */
static usec gap(usec at, usec mean)
{
    static const unsigned tenths[24] = {20, 24, 26, 26, 24, 18, 13, 10, 8,  7,  7,  7,
                                        8,  7,  7,  7,  8,  8,  9,  9,  10, 12, 14, 16};
    uint32_t r = below(1 << 16), s = below(1 << 16); /* the sum of two: neither a clock nor a storm */
    return mean * tenths[at / (3600 * USEC_PER_SEC) % 24] * ((usec)r + s) / (10 << 16);
}

static void flush(struct buf *b)
{
    if (b->full || write_all(STDOUT_FILENO, buf_view(b)) < 0)
        die("cannot write");
    buf_reset(b);
}

int main(int argc, char **argv)
{
    uint64_t events, seed = 1;
    if (argc < 3 || argc > 4 || !str_u64(str_of(argv[1]), &events) || events < 1 ||
        (argc == 4 && !str_u64(str_of(argv[3]), &seed))) {
        fprintf(stderr, "usage: gen EVENTS LOGHUB2K_FOLDER [SEED]\n");
        return 2;
    }
    state = seed * 0x632be59bd9b4e019u;
    const struct app *worker = &apps[LENGTH(apps) - 2];
    for (size_t i = 0; i < LENGTH(apps); i++)
        if (apps[i].kind == LOGHUB)
            read_messages(&apps[i], argv[2]);
    struct buf out = BUF_INIT(16 << 20);
    usec at = BEGIN_US, mean = DAYS * 86400 * USEC_PER_SEC / (usec)events;
    for (uint64_t i = 0; i < events; i++) {
        bool rare = events >= 5 && (i == events / 5 || i == events / 2 || i == events / 5 * 4);
        at += gap(at, mean);
        usec late = below(100) ? 0 : below(30 * USEC_PER_SEC);
        put_event(&out, rare ? worker : an_app(), at - late, rare);
        if (out.n >= FLUSH)
            flush(&out);
    }
    flush(&out);
    arena_done(&kept);
    return 0;
}
