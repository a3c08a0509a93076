#include "agent/join.h"

#include "base/arena.h"
#include "event/json.h"
#include "event/regex.h"
#include "event/trace.h"

enum stream { PLAIN, DOCKER_OUT, DOCKER_ERR, CRI_OUT, CRI_ERR, STREAMS };

struct line { /* a whole one, or what came of it */
    struct buf text;
    uint64_t at, end;       /* of its first and its last line in the file */
    uint32_t lines, others; /* of the file in it; that came since and are not in it */
    char time[JOIN_TIME];
    bool there, cut;
};
struct open { /* an event that may go on, or waits for its turn */
    struct line l;
    struct trace trace;
    enum stream stream;
    uint32_t blanks; /* empty lines that count if it goes on */
    size_t last;     /* where its last line starts */
    bool complete;
};
struct joiner {
    enum join_kind kind;
    struct regex *pattern;
    struct arena arena;           /* of a match */
    struct buf decoded;           /* a docker line's text */
    struct line partial[STREAMS]; /* whose end is still to come */
    struct open slots[JOIN_OPEN];
    struct open *order[JOIN_OPEN]; /* the first n are in use, sorted by place */
    size_t n, ready;               /* so many of the first can be handed out: no other lies between their lines */
    bool given;                    /* the first was handed out and still is looked at */
    bool contained;                /* the last line was a container's */
};

struct joiner *joiner_new(enum join_kind kind, str pattern, struct err *e)
{
    size_t at;
    struct joiner *j = xcalloc(1, sizeof *j);
    j->kind = kind;
    buf_init(&j->decoded, 1u << 20);
    for (size_t i = 0; i < JOIN_OPEN; i++) {
        buf_init(&j->slots[i].l.text, 4 * JOIN_BYTES);
        j->order[i] = &j->slots[i];
    }
    for (size_t i = 0; i < STREAMS; i++)
        buf_init(&j->partial[i].text, 4 * JOIN_BYTES);
    if (kind >= JOIN_STARTS && regex_compile(pattern, &j->pattern, &at, e) < 0) {
        joiner_free(j);
        return NULL;
    }
    return j;
}

void joiner_free(struct joiner *j)
{
    if (!j)
        return;
    for (size_t i = 0; i < JOIN_OPEN; i++)
        buf_done(&j->slots[i].l.text);
    for (size_t i = 0; i < STREAMS; i++)
        buf_done(&j->partial[i].text);
    buf_done(&j->decoded);
    arena_done(&j->arena);
    regex_free(j->pattern);
    free(j);
}

/* ---- wrappings ---- */

struct unwrapped {
    enum stream stream;
    str text, time;
    bool partial;
};

/* An object of nothing but log, stream, time and attrs. */
static bool unwrap_docker(struct joiner *j, str line, struct unwrapped *ret)
{
    struct json json;
    struct json_token t;
    enum json_kind kind;
    bool log = false;
    if (!str_starts(line, S("{\"log\":")) && !str_starts(line, S("{\"stream\":")))
        return false;
    *ret = (struct unwrapped){.stream = DOCKER_OUT};
    json_init(&json, line, 8);
    if (json_next(&json, &t) != J_OBJECT)
        return false;
    while ((kind = json_next(&json, &t)) >= J_NULL) {
        if (str_eq(t.name, S("log")) && kind == J_STRING) {
            buf_reset(&j->decoded);
            if (!buf_room(&j->decoded, json_decoded_max(t.raw.n, t.flags)))
                return false;
            j->decoded.n = json_decode(t.raw, j->decoded.p);
            log = true;
        } else if (str_eq(t.name, S("stream")) && kind == J_STRING) {
            ret->stream = str_eq(t.raw, S("stderr")) ? DOCKER_ERR : DOCKER_OUT;
        } else if (str_eq(t.name, S("time")) && kind == J_STRING) {
            ret->time = t.raw;
        } else if (!str_eq(t.name, S("attrs")) || (kind >= J_ARRAY && json_skip(&json) != J_CLOSE)) {
            return false;
        }
    }
    ret->text = buf_view(&j->decoded);
    ret->partial = !str_ends(ret->text, S("\n"));
    ret->text.n -= !ret->partial;
    return log && kind == J_CLOSE;
}

