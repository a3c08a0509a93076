/* backtest.c - `logd rules backtest`: the mails that rules would have sent for events of the past, from a file or from a server.
 *
 * What runs is what runs in production (trial.h), on a clock that is each event's own time. Events of a file are read as if
 * they had been posted, but for `app`, which is believed; the file may be gzipped. */
#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "base/str.h"
#include "cli.h"
#include "default_rules.h"
#include "event/event.h"
#include "rules_cli.h"
#include "trial.h"

#include <errno.h>
#include <jansson.h>
#include <unistd.h>
#include <zlib.h>

enum { PAGE = 10000 };

struct backtest {
    struct cli *c;
    struct trial *trial;
    struct event_writer *writer;
    FILE *mails;     /* NULL: none are asked for */
    struct map ids;  /* ours to the input's, when events come from a file */
    struct map sums; /* "DAY RULE" to struct sum */
    usec now;
    uint64_t events, refused;
    char why[500]; /* the first refusal */
};
struct sum {
    uint64_t immediate, other;
};

/* ---- what comes out ---- */

static str input_id(struct backtest *b, str id)
{
    const char *theirs = map_get(&b->ids, id);
    return theirs ? str_of(theirs) : id;
}

static void put_mail(struct backtest *b, const struct trial_mail *m, struct buf *out)
{
    str ids = m->events;
    buf_printf(out, "{\"ts\":%lld.%06lld", (long long)(m->at / USEC_PER_SEC), (long long)(m->at % USEC_PER_SEC));
    buf_member(out, "event", m->event.n ? input_id(b, m->event) : m->event);
    buf_lit(out, ",\"events\":[");
    for (size_t n = 0; ids.n; n++) {
        str id = str_cut(&ids, ' ');
        if (n)
            buf_byte(out, ',');
        buf_json(out, input_id(b, id));
    }
    buf_lit(out, "]");
    buf_member(out, "incident", m->incident);
    buf_printf(out, ",\"rank\":\"P%d\"", m->rank);
    buf_member(out, "rule", m->rule);
    buf_member(out, "host", m->host);
    buf_member(out, "kind", m->kind);
    buf_member(out, "to", m->to);
    buf_member(out, "subject", m->subject);
    buf_lit(out, "}\n");
}

