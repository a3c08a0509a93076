/* routes/form.h - a small JSON object as a request's body, checked whole before anything is done with it.
 *
 * Every field is known, of the right type, and there when it must be; else ERR_INPUT says which, what was expected and
 * what came, with its JSON pointer. Duplicate fields are refused. At most 64 KiB: jansson takes 77 times that.
 * Owner   the request's thread; json_decref what came back. */
#ifndef ROUTES_FORM_H
#define ROUTES_FORM_H

#include "routes/http.h"

#include <jansson.h>

#define FORM_MAX (64u << 10)

enum form_kind { FORM_TEXT, FORM_NUMBER, FORM_TEXTS }; /* string; integer >= 1; array of strings */
struct form_field {
    const char *name;
    enum form_kind kind;
    bool optional;
};
int form_read(const struct request *r, const struct form_field *fields, size_t n, json_t **ret,
              struct err *e) MUST_CHECK;
str form_text(const json_t *form, const char *name); /* absent: p NULL */

#endif
