/* event/filter-match.c - a filter over one event, and over what is known of many. */
#include "event/filter-private.h"

/* ---- one value against one field ---- */

/* The field as a number that can be compared with v->low. */
static bool number_of(const struct filter_value *v, const struct field *f, str text, struct number *ret)
{
    if ((f->kind != VALUE_NUMBER && f->kind != VALUE_STRING) || !number_read(text, ret))
        return false;
    if (ret->unit == UNIT_NONE && v->low.unit != UNIT_NONE)
        number_apply(ret, v->low.unit, v->scale);
    return ret->unit == v->low.unit;
}

/* A number in quotes is text to `:` and `=`, unless units are spoken of. */
static bool equal_number(const struct filter_value *v, const struct field *f, str text)
{
    struct number x;
    return v->numeric && (f->kind == VALUE_NUMBER || v->low.unit != UNIT_NONE) && number_of(v, f, text, &x) &&
           number_cmp(&x, &v->low) == 0;
}

static bool within_time(const struct filter_value *v, nsec t) { return t >= v->t_low && t <= v->t_high; }

static bool text_within_time(const struct filter_value *v, str text)
{
    struct err ignored;
    int digits;
    nsec t;
    return time_read(text, &t, &digits, &ignored) == 0 && within_time(v, t);
}

static bool human_match(const struct filter_node *n, const struct filter_value *v, const struct field *f, str text)
{
    struct number x;
    ip address;
    if (v->form == FORM_EXISTS)
        return true;
    if (n->contains || f->kind == VALUE_JSON)
        return pattern_within(&v->pattern, text);
    if (pattern_match(&v->pattern, text))
        return true;
    switch (v->form) {
    case FORM_TEXT: return equal_number(v, f, text);
    case FORM_RANGE: return number_of(v, f, text, &x) && number_cmp(&x, &v->low) >= 0 && number_cmp(&x, &v->high) <= 0;
    case FORM_IP:
        return ip_read(text, &address) && memcmp(&address, &v->ip_low, sizeof address) >= 0 &&
               memcmp(&address, &v->ip_high, sizeof address) <= 0;
    default: return false;
    }
}

/* Numbers with numbers, text with text. */
static bool ordered_match(enum filter_op op, const struct filter_value *v, const struct field *f, str text)
{
    struct number x;
    int c;
    if (v->numeric) {
        if (!number_of(v, f, text, &x))
            return false;
        c = number_cmp(&x, &v->low);
    } else if (f->kind == VALUE_STRING) {
        c = str_cmp(text, v->text);
    } else {
        return false;
    }
    return op == OP_GT ? c > 0 : op == OP_GE ? c >= 0 : op == OP_LT ? c < 0 : c <= 0;
}

static bool value_match(const struct filter_node *n, const struct filter_value *v, const struct field *f, str text,
                        struct arena *a, bool *gave_up)
{
    if (v->form == FORM_RE)
        return regex_match(v->re, text, a, gave_up);
    if (v->form == FORM_TIME)
        return text_within_time(v, text);
    switch (n->op) {
    case OP_MATCH: return human_match(n, v, f, text);
    case OP_EQ:
    case OP_NE: return str_eq(text, v->text) || equal_number(v, f, text);
    default: return ordered_match(n->op, v, f, text);
    }
}

bool filter_field_match(const struct filter_node *n, const struct field *f, struct arena *a, bool *gave_up)
{
    str text = field_text(f, a);
    for (size_t i = 0; i < n->values_n; i++)
        if (value_match(n, &n->values[i], f, text, a, gave_up))
            return true;
    return false;
}

/* ---- one event ---- */

struct matching {
    const struct event *ev;
    struct arena *a;
    bool gave_up;
};

static bool time_match(const struct filter_node *n, nsec t)
{
    for (size_t i = 0; i < n->values_n; i++)
        if (within_time(&n->values[i], t))
            return true;
    return false;
}

static bool compare_match(struct matching *m, const struct filter_node *n)
{
    if (n->subject == SUBJECT_LEVEL)
        return n->levels >> m->ev->severity & 1;
    if (n->subject == SUBJECT_TIME)
        return time_match(n, m->ev->time) != filter_negative(n);
    const struct field *f = event_field(m->ev, n->field);
    bool is = f && f->kind != VALUE_NULL && filter_field_match(n, f, m->a, &m->gave_up);
    return is != filter_negative(n);
}

