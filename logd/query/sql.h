/* query/sql.h - the same filters in SQL: an event as a row, and a filter as the condition that its row is asked.
 *
 * SQL only compares; what a text means (a number with a unit, an address) is read once, when the row is made. So a
 * server of any age and a table of any engine gives the answers that filter_match gives. A row has three lists:
 *   s  every field that is not null but those of our own: its name k, its text v, its kind t (enum value_kind)
 *   n  those that are numbers, or texts that are one: v in ns or bytes where it has a unit, else as it is, u what it is
 *      (enum sql_unit), d its digits (sql_number) when it is a whole number that v cannot hold
 *   a  those that are network addresses: v the 16 bytes of IPv6 in hex
 * and, each once: id, at (the time as text), time (ns), severity, line.
 *
 * ClickHouse keeps each list as arrays (sk, sv, st; nk, nv, nu, nd; ak, av), asked with functions that version 18.16
 * has. SQLite keeps each as a table with the columns `event` (rowid of the event), k, v, …; it needs a function regexp
 * that is regex_match. No value is NULL and every list is asked for the name first, so logic stays two-valued.
 *
 * Regular expressions are put as they are, but for what RE2 writes otherwise. Those of globs may be longer than
 * regex_compile takes.
 *
 * Owner   any thread, no state. Nothing is bound: texts stand quoted in the SQL. */
#ifndef QUERY_SQL_H
#define QUERY_SQL_H

#include "event/filter.h"

enum sql_dialect { SQL_CLICKHOUSE, SQL_SQLITE };
/* CREATE TABLE statements, each ended by ";\n". */
const char *sql_schema(enum sql_dialect dialect);
/* What follows WHERE. */
void sql_condition(const struct filter *f, enum sql_dialect dialect, struct buf *out);

enum sql_unit { SQL_PLAIN, SQL_TIME, SQL_SIZE, SQL_PLAIN_TEXT /* a string that is a number without a unit */ };
enum { SQL_DIGITS_MAX = 72, SQL_ADDRESS = 32 };
struct sql_text {
    str name, text;
    enum value_kind kind;
};
struct sql_number {
    str name;
    double v;
    enum sql_unit unit;
    /* A text that sorts as the number does: sign, length, digits (of negative ones the complements); "": v says it. */
    char digits[SQL_DIGITS_MAX];
};
struct sql_address {
    str name;
    char hex[SQL_ADDRESS + 1];
};
struct sql_row {
    const struct event *ev;
    str at;
    struct sql_text *texts;
    struct sql_number *numbers;
    struct sql_address *addresses;
    size_t texts_n, numbers_n, addresses_n;
};
/* Views of the event and of `a`. */
void sql_row(const struct event *ev, struct arena *a, struct sql_row *ret);
/* Adds the row as ClickHouse's RowBinary. */
void sql_row_binary(const struct sql_row *r, struct buf *out);

/* For both: a number as struct sql_number has it. */
void sql_digits(const struct number *x, char ret[SQL_DIGITS_MAX]);
void sql_address(const ip *address, char ret[SQL_ADDRESS + 1]);

#endif
