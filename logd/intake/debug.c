#include "intake/debug.h"
#include "base/clock.h"
#include "intake/json.h"

static bool read_all(FILE *in, struct buf *b)
{
    size_t n;
    do {
        if (!buf_room(b, 64 << 10))
            return false;
        n = fread(b->p + b->n, 1, 64 << 10, in);
        b->n += n;
    } while (n > 0);
    return !ferror(in);
}

static void print_error(const struct err *e, FILE *out)
{
    struct buf b = BUF_INIT(8 << 10);
    buf_lit(&b, "{\"error\":");
    buf_json(&b, (str){e->text, strlen(e->text)});
    buf_lit(&b, ",\"pointer\":");
    buf_json(&b, (str){e->pointer, strlen(e->pointer)});
    buf_lit(&b, "}\n");
    fwrite(b.p, 1, b.n, out);
    buf_done(&b);
}

static void print_records(struct records *r, FILE *out)
{
    struct event_writer *w = event_writer_new();
    usec now = clock_now();
    struct event_source src = {.app = S("debug"), .now = now};
    struct batch *b = batch_new(RECORD_EVENTS, 0, now);
    enum records_is is;
    struct err e;
    str record;
    while ((is = records_next(r, &record, &e)) != RECORDS_END) {
        size_t n = 0;
        int rc = is == RECORDS_OBJECT ? event_add(w, &src, record, b, &n, &e) : -1;
        if (is == RECORDS_OBJECT)
            records_took(r, rc == 0, n);
        if (rc < 0)
            print_error(&e, out);
        else
            fwrite(b->body.p, 1, b->body.n, out);
        buf_reset(&b->body);
        b->events &= (1 << 20) - 1; /* rows of an id */
    }
    batch_free(b);
    event_writer_free(w);
}

int debug_parse(FILE *in, FILE *out)
{
    struct buf body = BUF_INIT((size_t)4 << 30);
    struct records r;
    struct err e;
    int rc = 0;
    if (!read_all(in, &body)) {
        fprintf(stderr, "logd: read the events: it failed or there are more than 4 GiB\n");
        rc = 1;
    } else if (records_open(&r, buf_view(&body), &e) < 0) {
        print_error(&e, out);
    } else {
        print_records(&r, out);
    }
    buf_done(&body);
    return fflush(out) != 0 ? 1 : rc;
}
