/* state.c - the file `state`, lines of text and then bytes:
 *
 *   logd-agent 1 CHECK               xxh64 of all that follows, 16 hex digits
 *   batch AGENT SEQ EVENTS ENCODING BYTES DUPLICATES     BYTES 0: none is under way
 *   forgotten READ SENT ACKED DROPPED CUT
 *   source READ SENT ACKED DROPPED CUT FIRST N LINES SINCE PATH
 *                                    FIRST N LINES: its events and lines in the batch; SINCE: look around for what is
 *                                    younger (ns), 0: no need
 *   file DEV INO ACKED SENT SEEN HEAD TAIL MTIME SIZE FLAGS PATH     of the source above; hex from HEAD to TAIL
 *   (an empty line, then the batch as it is sent)
 *
 * Paths are percent-encoded. FLAGS: 1 gz, 2 skip at SENT, 4 skip at ACKED, 8 done. */
#include "agent/state.h"
#include "base/file.h"
#include "base/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#define STATE_MAX (256u << 20)
#define BODY_MAX (64u << 20)
enum { GZ = 1, SKIP = 2, ACKED_SKIP = 4, DONE = 8 };

void pending_init(struct pending *p)
{
    *p = (struct pending){.seq = 1, .body = BUF_INIT(BODY_MAX)};
    pending_new_agent(p);
}

void pending_done(struct pending *p) { buf_done(&p->body); }

void pending_new_agent(struct pending *p)
{
    uint64_t id;
    random_bytes(&id, sizeof id);
    snprintf(p->agent, sizeof p->agent, "%016" PRIx64, id);
}

static void put_counts(struct buf *b, const char *what, const struct source *s)
{
    buf_printf(b, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, what, s->read, s->sent, s->acked,
               s->dropped, s->cut);
}

static void put_source(struct buf *b, const struct source *s)
{
    put_counts(b, "source", s);
    buf_printf(b, " %u %u %u %" PRId64 " ", s->batch_first, s->batch_n, s->batch_read, s->again ? s->look_since : 0);
    buf_url(b, str_of(s->path), true);
    buf_byte(b, '\n');
    for (size_t i = 0; i < s->n; i++) {
        const struct file *f = s->files[i];
        unsigned flags = (f->gz ? GZ : 0u) | (f->skip ? SKIP : 0u) | (f->acked_skip ? ACKED_SKIP : 0u) |
                         (f->done ? DONE : 0u);
        buf_printf(b, "file %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %016" PRIx64 " %016" PRIx64, f->dev,
                   f->ino, f->acked, f->sent, f->head_n, f->head, f->tail);
        buf_printf(b, " %" PRId64 " %" PRIu64 " %u ", f->mtime - f->young, f->size,
                   flags); /* so that any change shows */
        buf_url(b, str_of(f->path), true);
        buf_byte(b, '\n');
    }
}

void state_put(const struct follow *fo, const struct pending *p, struct buf *out)
{
    struct buf b = BUF_INIT(STATE_MAX);
    buf_printf(&b, "batch %s %" PRIu64 " %u %s %zu %" PRIu64 "\n", p->agent, p->seq, p->events,
               p->gzip ? "gzip" : "zstd", p->under_way ? p->body.n : 0, p->duplicates);
    put_counts(&b, "forgotten", &fo->forgotten);
    buf_byte(&b, '\n');
    for (size_t i = 0; i < fo->n; i++)
        put_source(&b, fo->sources[i]);
    buf_byte(&b, '\n');
    if (p->under_way)
        buf_str(&b, buf_view(&p->body));
    buf_printf(out, "logd-agent 1 %016" PRIx64 "\n", xxh64(b.p, b.n, 0));
    buf_str(out, buf_view(&b));
    out->full |= b.full;
    buf_done(&b);
}

int state_save(int dirfd, const struct follow *fo, const struct pending *p, struct err *e)
{
    struct buf whole = BUF_INIT(STATE_MAX);
    state_put(fo, p, &whole);
    int rc = whole.full ? err_set(e, ERR_FULL, "the state is larger than %u bytes", STATE_MAX)
                        : file_replace(dirfd, "state", buf_view(&whole), 0600, e);
    buf_done(&whole);
    return rc;
}

/* ---- reading ---- */

static int hex_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

static char *decoded(str s)
{
    char *out = xmalloc(s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && i + 2 < s.n && hex_of(s.p[i + 1]) >= 0 && hex_of(s.p[i + 2]) >= 0) {
            out[n++] = (char)(hex_of(s.p[i + 1]) * 16 + hex_of(s.p[i + 2]));
            i += 2;
        } else {
            out[n++] = s.p[i];
        }
    }
    out[n] = '\0';
    return out;
}