/* "2019-05-07T18:57:50.904275087+00:00 stdout P text" */
static bool unwrap_cri(str line, struct unwrapped *ret)
{
    str rest = line, time = str_cut(&rest, ' '), stream = str_cut(&rest, ' '), tag = str_cut(&rest, ' ');
    bool err = str_eq(stream, S("stderr"));
    if (time.n < 20 || time.n >= JOIN_TIME || time.p[4] != '-' || time.p[10] != 'T' ||
        !(err || str_eq(stream, S("stdout"))) || tag.n == 0 || (tag.p[0] != 'P' && tag.p[0] != 'F') ||
        (tag.n > 1 && tag.p[1] != ':'))
        return false;
    *ret = (struct unwrapped){
        .stream = err ? CRI_ERR : CRI_OUT, .text = rest.p ? rest : S(""), .time = time, .partial = tag.p[0] == 'P'};
    return true;
}

/* ---- events in the making ---- */

static void line_begin(struct line *l, str time, uint64_t at)
{
    buf_reset(&l->text);
    l->at = l->end = at;
    l->lines = l->others = 0;
    l->there = true;
    l->cut = false;
    snprintf(l->time, sizeof l->time, "%.*s", STR_ARG(time));
}

static void line_add(struct line *l, str text, uint64_t at, uint32_t lines, bool cut)
{
    buf_str(&l->text, text);
    l->end = at;
    l->lines += lines;
    l->others = 0;
    l->cut |= cut;
}

/* The event of a stream that may go on, or NULL. */
static struct open *of_stream(struct joiner *j, enum stream s)
{
    for (size_t i = j->n; i-- > 0;)
        if (j->order[i]->stream == s && !j->order[i]->complete)
            return j->order[i];
    return NULL;
}

static struct open *insert(struct joiner *j, uint64_t at)
{
    assert(j->n < JOIN_OPEN); /* joiner_add sees to it that there is room */
    struct open *o = j->order[j->n];
    size_t i = j->n++;
    for (; i > 0 && j->order[i - 1]->l.at > at; i--)
        j->order[i] = j->order[i - 1];
    j->order[i] = o;
    return o;
}

static bool found(struct joiner *j, str line)
{
    bool gave_up = false;
    arena_reset(&j->arena);
    return regex_match(j->pattern, line, &j->arena, &gave_up);
}

/* Does a line of the stream whose last event is `o` belong to it? */
static bool goes_on(struct joiner *j, struct open *o, str line)
{
    if (o->l.text.n + o->blanks + 1 + line.n > JOIN_BYTES || o->l.lines >= JOIN_LINES)
        return false;
    switch (j->kind) {
    case JOIN_AUTO: return trace_goes_on(&o->trace, line);
    case JOIN_STARTS: return !found(j, line);
    case JOIN_GOES_ON: return found(j, str_skip(buf_view(&o->l.text), o->last));
    default: return false;
    }
}

static void append(struct open *o, const struct line *l)
{
    for (uint32_t i = 0; i <= o->blanks; i++)
        buf_byte(&o->l.text, '\n');
    o->last = o->l.text.n;
    o->blanks = 0;
    line_add(&o->l, buf_view(&l->text), l->end, l->lines, l->cut);
}

static void add_whole(struct joiner *j, enum stream s, struct line *l)
{
    struct open *o = of_stream(j, s);
    str text = buf_view(&l->text);
    l->there = false;
    if (o && str_trim(text).n == 0) {
        o->blanks++;
        line_add(&o->l, S(""), l->end, l->lines, l->cut);
        return;
    }
    if (o && goes_on(j, o, text)) {
        append(o, l);
        return;
    }
    if (o)
        o->complete = true;
    o = insert(j, l->at);
    line_begin(&o->l, str_of(l->time), l->at);
    line_add(&o->l, text, l->end, l->lines, l->cut);
    trace_begin(&o->trace, text);
    o->stream = s;
    o->blanks = 0;
    o->last = 0;
    o->complete = j->kind == JOIN_NONE;
}

