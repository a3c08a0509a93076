#include "agent/journald.h"

#ifdef HAVE_SYSTEMD

#include "base/clock.h"
#include "base/str.h"
#include "event/event.h"
#include "event/line.h"

#include <ctype.h>
#include <errno.h>
#include <systemd/sd-journal.h>

/* A line of a spool has at most 160 KiB, and what is escaped in it takes up to six bytes for one. */
enum {
    FIELD_MAX = 2048,
    OTHERS_MAX = 16 << 10,
    MESSAGE_MAX = 128 << 10,
    MESSAGE_LEAST = 16 << 10,
    ENTRY_MAX = 150 << 10
};

struct journald {
    sd_journal *journal;
    const struct zone *zone;
    struct buf service, unit, program; /* of the entry that is read; there are better names and worse ones */
    struct buf message;
};

static int failed(struct err *e, const char *what, int code)
{
    errno = -code;
    return err_sys(e, "journald: %s", what);
}

static int add_units(sd_journal *j, const struct journald_config *c)
{
    char match[300];
    int rc = 0;
    for (size_t i = 0; i < c->units_n && rc >= 0; i++) { /* matches of one field are alternatives */
        snprintf(match, sizeof match, "_SYSTEMD_UNIT=%s", c->units[i]);
        rc = sd_journal_add_match(j, match, 0);
    }
    return rc;
}

/* To the entry after the cursor; to what is next to it when it is gone. */
static int go_to(sd_journal *j, const struct journald_config *c, str cursor)
{
    if (cursor.n == 0)
        return c->since ? sd_journal_seek_realtime_usec(j, (uint64_t)(clock_now() - c->since))
                        : sd_journal_seek_head(j);
    char *text = str_dup(cursor);
    int rc = sd_journal_seek_cursor(j, text);
    if (rc >= 0 && (rc = sd_journal_next(j)) > 0 && (rc = sd_journal_test_cursor(j, text)) == 0)
        rc = sd_journal_previous(j); /* it is another one, which is still to be read */
    free(text);
    return rc;
}

int journald_open(const struct journald_config *c, str cursor, const struct zone *zone, struct journald **ret,
                  struct err *e)
{
    sd_journal *journal = NULL;
    int rc = c->directory ? sd_journal_open_directory(&journal, c->directory, 0)
                          : sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);
    if (rc < 0)
        return failed(e, c->directory ? c->directory : "the journal of this machine", rc);
    if ((rc = sd_journal_set_data_threshold(journal, MESSAGE_MAX + 1024)) < 0 || (rc = add_units(journal, c)) < 0 ||
        (rc = go_to(journal, c, cursor)) < 0) {
        sd_journal_close(journal);
        return failed(e, "its entries cannot be found", rc);
    }
    struct journald *j = xcalloc(1, sizeof *j);
    j->journal = journal;
    j->zone = zone;
    buf_init(&j->service, FIELD_MAX);
    buf_init(&j->unit, FIELD_MAX);
    buf_init(&j->program, FIELD_MAX);
    buf_init(&j->message, MESSAGE_MAX);
    *ret = j;
    return 0;
}

void journald_free(struct journald *j)
{
    if (!j)
        return;
    sd_journal_close(j->journal);
    buf_done(&j->service);
    buf_done(&j->unit);
    buf_done(&j->program);
    buf_done(&j->message);
    free(j);
}

/* ---- an entry ---- */

static void add(struct buf *line, str name, str value)
{
    if (line->p[line->n - 1] != '{')
        buf_byte(line, ',');
    buf_json(line, name);
    buf_byte(line, ':');
    buf_json(line, str_head(value, FIELD_MAX));
}

static void keep(struct buf *b, str value)
{
    buf_reset(b);
    buf_str(b, str_head(value, b->max));
}

static void add_facility(struct buf *line, str value)
{
    uint64_t n;
    const char *name = str_u64(value, &n) ? line_facility(n) : NULL;
    if (name)
        add(line, S("facility"), str_of(name));
}

/* A name of somebody's own, in small letters. */
static void add_own(struct buf *line, str name, str value)
{
    char small[65];
    size_t n = 0;
    for (; n < name.n && n < sizeof small - 1; n++)
        small[n] = (char)tolower((unsigned char)name.p[n]);
    add(line, str_n(small, n), value);
}

