/* Any bytes as a message and as a stack: what is printed of a shape fits its message, a kept shape finds the template that
 * its message found, and frames are views of the text. */
#include "base/str.h"
#include "issues/issues.h"
#include "issues/patterns.h"
#include "issues/stack.h"
#include "issues/templates.h"

static void on_join(void *arg, uint64_t from, uint64_t into)
{
    (void)arg;
    assert(from != into);
}

static void check_frames(str text)
{
    static struct stack s;
    stack_read(text, GROUPING_NEWEST, &s);
    assert(s.n <= STACK_FRAMES);
    for (size_t i = 0; i < s.n; i++) {
        str f = s.frames[i].function;
        assert(f.n == 0 || f.n <= text.n + sizeof "<module>");
    }
}

/* What has become of an id stays so, and texts that are one pattern have one text. */
static void check_patterns(str text, struct arena *a)
{
    static struct patterns *p;
    static struct event ev = {.n = 1};
    str id, message, now, again, said, same;
    p = p ? p : patterns_new(NULL);
    while (text.p) {
        ev.f[0] = (struct field){.name = S("message"), .raw = str_cut(&text, '\n'), .kind = VALUE_STRING};
        if (!patterns_offer(p, &ev, a, &id, &message))
            continue;
        patterns_now(p, id, a, &now, &said);
        patterns_now(p, now, a, &again, &same);
        assert(str_eq(now, again) && str_eq(said, same) && said.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct templates *t;
    static struct shape s;
    str text = str_n((const char *)data, size), rest = text;
    struct arena a = {0};
    struct fingerprint fp;
    if (!t)
        t = templates_new(on_join, NULL);
    while (rest.p) {
        str line = str_cut(&rest, '\n');
        shape_read(line, &s);
        assert(s.n <= SHAPE_TOKENS);
        for (size_t i = 0; i < s.n; i++)
            assert(s.t[i].at + s.t[i].n <= line.n);
        uint64_t id = shape_id(1, &s), found = templates_offer(t, 1, id, line, &s).id;
        assert(templates_learn(t, 1, id, &s).id == found);
    }
    check_frames(text);
    fingerprint_trace(S("app"), text, &a, &fp);
    check_patterns(text, &a);
    arena_done(&a);
    return 0;
}