/* A line came that is not of stream s. `all`: nor is it of any container. */
static void pass(struct joiner *j, enum stream s, bool all)
{
    for (enum stream i = 0; i < STREAMS; i++) {
        struct line *l = &j->partial[i];
        bool late = i != s && (all || (l->there && ++l->others > JOIN_PATIENCE));
        if (late && l->there)
            add_whole(j, i, l);
        struct open *o = i != s ? of_stream(j, i) : NULL;
        if (o && (late || ++o->l.others > JOIN_PATIENCE || i == PLAIN))
            o->complete = true;
    }
}

static void drop_given(struct joiner *j)
{
    if (!j->given)
        return;
    struct open *o = j->order[0];
    j->given = false;
    j->n--;
    j->ready--;
    memmove(j->order, j->order + 1, j->n * sizeof o);
    j->order[j->n] = o;
}

/* ---- what the caller sees ---- */

void joiner_add(struct joiner *j, str line, uint64_t at, bool cut)
{
    struct unwrapped u;
    drop_given(j);
    assert(j->ready == 0);
    if (!unwrap_docker(j, line, &u) && !unwrap_cri(line, &u))
        u = (struct unwrapped){.stream = PLAIN, .text = line};
    if (j->contained || u.stream != PLAIN)
        pass(j, u.stream, u.stream == PLAIN);
    j->contained = u.stream != PLAIN;
    struct line *l = &j->partial[u.stream];
    if (!l->there)
        line_begin(l, u.time, at);
    line_add(l, u.text, at, 1, cut);
    if (!u.partial || l->text.n > JOIN_BYTES || l->lines >= JOIN_LINES)
        add_whole(j, u.stream, l);
    if (j->n >= JOIN_OPEN - 2 * STREAMS)
        joiner_end(j);
}

static uint64_t oldest_partial(const struct joiner *j)
{
    uint64_t at = UINT64_MAX;
    for (enum stream i = 0; i < STREAMS; i++)
        if (j->partial[i].there && j->partial[i].at < at)
            at = j->partial[i].at;
    return at;
}

/* The most of the first that are complete and end before whatever follows begins. */
static size_t count_ready(const struct joiner *j)
{
    uint64_t partial = oldest_partial(j), end = 0;
    size_t ready = 0;
    for (size_t i = 0; i < j->n && j->order[i]->complete; i++) {
        end = j->order[i]->l.end > end ? j->order[i]->l.end : end;
        uint64_t next = i + 1 < j->n ? j->order[i + 1]->l.at : UINT64_MAX;
        if (end < (partial < next ? partial : next))
            ready = i + 1;
    }
    return ready;
}

bool joiner_next(struct joiner *j, struct joined *ret)
{
    static const str names[] = {{NULL, 0}, S("stdout"), S("stderr"), S("stdout"), S("stderr")};
    drop_given(j);
    if (j->ready == 0 && (j->ready = count_ready(j)) == 0)
        return false;
    struct open *o = j->order[0];
    *ret = (struct joined){.text = buf_view(&o->l.text),
                           .time = o->l.time[0] ? str_of(o->l.time) : (str){NULL, 0},
                           .stream = names[o->stream],
                           .lines = o->l.lines,
                           .cut = o->l.cut};
    j->given = true;
    return true;
}

uint64_t joiner_done(const struct joiner *j, uint64_t end)
{
    uint64_t partial = oldest_partial(j), at = j->n ? j->order[0]->l.at : end;
    return partial < at ? partial : at;
}

void joiner_end(struct joiner *j)
{
    drop_given(j);
    for (enum stream i = 0; i < STREAMS; i++)
        if (j->partial[i].there)
            add_whole(j, i, &j->partial[i]);
    for (size_t i = 0; i < j->n; i++)
        j->order[i]->complete = true;
}

void joiner_reset(struct joiner *j)
{
    j->n = j->ready = 0;
    j->given = j->contained = false;
    for (enum stream i = 0; i < STREAMS; i++)
        j->partial[i].there = false;
}