/* Text is looked for in what the sender wrote, not in what we added or hold as numbers. */
static bool is_text_field(const struct field *f)
{
    if (f->kind != VALUE_STRING && f->kind != VALUE_JSON)
        return false;
    return !(f->name.n == 2 && str_eq(f->name, S("id"))) && !(f->name.n == 4 && str_eq(f->name, S("time"))) &&
           !(f->name.n == 5 && str_eq(f->name, S("level")));
}

static bool text_match(struct matching *m, const struct filter_node *n)
{
    const struct filter_value *v = n->values;
    for (size_t i = 0; i < m->ev->n; i++) {
        const struct field *f = &m->ev->f[i];
        if (!is_text_field(f))
            continue;
        str text = field_text(f, m->a);
        if (n->kind == NODE_TEXT ? pattern_within(&v->pattern, text) : regex_match(v->re, text, m->a, &m->gave_up))
            return true;
    }
    return false;
}

static bool node_match(struct matching *m, const struct filter_node *n)
{
    switch (n->kind) {
    case NODE_ALL: return true;
    case NODE_TEXT:
    case NODE_TEXT_RE: return text_match(m, n);
    case NODE_COMPARE: return compare_match(m, n);
    case NODE_NOT: return !node_match(m, n->children[0]);
    case NODE_AND:
        for (size_t i = 0; i < n->n; i++)
            if (!node_match(m, n->children[i]))
                return false;
        return true;
    case NODE_OR:
        for (size_t i = 0; i < n->n; i++)
            if (node_match(m, n->children[i]))
                return true;
        return false;
    }
    assert(false && "a kind of node");
    return false;
}

bool filter_node_match(const struct filter_node *n, const struct event *ev, struct arena *a, bool *gave_up)
{
    struct matching m = {ev, a, false};
    bool is = node_match(&m, n);
    *gave_up |= m.gave_up;
    return is;
}

void filter_note_gave_up(const struct filter *f) { atomic_fetch_add_explicit(f->gave_up, 1, memory_order_relaxed); }

bool filter_match(const struct filter *f, const struct event *ev, struct arena *a)
{
    struct matching m = {ev, a, false};
    bool is = node_match(&m, f->root);
    if (UNLIKELY(m.gave_up))
        filter_note_gave_up(f);
    return is;
}

/* ---- many events, by their levels and times ---- */

struct known {
    uint32_t levels;
    nsec t_min, t_max;
};

static enum outlook turn_round(enum outlook o)
{
    return o == OUTLOOK_YES ? OUTLOOK_NO : o == OUTLOOK_NO ? OUTLOOK_YES : OUTLOOK_MAYBE;
}

/* Times within one value: all of them; outside all values: none of them. */
static enum outlook time_outlook(const struct filter_node *n, const struct known *k)
{
    enum outlook o = OUTLOOK_NO;
    for (size_t i = 0; i < n->values_n; i++) {
        const struct filter_value *v = &n->values[i];
        if (k->t_min >= v->t_low && k->t_max <= v->t_high) {
            o = OUTLOOK_YES;
            break;
        }
        if (k->t_max >= v->t_low && k->t_min <= v->t_high)
            o = OUTLOOK_MAYBE;
    }
    return filter_negative(n) ? turn_round(o) : o;
}

static enum outlook compare_outlook(const struct filter_node *n, const struct known *k)
{
    if (n->subject == SUBJECT_TIME)
        return time_outlook(n, k);
    if (n->subject == SUBJECT_FIELD)
        return OUTLOOK_MAYBE;
    uint32_t both = k->levels & n->levels;
    return both == 0 ? OUTLOOK_NO : both == k->levels ? OUTLOOK_YES : OUTLOOK_MAYBE;
}

static enum outlook node_outlook(const struct filter_node *n, const struct known *k)
{
    enum outlook decides = n->kind == NODE_AND ? OUTLOOK_NO : OUTLOOK_YES, o = turn_round(decides);
    switch (n->kind) {
    case NODE_ALL: return OUTLOOK_YES;
    case NODE_COMPARE: return compare_outlook(n, k);
    case NODE_NOT: return turn_round(node_outlook(n->children[0], k));
    case NODE_AND:
    case NODE_OR:
        for (size_t i = 0; i < n->n && o != decides; i++) {
            enum outlook child = node_outlook(n->children[i], k);
            if (child != turn_round(decides))
                o = child;
        }
        return o;
    default: return OUTLOOK_MAYBE;
    }
}

enum outlook filter_outlook(const struct filter *f, uint32_t levels, nsec t_min, nsec t_max)
{
    struct known k = {levels, t_min, t_max};
    return node_outlook(f->root, &k);
}
