/* routes/bounces.c - POST /v1/bounces: what became of a mail of ours, as `logd bounce` read it. */
#include "base/str.h"
#include "notify/notify.h"
#include "routes/alerts.h"
#include "routes/form.h"
#include "routes/resources.h"

void post_bounce(struct request *r)
{
    static const struct form_field fields[] = {{"message_id", FORM_TEXT, false},
                                               {"status", FORM_TEXT, false},
                                               {"said", FORM_TEXT, true},
                                               {"kind", FORM_TEXT, false}};
    json_t *form = NULL;
    struct db *db = alerts_reader(r);
    struct buf json = BUF_INIT(64 << 10);
    struct err e;
    if (!db)
        return;
    if (form_read(r, fields, LENGTH(fields), &form, &e) < 0 || outbox_has(db, form_text(form, "message_id"), &e) < 0) {
        reply_err(r, &e);
    } else {
        bool permanent = str_eq(form_text(form, "kind"), S("permanent"));
        buf_lit(&json, "{\"bounce\":");
        buf_json(&json, form_text(form, "message_id"));
        buf_member(&json, "status", str_head(form_text(form, "status"), 20));
        buf_member(&json, "said", str_head(form_text(form, "said"), 300));
        buf_str(&json, permanent ? S(",\"permanent\":true}") : S("}"));
        if (alerts_act(r, buf_view(&json)))
            buf_printf(&r->out, "{\"permanent\":%s}\n", permanent ? "true" : "false");
    }
    json_decref(form);
    buf_done(&json);
}