static void add_field(struct journald *j, struct buf *line, str name, str value)
{
    static const struct {
        str field, name;
    } known[] = {{S("_HOSTNAME"), S("host")},
                 {S("_PID"), S("pid")},
                 {S("CONTAINER_NAME"), S("container.name")},
                 {S("IMAGE_NAME"), S("container.image")},
                 {S("CODE_FILE"), S("code.file")},
                 {S("CODE_LINE"), S("code.line")},
                 {S("CODE_FUNC"), S("code.function")}};
    for (size_t i = 0; i < LENGTH(known); i++)
        if (str_eq(name, known[i].field)) {
            add(line, known[i].name, value);
            return;
        }
    if (str_eq(name, S("MESSAGE"))) {
        keep(&j->message, value);
    } else if (str_eq(name, S("PRIORITY")) && level_read(value)) {
        add(line, S("level"), level_name(level_read(value)));
    } else if (str_eq(name, S("SYSLOG_IDENTIFIER"))) {
        keep(&j->service, value);
    } else if (str_eq(name, S("_SYSTEMD_UNIT"))) {
        keep(&j->unit, value);
        add(line, S("unit"), value);
    } else if (str_eq(name, S("_COMM"))) {
        keep(&j->program, value);
    } else if (str_eq(name, S("SYSLOG_FACILITY"))) {
        add_facility(line, value);
    } else if (name.n && name.p[0] != '_' && !str_starts(name, S("SYSLOG_")) && line->n < OTHERS_MAX) {
        add_own(line, name, value);
    }
}

static void add_service(struct journald *j, struct buf *line)
{
    str unit = buf_view(&j->unit);
    if (str_ends(unit, S(".service")))
        unit.n -= strlen(".service");
    str best = j->service.n ? buf_view(&j->service) : unit.n ? unit : buf_view(&j->program);
    if (best.n)
        add(line, S("service"), best);
}

/* Last, so that what it says itself wins. */
static void add_message(struct journald *j, struct buf *line)
{
    struct line_place place = {.now = clock_now(), .zone = j->zone};
    str text = str_trim(buf_view(&j->message));
    size_t before = line->n;
    bool cut = j->message.n >= MESSAGE_MAX;
    (void)line_read(LINE_AUTO, text, &place, line);
    if (line->n > ENTRY_MAX) {
        line->n = before;
        (void)line_read(LINE_PLAIN, str_head(text, MESSAGE_LEAST), &place, line);
        cut = true;
    }
    if (cut)
        buf_lit(line, ",\"truncated\":true");
}

static void add_entry(struct journald *j, struct buf *line)
{
    const void *data;
    size_t n;
    uint64_t at = 0, source;
    char time[TIME_TEXT_MAX];
    buf_reset(&j->service);
    buf_reset(&j->unit);
    buf_reset(&j->program);
    buf_reset(&j->message);
    (void)sd_journal_get_realtime_usec(j->journal, &at);
    buf_byte(line, '{');
    sd_journal_restart_data(j->journal);
    while (sd_journal_enumerate_available_data(j->journal, &data, &n) > 0) {
        str value = str_n(data, n), name = str_cut(&value, '=');
        if (str_eq(name, S("_SOURCE_REALTIME_TIMESTAMP")) && str_u64(value, &source))
            at = source;
        add_field(j, line, name, value.p ? value : S(""));
    }
    time_print((usec)at * NSEC_PER_USEC, 6, time);
    add(line, S("time"), str_of(time));
    add_service(j, line);
    add_message(j, line);
    buf_byte(line, '}');
}

int journald_next(struct journald *j, struct buf *line, struct buf *cursor, struct err *e)
{
    char *text;
    int rc = sd_journal_next(j->journal);
    if (rc == 0) {
        rc = sd_journal_wait(j->journal, USEC_PER_SEC);
        return rc < 0 ? failed(e, "waiting for entries", rc) : 0;
    }
    if (rc < 0 || (rc = sd_journal_get_cursor(j->journal, &text)) < 0)
        return failed(e, "reading an entry", rc);
    buf_reset(cursor);
    buf_str(cursor, str_of(text));
    free(text);
    add_entry(j, line);
    return 1;
}

#else

int journald_open(const struct journald_config *c, str cursor, const struct zone *zone, struct journald **ret,
                  struct err *e)
{
    (void)c, (void)cursor, (void)zone, (void)ret;
    return err_set(e, ERR_INPUT, "journald: this logd-agent was built without libsystemd");
}
void journald_free(struct journald *j) { (void)j; }
int journald_next(struct journald *j, struct buf *line, struct buf *cursor, struct err *e)
{
    (void)j, (void)line, (void)cursor;
    return err_set(e, ERR_INPUT, "journald: this logd-agent was built without libsystemd");
}

#endif
