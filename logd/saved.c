#include "saved.h"
#include "base/file.h"
#include "base/str.h"
#include "fold.h"
#include "routes/auth.h"
#include "rules/rules.h"
#include "trial.h"

#include <glob.h>
#include <pthread.h>

#define RULE_FILES_MAX (4u << 20)

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* ---- all of them ---- */
struct loading {
    struct rules_set *set;
    str id, source; /* read in place of what is kept; absent: nothing is */
    bool seen;      /* a version of it is kept, and not taken back */
};

static int read_one(struct rules_set *set, str id, int64_t version, str source, struct err *e)
{
    char name[100];
    snprintf(name, sizeof name, "web:%.*s", STR_ARG(str_head(id, 64)));
    rules_set_version(set, version);
    int rc = rules_parse(set, name, source, e);
    rules_set_version(set, 0);
    return rc;
}

static int read_kept(str id, int64_t version, str source, void *arg, struct err *e)
{
    struct loading *l = arg;
    if (str_eq(id, l->id)) {
        l->seen = source.n > 0;
        return 0;
    }
    return source.n ? read_one(l->set, id, version, source, e) : 0;
}

static int read_files(const struct config *c, struct rules_set *set, struct err *e)
{
    struct buf text = BUF_INIT(RULE_FILES_MAX);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->rules_n; i++) {
        glob_t found;
        /* A pattern may match no file yet; a plain name must be there, or a slip in it would silence every mail. */
        if (glob(c->rules[i], GLOB_NOMAGIC, NULL, &found) != 0)
            continue;
        for (size_t j = 0; rc == 0 && j < found.gl_pathc; j++) {
            buf_reset(&text);
            if (file_read(found.gl_pathv[j], text.max, &text, e) < 0)
                rc = err_wrap(e, "rules");
            else
                rc = rules_parse(set, found.gl_pathv[j], buf_view(&text), e);
        }
        globfree(&found);
    }
    buf_done(&text);
    return rc;
}

/* The saved ones first: a file's rule gives way to them. */
static int load(struct parts *p, const struct config *c, struct loading *l, struct err *e)
{
    l->set = rules_set_new();
    int rc = auth_rules_each(p->auth, read_kept, l, e);
    if (rc == 0 && l->source.n)
        rc = read_one(l->set, l->id, 1, l->source, e);
    if (rc == 0)
        rc = read_files(c, l->set, e);
    if (rc == 0)
        return 0;
    rules_set_free(l->set);
    return -1;
}

int saved_load(struct parts *p, const struct config *c, struct err *e)
{
    struct loading l = {0};
    pthread_mutex_lock(&one_at_a_time);
    int rc = load(p, c, &l, e);
    if (rc == 0)
        fold_set_rules(p->fold, l.set);
    pthread_mutex_unlock(&one_at_a_time);
    return rc;
}

/* ---- one of them ---- */
static int run_tests(const struct rules_set *set, struct err *e)
{
    struct buf report = BUF_INIT(1u << 20);
    size_t n;
    int rc = 0;
    if (trial_selftest(set, &report, &n) > 0) {
        str rest = buf_view(&report), line = str_cut(&rest, '\n');
        while (!str_starts(line, S("FAIL ")))
            line = str_cut(&rest, '\n');
        line = str_skip(line, 5);
        rc = err_set(e, ERR_INPUT, "%.*s", STR_ARG(str_head(line, sizeof e->text - 1)));
        for (str at = line; at.n && !e->line;) { /* web:ID:LINE:COLUMN: */
            uint64_t number;
            if (str_u64(str_cut(&at, ':'), &number))
                e->line = (size_t)number;
        }
    }
    buf_done(&report);
    return rc;
}

/* Alone: does it hold what it is to hold, and do its tests? */
static int check_one(str id, str source, struct err *e)
{
    struct rules_set *set = rules_set_new();
    int rc = read_one(set, id, 1, source, e);
    if (rc == 0 && rules_count(set) != 1)
        rc = err_set(e, ERR_INPUT, "rules: expected one rule, got %zu", rules_count(set));
    if (rc == 0 && !str_eq(str_of(rules_at(set, 0)->id), id)) {
        rc = err_set(e, ERR_INPUT, "id: expected \"%.*s\" as in the address, got \"%s\"", STR_ARG(str_head(id, 64)),
                     rules_at(set, 0)->id);
        e->line = rules_at(set, 0)->line;
    }
    if (rc == 0)
        rc = run_tests(set, e);
    rules_set_free(set);
    return rc;
}

static int keep_and_swap(struct parts *p, struct loading *l, str by, struct err *e)
{
    const struct config *c = p->config;
    if (load(p, c, l, e) < 0)
        return -1;
    int rc = l->source.n || l->seen
                 ? auth_rule_save(p->auth, l->id, l->source, by, e)
                 : err_set(e, ERR_GONE, "no rule \"%.*s\" was saved from the web", STR_ARG(str_head(l->id, 64)));
    rules_set_free(l->set);
    struct loading kept = {0};
    if (rc == 0)
        rc = load(p, c, &kept, e); /* with the version that it was given */
    if (rc == 0)
        fold_set_rules(p->fold, kept.set);
    return rc;
}

int saved_put(struct parts *p, str id, str source, str by, struct err *e)
{
    struct loading l = {.id = id, .source = source};
    *e = (struct err){0};
    if (source.n && check_one(id, source, e) < 0)
        return -1;
    pthread_mutex_lock(&one_at_a_time);
    int rc = keep_and_swap(p, &l, by, e);
    pthread_mutex_unlock(&one_at_a_time);
    return rc;
}
