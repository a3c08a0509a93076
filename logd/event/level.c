/* Levels: what programs call them, on OpenTelemetry's scale of 1 to 24 (opentelemetry.io, logs data model). Where two
 * worlds disagree the commoner meaning wins: 10-60 are pino's and bunyan's numbers, 0-7 are syslog's. */
#include "base/str.h"
#include "event/event.h"

static const struct {
    str name;
    int severity;
} names[] = {{S("info"), 9},        {S("error"), 17},   {S("warn"), 13},
             {S("debug"), 5},       {S("warning"), 13}, {S("notice"), 10},
             {S("critical"), 18},   {S("fatal"), 21},   {S("trace"), 1},
             {S("err"), 17},        {S("alert"), 19},   {S("emergency"), 21},
             {S("crit"), 18},       {S("emerg"), 21},   {S("panic"), 21},
             {S("dpanic"), 18},     {S("severe"), 17},  {S("informational"), 9},
             {S("information"), 9}, {S("verbose"), 1},  {S("dbg"), 5},
             {S("inf"), 9},         {S("wrn"), 13},     {S("ftl"), 21},
             {S("trc"), 1},         {S("vrb"), 1},      {S("log"), 9},
             {S("success"), 9},     {S("default"), 9},  {S("http"), 5},
             {S("config"), 5},      {S("fine"), 5},     {S("finer"), 1},
             {S("finest"), 1},      {S("silly"), 1},    {S("i"), 9},
             {S("e"), 17},          {S("w"), 13},       {S("d"), 5},
             {S("v"), 1},           {S("t"), 1},        {S("f"), 21}};

static int by_name(str text)
{
    for (size_t i = 0; i < LENGTH(names); i++)
        if (str_eq_nocase(text, names[i].name))
            return names[i].severity;
    return 0;
}

int level_from_number(int64_t n)
{
    static const int syslog[] = {21, 19, 18, 17, 13, 10, 9, 5}, pino[] = {1, 5, 9, 13, 17, 21};
    if (n >= 0 && n <= 7)
        return syslog[n];
    return n >= 10 && n <= 60 ? pino[n / 10 - 1] : 0;
}

/* OpenTelemetry's fine names: "INFO2" is one step above "INFO", up to 4. */
static int fine_name(str text)
{
    char last = text.n > 1 ? text.p[text.n - 1] : '0';
    int base = last >= '1' && last <= '4' ? by_name(str_head(text, text.n - 1)) : 0;
    return base % 4 == 1 ? base + (last - '1') : 0;
}

int level_read(str text)
{
    int64_t n;
    text = str_trim(text);
    int severity = by_name(text);
    if (severity)
        return severity;
    return str_i64(text, &n) ? level_from_number(n) : fine_name(text);
}

str level_name(int severity)
{
    assert(severity >= 1 && severity <= 24);
    static const str steps[] = {S("trace"), S("debug"), S("info"), S("warn"), S("error"), S("fatal")};
    switch (severity) {
    case 10:
    case 11:
    case 12: return S("notice");
    case 18: return S("critical");
    case 19:
    case 20: return S("alert");
    default: return steps[(severity - 1) / 4];
    }
}
