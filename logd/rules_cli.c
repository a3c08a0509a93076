/* rules_cli.c - `logd rules check` and `logd rules test`: is a rule file whole, and do its tests hold?
 *
 * `import-sigma` turns rules of the Sigma project into ours: what it can on stdout, why it cannot the others on stderr.
 *
 * The first two read all files as one set, as the server would, and run the tests in them; `test` shows each, `check` only what is
 * wrong. Issues are told apart as in production. Needs no server. */
#include "base/file.h"
#include "base/str.h"
#include "cli.h"
#include "rules/rules.h"
#include "rules/sigma.h"
#include "rules_cli.h"
#include "trial.h"

#define RULE_FILE_MAX (4u << 20)

int rules_read_files(struct rules_set *set, int n, char **files, const char *word)
{
    struct buf text = BUF_INIT(RULE_FILE_MAX);
    struct err e;
    int rc = 0;
    for (int i = 0; i < n; i++) {
        buf_reset(&text);
        if (file_read(files[i], text.max, &text, &e) == 0 && rules_parse(set, files[i], buf_view(&text), &e) == 0)
            continue;
        fprintf(stderr, "logd: rules %s: %s\n", word, e.text);
        rc = -1;
    }
    buf_done(&text);
    return rc;
}

/* The lines of a report: all, or those that start with "FAIL". */
static void show(FILE *to, str report, bool all)
{
    while (report.n) {
        str line = str_cut(&report, '\n');
        if (all || str_starts(line, S("FAIL")))
            fprintf(to, "%.*s\n", STR_ARG(line));
    }
}

static int run_tests(const struct rules_set *set, const char *word)
{
    bool all = strcmp(word, "test") == 0;
    struct buf report = BUF_INIT(16u << 20);
    size_t n, failed = trial_selftest(set, &report, &n);
    show(all ? stdout : stderr, buf_view(&report), all);
    buf_done(&report);
    printf("%zu rule%s, %zu test%s, %zu failed\n", rules_count(set), rules_count(set) == 1 ? "" : "s", n,
           n == 1 ? "" : "s", failed);
    return failed || fflush(stdout) != 0 ? CLI_FAILED : CLI_DONE;
}

int rules_check_main(int argc, char **argv)
{
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr, "logd: rules %s: expected files: usage is logd rules %s F...\n", argv[0], argv[0]);
        return CLI_USAGE;
    }
    struct rules_set *set = rules_set_new();
    struct err e;
    int rc = rules_read_files(set, argc - 1, argv + 1, argv[0]);
    if (rc == 0 && (rc = rules_check_inhibitors(set, &e)) < 0)
        fprintf(stderr, "logd: rules %s: %s\n", argv[0], e.text);
    int code = rc < 0 ? CLI_FAILED : run_tests(set, argv[0]);
    rules_set_free(set);
    return code;
}

int rules_import_main(int argc, char **argv)
{
    struct buf text = BUF_INIT(RULE_FILE_MAX), out = BUF_INIT(64u << 20);
    struct err e;
    int failed = 0;
    buf_lit(&out, "rules:\n");
    for (int i = 1; i < argc; i++) {
        buf_reset(&text);
        if (file_read(argv[i], text.max, &text, &e) == 0 && sigma_import(argv[i], buf_view(&text), &out, &e) == 0)
            continue;
        fprintf(stderr, "logd: rules %s: %s\n", argv[0], e.text);
        failed++;
    }
    if (failed < argc - 1)
        fwrite(out.p, 1, out.n, stdout);
    fprintf(stderr, "%d of %d converted\n", argc - 1 - failed, argc - 1);
    buf_done(&text);
    buf_done(&out);
    return failed || fflush(stdout) != 0 ? CLI_FAILED : CLI_DONE;
}