static void on_mail(const struct trial_mail *m, void *arg)
{
    struct backtest *b = arg;
    struct buf line = BUF_INIT(64u << 10);
    char at[TIME_TEXT_MAX], name[200];
    time_print(m->at * NSEC_PER_USEC, 0, at);
    snprintf(name, sizeof name, "%.10s %.*s", at, STR_ARG(str_head(m->rule, 100)));
    struct sum *s = map_get(&b->sums, str_of(name));
    if (!s)
        map_set(&b->sums, str_of(name), s = xcalloc(1, sizeof *s));
    *(str_eq(m->kind, S("immediate")) ? &s->immediate : &s->other) += 1;
    put_mail(b, m, &line);
    if (b->mails)
        fwrite(line.p, 1, line.n, b->mails);
    buf_done(&line);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* A line for each day and rule that would have mailed. */
static void print_sums(struct backtest *b)
{
    struct map_slot *slot;
    size_t n = 0, cap = 16;
    char **lines = xmalloc(cap * sizeof *lines);
    struct sum all = {0, 0};
    for (size_t i = 0; (slot = map_next(&b->sums, &i));) {
        const struct sum *s = slot->value;
        struct buf line = BUF_INIT(400);
        buf_printf(&line, "%.*s: %llu mail%s, %llu reminder%s and digest%s", (int)slot->key_n, slot->key,
                   (unsigned long long)s->immediate, s->immediate == 1 ? "" : "s", (unsigned long long)s->other,
                   s->other == 1 ? "" : "s", s->other == 1 ? "" : "s");
        buf_byte(&line, '\0');
        if (n == cap)
            lines = xrealloc(lines, (cap *= 2) * sizeof *lines);
        lines[n++] = buf_take(&line, NULL);
        all.immediate += s->immediate;
        all.other += s->other;
    }
    qsort(lines, n, sizeof *lines, by_name);
    for (size_t i = 0; i < n; i++) {
        puts(lines[i]);
        free(lines[i]);
    }
    free(lines);
    printf("%llu events, %llu mails, %llu digests and others", (unsigned long long)b->events,
           (unsigned long long)all.immediate, (unsigned long long)all.other);
    if (b->refused)
        printf("; %llu events were refused, the first: %s", (unsigned long long)b->refused, b->why);
    putchar('\n');
}

/* ---- what goes in ---- */

static void run_line(struct backtest *b, str line, nsec time)
{
    usec at = time / NSEC_PER_USEC;
    b->now = at > b->now ? at : b->now; /* as if it had been received then */
    trial_event(b->trial, line, b->now);
    b->events++;
}

static void refuse(struct backtest *b, size_t number, const char *why)
{
    if (b->refused++ == 0)
        snprintf(b->why, sizeof b->why, "line %zu: %s", number, why);
}

static void run_posted(struct backtest *b, str line, size_t number)
{
    json_error_t bad;
    struct err e;
    size_t used;
    json_t *o = json_loadb(line.p, line.n, 0, &bad);
    const char *app = json_string_value(json_object_get(o, "app")), *id = json_string_value(json_object_get(o, "id"));
    usec far = 4000000000LL * USEC_PER_SEC; /* so that no time is too far ahead; each line a reception of its own */
    struct event_source from = {.app = str_of(app ? app : "test"), .now = far};
    struct batch *batch = batch_new(RECORD_EVENTS, 1, far + (usec)number);
    nsec time;
    int severity;
    if (event_add(b->writer, &from, line, batch, &used, &e) < 0) {
        refuse(b, number, e.text);
    } else {
        str stored = str_n(batch->body.p, batch->body.n - 1),
            ours = str_n(stored.p + sizeof "{\"id\":\"" - 1, EVENT_ID_LEN);
        if (id)
            map_set(&b->ids, ours, xstrdup(id));
        if (event_peek(stored, &time, &severity))
            run_line(b, stored, time);
    }
    batch_free(batch);
    json_decref(o);
}

static int run_file(struct backtest *b, const char *path)
{
    gzFile f = gzopen(path, "rb");
    struct buf line = BUF_INIT(2u << 20);
    char part[64 << 10];
    size_t number = 0;
    if (!f)
        return cli_fail(b->c, "--events: open '%s': %s", path, strerror(errno));
    while (gzgets(f, part, sizeof part)) {
        buf_str(&line, str_of(part));
        str whole = str_trim(buf_view(&line));
        if (part[strlen(part) - 1] != '\n' && !gzeof(f) && !line.full)
            continue;
        number++;
        if (line.full)
            refuse(b, number, "it is longer than 2 MiB");
        else if (whole.n)
            run_posted(b, whole, number);
        buf_reset(&line);
    }
    buf_done(&line);
    gzclose(f);
    return CLI_DONE;
}

static int run_page(struct backtest *b, struct client *cl, struct http_answer *a, const char *cursor)
{
    struct buf path = BUF_INIT(64u << 10);
    struct err e;
    nsec time;
    int severity;
    buf_printf(&path, "/v1/query?order=asc&format=ndjson&limit=%d&from=", PAGE);
    buf_url(&path, str_of(cli_get(b->c, "--from") ? cli_get(b->c, "--from") : "-30d"), false);
    if (cli_get(b->c, "--to")) {
        buf_lit(&path, "&to=");
        buf_url(&path, str_of(cli_get(b->c, "--to")), false);
    }
    if (cursor[0]) {
        buf_lit(&path, "&cursor=");
        buf_url(&path, str_of(cursor), false);
    }
    buf_byte(&path, '\0');
    int code = client_call(cl, "GET", path.p, (str){0}, a, &e) < 0 ? cli_err(b->c, &e) : CLI_DONE;
    for (str rest = buf_view(&a->body); code == CLI_DONE && rest.n;) {
        str line = str_cut(&rest, '\n');
        if (event_peek(line, &time, &severity))
            run_line(b, line, time);
    }
    buf_done(&path);
    return code;
}

static int run_stored(struct backtest *b)
{
    struct client *cl;
    struct http_answer a = {0};
    char cursor[sizeof a.cursor] = "";
    int code = client_open(b->c, false, &cl);
    if (code != CLI_DONE)
        return code;
    do {
        code = run_page(b, cl, &a, cursor);
        snprintf(cursor, sizeof cursor, "%s", a.cursor);
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\r%llu events", (unsigned long long)b->events);
    } while (code == CLI_DONE && cursor[0]);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    http_answer_done(&a);
    client_close(cl);
    return code;
}

/* ---- all ---- */

static void backtest_done(struct backtest *b)
{
    struct map_slot *slot;
    trial_free(b->trial);
    event_writer_free(b->writer);
    for (size_t i = 0; (slot = map_next(&b->ids, &i));)
        free(slot->value);
    for (size_t i = 0; (slot = map_next(&b->sums, &i));)
        free(slot->value);
    map_done(&b->ids);
    map_done(&b->sums);
}

static int run(struct cli *c, const struct rules_set *set, FILE *mails)
{
    struct backtest b = {.c = c, .writer = event_writer_new(), .mails = mails};
    struct config_recipient ops = {.email = (char[]){"ops@example.com"}, .min = 3, .digest_minute = 510};
    struct config config = {.mail = {.url = (char[]){"maildir:."}}, .recipients = &ops, .recipients_n = 1};
    b.trial = trial_new(set, &config, on_mail, &b);
    int code = cli_get(c, "--events") ? run_file(&b, cli_get(c, "--events")) : run_stored(&b);
    if (code == CLI_DONE) {
        trial_until(b.trial, b.now);
        trial_until(b.trial, INT64_MAX);
        print_sums(&b);
    }
    backtest_done(&b);
    return code == CLI_DONE ? cli_flush(c) : code;
}

/* Without files: the rules that logd comes with. */
int cli_backtest(struct cli *c)
{
    struct rules_set *set = rules_set_new();
    struct err e;
    FILE *mails = NULL;
    const char *out = cli_get(c, "--mails");
    int code = CLI_DONE;
    if (c->args_n ? rules_read_files(set, (int)c->args_n, c->args, "backtest") < 0
                  : rules_parse(set, "default.yaml", str_of(default_rules), &e) < 0)
        code = CLI_FAILED;
    else if (out && !(mails = fopen(out, "we")))
        code = cli_fail(c, "--mails: open '%s': %s", out, strerror(errno));
    if (code == CLI_DONE)
        code = run(c, set, mails);
    if (mails && fclose(mails) != 0 && code == CLI_DONE)
        code = cli_fail(c, "--mails: write '%s': %s", out, strerror(errno));
    rules_set_free(set);
    return code;
}