static uint64_t number(str *line)
{
    uint64_t v = 0;
    str word = str_cut(line, ' ');
    return str_u64(word, &v) ? v : 0;
}

static int64_t signed_number(str *line)
{
    int64_t v = 0;
    str word = str_cut(line, ' ');
    return str_i64(word, &v) ? v : 0;
}

static uint64_t hex(str *line)
{
    uint64_t v = 0;
    str word = str_cut(line, ' ');
    for (size_t i = 0; i < word.n; i++)
        v = v << 4 | (uint64_t)(hex_of(word.p[i]) & 15);
    return v;
}

static void get_counts(str *line, struct source *s)
{
    s->read = number(line);
    s->sent = number(line);
    s->acked = number(line);
    s->dropped = number(line);
    s->cut = number(line);
}

static struct source *get_source(str line, struct follow *fo)
{
    struct source counts = {0};
    get_counts(&line, &counts);
    uint32_t first = (uint32_t)number(&line), n = (uint32_t)number(&line), lines = (uint32_t)number(&line);
    int64_t since = signed_number(&line);
    char *path = decoded(line);
    struct source *s = follow_source(fo, str_of(path));
    free(path);
    s->read = counts.read, s->sent = counts.sent, s->acked = counts.acked;
    s->dropped = counts.dropped, s->cut = counts.cut;
    s->again = since > 0, s->look_since = since;
    s->batch_first = first, s->batch_n = n, s->batch_read = lines;
    return s;
}

static void get_file(str line, struct source *s)
{
    if (s->n)
        s->files[s->n - 1]->old = true;
    struct file *f = source_file(s, s->n);
    f->dev = number(&line);
    f->ino = number(&line);
    f->acked = number(&line);
    f->sent = number(&line);
    f->head_n = (uint32_t)number(&line);
    f->head_n = f->head_n < HEAD_BYTES ? f->head_n : HEAD_BYTES;
    f->head = hex(&line);
    f->tail = hex(&line);
    f->mtime = signed_number(&line);
    f->size = number(&line);
    unsigned flags = (unsigned)number(&line);
    f->gz = flags & GZ;
    f->skip = flags & SKIP;
    f->acked_skip = flags & ACKED_SKIP;
    f->done = f->old = flags & DONE;
    f->path = decoded(line);
}

/* The line "batch …", without its first word. */
static size_t get_batch(str line, struct pending *p)
{
    str agent = str_cut(&line, ' ');
    snprintf(p->agent, sizeof p->agent, "%.*s", STR_ARG(agent));
    p->seq = number(&line);
    p->events = (uint32_t)number(&line);
    p->gzip = str_eq(str_cut(&line, ' '), S("gzip"));
    size_t bytes = number(&line);
    p->duplicates = number(&line);
    return bytes;
}

/* All is as it was written: the checksum was right. */
static void get_all(str text, struct follow *fo, struct pending *p)
{
    struct source *s = NULL;
    size_t bytes = 0;
    for (str line = str_cut(&text, '\n'); line.n; line = str_cut(&text, '\n')) {
        str word = str_cut(&line, ' ');
        if (str_eq(word, S("batch")))
            bytes = get_batch(line, p);
        else if (str_eq(word, S("forgotten")))
            get_counts(&line, &fo->forgotten);
        else if (str_eq(word, S("source")))
            s = get_source(line, fo);
        else if (str_eq(word, S("file")) && s)
            get_file(line, s);
    }
    p->under_way = bytes > 0;
    buf_reset(&p->body);
    buf_str(&p->body, str_head(text, bytes));
}

int state_read(str text, const char *path, struct follow *fo, struct pending *p, struct err *e)
{
    str first = str_cut(&text, '\n');
    if (!str_starts(first, S("logd-agent 1 ")))
        return err_set(e, ERR_CORRUPT, "%s: expected the first line \"logd-agent 1 ...\", got \"%.*s\"", path,
                       STR_ARG(str_head(first, 40)));
    first = str_skip(first, 13);
    if (!text.p || hex(&first) != xxh64(text.p, text.n, 0))
        return err_set(e, ERR_CORRUPT, "%s: is damaged, its checksum is not that of its first line", path);
    get_all(text, fo, p);
    return 0;
}

int state_load(const char *dir, struct follow *fo, struct pending *p, struct err *e)
{
    struct buf b = BUF_INIT(STATE_MAX);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/state", dir);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    int rc = file_read(path, STATE_MAX, &b, e) < 0 ? -1 : state_read(buf_view(&b), path, fo, p, e);
    buf_done(&b);
    return rc;
}
