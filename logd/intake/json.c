#include "intake/json.h"
#include "base/str.h"
#include "event/json.h"

int records_open(struct records *r, str body, struct err *e)
{
    if (str_starts(body, S("\xef\xbb\xbf")))
        body = str_skip(body, 3);
    else if (str_starts(body, S("\xff\xfe")) || str_starts(body, S("\xfe\xff")) ||
             (body.n >= 2 && (!body.p[0] || !body.p[1])))
        return err_set(e, ERR_INPUT, "expected a body in UTF-8, got UTF-16 or UTF-32");
    *r = (struct records){.p = body.p, .start = body.p, .end = body.n ? body.p + body.n : body.p};
    return 0;
}

static void skip_blanks(struct records *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
}

/* Up to the next line's first byte. */
static void skip_line(struct records *r, const char *from)
{
    const char *nl = memchr(from, '\n', (size_t)(r->end - from));
    r->p = nl ? nl + 1 : r->end;
}

static enum records_is bad(struct records *r, struct err *e, const char *expected)
{
    size_t byte = (size_t)(r->p - r->start) + 1;
    r->count++;
    if (r->p == r->end)
        (void)err_set(e, ERR_INPUT, "expected %s, got the end of the body", expected);
    else if ((unsigned char)*r->p < 0x21 || (unsigned char)*r->p > 0x7e)
        (void)err_set(e, ERR_INPUT, "expected %s, got byte 0x%02x at byte %zu of the body", expected,
                      (unsigned char)*r->p, byte);
    else
        (void)err_set(e, ERR_INPUT, "expected %s, got '%c' at byte %zu of the body", expected, *r->p, byte);
    return RECORDS_BAD;
}

/* Over an element that is no object, to what ends it. */
static void skip_element(struct records *r)
{
    while (r->p < r->end && *r->p != ',' && *r->p != ']' && *r->p != '{') {
        size_t left = (size_t)(r->end - r->p), n = 1;
        if (*r->p == '[')
            n = json_balance((str){r->p, left});
        else if (*r->p == '"')
            while (n < left && r->p[n - (n > 1)] != '"')
                n += r->p[n] == '\\' ? 2 : 1;
        r->p = n && n < left ? r->p + n : r->end;
    }
    r->at = AT_COMMA;
}

static enum records_is give(struct records *r, str *ret)
{
    r->record = r->p;
    r->count++;
    *ret = (str){r->p, (size_t)(r->end - r->p)};
    return RECORDS_OBJECT;
}

/* One step inside an array: RECORDS_END: nothing to give yet, go on. */
static enum records_is array_step(struct records *r, str *ret, struct err *e)
{
    if (r->p == r->end) {
        r->at = AT_VALUE;
        return bad(r, e, "',' or ']' of the array");
    }
    if (r->at == AT_COMMA && *r->p == ',') {
        r->at = AT_ELEMENT;
        r->p++;
        return RECORDS_END;
    }
    if (*r->p == ']') {
        enum records_is is = r->at == AT_ELEMENT ? bad(r, e, "an object behind ','") : RECORDS_END;
        r->at = AT_VALUE;
        r->p++;
        return is;
    }
    if (r->at == AT_COMMA) { /* the comma is missing; an object is looked at all the same */
        enum records_is is = bad(r, e, "',' or ']' behind a record");
        if (*r->p == '{')
            r->at = AT_ELEMENT;
        else
            skip_element(r);
        return is;
    }
    if (*r->p == '{')
        return give(r, ret);
    enum records_is is = bad(r, e, "an object");
    skip_element(r);
    return is;
}

enum records_is records_next(struct records *r, str *ret, struct err *e)
{
    enum records_is is;
    for (;;) {
        skip_blanks(r);
        if (r->at != AT_VALUE) {
            is = array_step(r, ret, e);
            if (is != RECORDS_END)
                return is;
        } else if (r->p == r->end) {
            return RECORDS_END;
        } else if (*r->p == '{') {
            return give(r, ret);
        } else if (*r->p == '[') {
            r->at = AT_FIRST;
            r->p++;
        } else {
            is = bad(r, e, "an object or an array");
            skip_line(r, r->p);
            return is;
        }
    }
}

/* The next record behind a bad one that stood between arrays. */
static void resync_line(struct records *r)
{
    const char *nl = memchr(r->record, '\n', (size_t)(r->end - r->record));
    str line = {r->record, (size_t)((nl ? nl : r->end) - r->record)};
    if (str_trim(line).n == 1) { /* pretty-printed: the next '{' that starts a line */
        ptrdiff_t n = str_find((str){r->record, (size_t)(r->end - r->record)}, S("\n{"));
        r->p = n < 0 ? r->end : r->record + n + 1;
        return;
    }
    size_t n = json_balance(line);
    str rest = str_trim(str_skip(line, n));
    if (n && rest.n && rest.p[0] == '{') /* several on one line */
        r->p = rest.p;
    else
        skip_line(r, r->record);
}

void records_took(struct records *r, bool ok, size_t n)
{
    size_t left = (size_t)(r->end - r->record);
    if (!ok && json_balance((str){r->record, n}) != n) {
        if (r->at == AT_VALUE) {
            resync_line(r);
            return;
        }
        n = json_balance((str){r->record, left});
        if (n == 0) { /* never ends: it was the last */
            r->at = AT_VALUE;
            n = left;
        }
    }
    r->p = r->record + n;
    if (r->at != AT_VALUE)
        r->at = AT_COMMA;
}

int intake_json(struct event_writer *w, const struct event_source *src, str body, struct batch *b, struct err *e)
{
    struct records r;
    enum records_is is;
    str record;
    uint32_t most = src->max_events ? src->max_events : LIMIT_EVENTS;
    if (records_open(&r, body, e) < 0)
        return -1;
    while ((is = records_next(&r, &record, e)) != RECORDS_END) {
        size_t n = 0;
        if (r.count > most)
            return err_set(e, ERR_FULL, "expected at most %u events in a request, got more", most);
        int rc = is == RECORDS_OBJECT ? event_add(w, src, record, b, &n, e) : -1;
        if (rc < 0 && e->kind == ERR_FULL)
            return -1;
        if (is == RECORDS_OBJECT)
            records_took(&r, rc == 0, n);
        if (rc < 0)
            batch_reject(b, r.count - 1, e->pointer, e->text);
    }
    return 0;
}
