#include "notify/bounce.h"
#include "base/str.h"

/* Takes a header field off the front of *rest, continuation lines with it; false: the line is none. */
static bool next_field(str *rest, str *ret_name, str *ret_value)
{
    str line = str_cut(rest, '\n');
    while (rest->n && line.n && (rest->p[0] == ' ' || rest->p[0] == '\t')) {
        str more = str_cut(rest, '\n');
        line.n = (size_t)(more.p + more.n - line.p);
    }
    str value = line, name = str_cut(&value, ':');
    *ret_name = name;
    *ret_value = value.p ? str_trim(value) : (str){0};
    return value.p && name.n && str_chr(name, ' ') < 0;
}

static str without_brackets(str id)
{
    str rest = id;
    (void)str_cut(&rest, '<');
    return rest.p ? str_cut(&rest, '>') : str_trim(id);
}

/* "rfc822; a@b.c" */
static str behind_type(str value)
{
    ptrdiff_t at = str_chr(value, ';');
    return at < 0 ? value : str_trim(str_skip(value, (size_t)at + 1));
}

static bool is_status(str s)
{
    int dots = 0;
    for (size_t i = 0; i < s.n; i++) {
        dots += s.p[i] == '.';
        if (s.p[i] != '.' && (s.p[i] < '0' || s.p[i] > '9'))
            return false;
    }
    return dots == 2 && s.n >= 5 && s.n <= 9 && s.p[1] == '.';
}

int bounce_read(str message, struct bounce *ret, struct err *e)
{
    struct bounce b = {0};
    str rest = message, name, value, action = {0};
    while (rest.n && rest.p[0] != '\n' && rest.p[0] != '\r') /* its own header: names itself, not our mail */
        (void)next_field(&rest, &name, &value);
    while (rest.n) {
        if (!next_field(&rest, &name, &value))
            continue;
        if (str_eq_nocase(name, S("Action")) && !action.n)
            action = value;
        else if (str_eq_nocase(name, S("Status")) && !b.status.n) {
            str status = value;
            status = str_cut(&status, ' ');
            b.status = is_status(status) ? status : (str){0};
        } else if (str_eq_nocase(name, S("Final-Recipient")) && !b.recipient.n)
            b.recipient = behind_type(value);
        else if (str_eq_nocase(name, S("Diagnostic-Code")) && !b.said.n)
            b.said = behind_type(value);
        else if (str_eq_nocase(name, S("Message-ID")) && !b.message_id.n)
            b.message_id = without_brackets(value);
    }
    if (!b.status.n)
        return err_set(e, ERR_INPUT, "expected a delivery status notification (RFC 3464): it has no Status like 5.1.1");
    if (!b.message_id.n)
        return err_set(e, ERR_INPUT, "expected the header of the mail that came back: the report holds no Message-ID");
    b.permanent = b.status.p[0] == '5' && !str_eq(b.status, S("5.4.4")) &&
                  (!action.n || str_starts_nocase(action, S("failed")));
    *ret = b;
    return 0;
}
