/* A Sigma rule: refused at a place in the file, or turned into a rule that our parser takes. */
#include "rules/sigma.h"
#include "base/str.h"
#include "rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf out = BUF_INIT(4u << 20);
    struct err e;
    buf_lit(&out, "rules:\n");
    if (sigma_import("f", str_n((const char *)data, n), &out, &e) == 0) {
        struct rules_set *s = rules_set_new();
        int rc = rules_parse(s, "r", buf_view(&out), &e);
        assert(rc == 0 && rules_count(s) == 1);
        rules_set_free(s);
    } else
        assert(e.kind == ERR_INPUT && str_starts(str_of(e.text), S("f:")) && out.n == 7);
    buf_done(&out);
    return 0;
}
