#include "agent/ledger.h"
#include "agent/health.h"
#include "agent/run.h"
#include "base/file.h"

#include <inttypes.h>
#include <unistd.h>

#define REPORT_MAX (60u << 10) /* logd takes 64 KiB */

/* Bytes that are not acknowledged yet, of what is on disk now. */
static uint64_t lag_of(const struct source *s)
{
    uint64_t lag = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct file *f = s->files[i];
        struct stat st;
        bool there = stat(f->path, &st) == 0 && st.st_ino == f->ino && st.st_dev == f->dev && !f->gz;
        uint64_t size = there ? (uint64_t)st.st_size : f->size;
        lag += !f->done && size > f->acked ? size - f->acked : 0;
    }
    return lag;
}

static void put_row(struct buf *b, const struct source *s, const char *name)
{
    buf_lit(b, "{\"file\":");
    buf_json(b, str_of(name));
    buf_printf(b, ",\"read\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"acknowledged\":%" PRIu64, s->read, s->sent, s->acked);
    buf_printf(b, ",\"dropped\":%" PRIu64 ",\"lag\":%" PRIu64 "},", s->dropped, lag_of(s));
}

static void add_up(struct source *sum, const struct source *s)
{
    sum->read += s->read;
    sum->sent += s->sent;
    sum->acked += s->acked;
    sum->dropped += s->dropped;
}

void ledger_put(const struct follow *fo, const struct pending *p, struct buf *b)
{
    struct source rest = fo->forgotten;
    uint64_t lag = 0;
    rest.n = 0;
    buf_printf(b, "{\"agent\":\"%s\",\"host\":", p->agent);
    buf_json(b, str_of(fo->host));
    buf_printf(b, ",\"version\":\"" LOGD_VERSION "\",\"duplicates\":%" PRIu64 ",\"sources\":[", p->duplicates);
    for (size_t i = 0; i < fo->n; i++)
        if (b->n < REPORT_MAX - 2 * PATH_MAX) {
            put_row(b, fo->sources[i], fo->sources[i]->path);
        } else {
            add_up(&rest, fo->sources[i]);
            lag += lag_of(fo->sources[i]);
        }
    buf_printf(b, "{\"file\":\"(others)\",\"read\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"acknowledged\":%" PRIu64,
               rest.read, rest.sent, rest.acked);
    buf_printf(b, ",\"dropped\":%" PRIu64 ",\"lag\":%" PRIu64 "}]}", rest.dropped, lag);
}

uint64_t ledger_lag(const struct follow *fo)
{
    uint64_t lag = 0;
    for (size_t i = 0; i < fo->n; i++)
        lag += lag_of(fo->sources[i]);
    return lag;
}

static void print_row(struct buf *b, const struct source *s, const char *name)
{
    buf_printf(b, "%12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %9" PRIu64 " %12" PRIu64 "  %s\n", s->read, s->sent,
               s->acked, s->dropped, lag_of(s), name);
}

void ledger_print(const struct follow *fo, const struct pending *p, struct buf *b)
{
    buf_printf(b, "%" PRIu64 " events were sent again and known already\n", p->duplicates);
    if (p->under_way)
        buf_printf(b, "batch %" PRIu64 " of %u lines waits for its answer\n", p->seq, p->events);
    buf_printf(b, "%12s %12s %12s %9s %12s  %s\n", "READ", "SENT", "ACKNOWLEDGED", "DROPPED", "LAG (BYTES)", "FILE");
    for (size_t i = 0; i < fo->n; i++)
        print_row(b, fo->sources[i], fo->sources[i]->path);
    if (fo->forgotten.read)
        print_row(b, &fo->forgotten, "(files that are gone)");
}

/* Of an agent that does not run, or does not answer. */
static int print_state(const char *state, struct buf *b, struct err *e)
{
    struct follow fo;
    struct pending p;
    char path[PATH_MAX];
    struct err ignored;
    follow_init(&fo, NULL, 0);
    pending_init(&p);
    snprintf(path, sizeof path, "%s/state", state);
    int rc = access(path, F_OK) < 0 ? err_sys(e, "'%s'", path) : state_load(state, &fo, &p, e);
    if (rc == 0) {
        snprintf(path, sizeof path, "%s/lock", state);
        int lock = file_lock(path, &ignored);
        buf_printf(b, "agent %s is %s\n", p.agent, lock < 0 ? "running, and does not answer" : "not running");
        ledger_print(&fo, &p, b);
        if (lock >= 0)
            close(lock);
    }
    follow_done(&fo);
    pending_done(&p);
    return rc;
}

int run_status(const char *state, struct err *e)
{
    struct buf b = BUF_INIT(64u << 20);
    struct err ignored;
    int rc = health_ask(state, &b, &ignored) == 0 ? 0 : print_state(state, &b, e);
    if (rc == 0)
        fwrite(b.p, 1, b.n, stdout);
    buf_done(&b);
    return rc;
}
