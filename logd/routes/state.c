/* routes/state.c - how the server is: /healthz, /metrics, /v1/status. Reads counters that others keep; no state here. */
#include "archive/archive.h"
#include "base/clock.h"
#include "base/str.h"
#include "fold.h"
#include "journal/journal.h"
#include "maps/maps.h"
#include "notify/notify.h"
#include "parts.h"
#include "query/tail.h"
#include "routes/post.h"
#include "routes/resources.h"
#include "statsd.h"
#include "stats/unique.h"
#include "store/store.h"

struct state {
    struct journal_stats journal;
    struct store_stats store;
    struct fold_stats fold;
    struct mailer_stats mail;
    struct archive_stats archive;
    struct http_stats http;
    struct tail_stats tail;
};

static void read_state(struct parts *p, struct state *s)
{
    *s = (struct state){0};
    journal_stats(p->journal, &s->journal);
    store_stats(p->store, &s->store);
    http_get_stats(p->http, &s->http);
    tail_stats(p->tail, &s->tail);
    if (p->fold)
        fold_get_stats(p->fold, &s->fold);
    if (p->mailer)
        mailer_get_stats(p->mailer, &s->mail);
    if (p->archive)
        archive_get_stats(p->archive, &s->archive);
}

/* Anybody may ask, so what the other side said is not told here. NULL: all is well, or it has not failed for long. */
static const char *archive_trouble(struct parts *p)
{
    enum { PATIENCE = 3 }; /* shipments */
    struct archive_stats a;
    if (!p->archive)
        return NULL;
    archive_get_stats(p->archive, &a);
    if (a.fenced)
        return "another logd has taken over the archive: this one no longer ships";
    if (a.refused)
        return "the archive is not this server's, or ahead of it: nothing is shipped, see the log";
    return a.failing_us > PATIENCE * p->config->archive.every ? "the archive cannot be reached: see the log" : NULL;
}

/* NULL: none that was tried waits for ten minutes. */
static const char *mail_trouble(struct parts *p)
{
    struct mailer_stats m = {0};
    if (p->mailer)
        mailer_get_stats(p->mailer, &m);
    return m.oldest_tried && clock_now() - m.oldest_tried > 600 * USEC_PER_SEC
               ? "a mail has waited for more than ten minutes: see the log"
               : NULL;
}

void get_health(struct request *r)
{
    struct parts *p = r->parts;
    struct journal_stats j;
    const char *trouble;
    if (p->fatal[0]) {
        reply_error(r, 503, "%s", p->fatal);
        return;
    }
    if (p->stopping) {
        reply_error(r, 503, "the server is stopping");
        return;
    }
    journal_stats(p->journal, &j);
    if (j.disk_low)
        reply_error(r, 503, "the disk is nearly full: nothing is taken until space is free");
    else if ((trouble = archive_trouble(p)) != NULL || (trouble = mail_trouble(p)) != NULL)
        reply_error(r, 503, "%s", trouble);
    else
        buf_lit(&r->out, "{\"status\":\"ok\"}\n");
}

/* ---- /metrics ---- */

static void family(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct buf *b, const char *name, const char *type, const char *help, double value)
{
    family(b, name, type, help);
    buf_printf(b, "%s %.17g\n", name, value);
}

/* {app="shop"}; text in label values is escaped as Prometheus wants it */
static void label(struct buf *b, const char *name, str value)
{
    buf_printf(b, "%s=\"", name);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            buf_byte(b, '\\');
        if (value.p[i] == '\n')
            buf_lit(b, "\\n");
        else
            buf_byte(b, value.p[i]);
    }
    buf_byte(b, '"');
}

/* One line for each app that has posted. */
static void by_app(struct buf *b, struct auth *a, const char *name, const char *more, size_t offset)
{
    for (uint32_t app = 0; app < POST_APPS; app++) {
        const struct post_count *c = &post_counts[app];
        const _Atomic uint64_t *value = (const _Atomic uint64_t *)(const void *)((const char *)c + offset);
        char app_name[LIMIT_APP + 1] = "others";
        if (!c->accepted && !c->rejected[POST_INVALID] && !c->rejected[POST_QUOTA] && !c->rejected[POST_FULL])
            continue;
        if (app < POST_APPS - 1 && !auth_app_name(a, app, app_name))
            snprintf(app_name, sizeof app_name, "%u", app);
        buf_printf(b, "%s{", name);
        label(b, "app", str_of(app_name));
        buf_printf(b, "%s} %llu\n", more, (unsigned long long)atomic_load(value));
    }
}

static void event_metrics(struct buf *b, struct auth *a)
{
    family(b, "logd_events_accepted_total", "counter", "Events taken with 200: stored and duplicates.");
    by_app(b, a, "logd_events_accepted_total", "", offsetof(struct post_count, accepted));
    family(b, "logd_events_stored_total", "counter", "Events written to the journal.");
    by_app(b, a, "logd_events_stored_total", "", offsetof(struct post_count, stored));
    family(b, "logd_events_duplicate_total", "counter", "Events that were there already.");
    by_app(b, a, "logd_events_duplicate_total", "", offsetof(struct post_count, duplicate));
    family(b, "logd_events_rejected_total", "counter", "Events that were refused, by reason.");
    for (size_t i = 0; i < POST_REASONS; i++) {
        char more[64];
        snprintf(more, sizeof more, ",reason=\"%s\"", post_reason_names[i]);
        by_app(b, a, "logd_events_rejected_total", more, offsetof(struct post_count, rejected) + i * sizeof(uint64_t));
    }
}

static void http_metrics(struct buf *b, const struct http_stats *h, const struct tail_stats *t)
{
    static const char *const methods[HTTP_METHODS] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    family(b, "logd_http_requests_total", "counter", "Requests, by method.");
    for (size_t i = 0; i < HTTP_METHODS; i++)
        buf_printf(b, "logd_http_requests_total{method=\"%s\"} %llu\n", methods[i], (unsigned long long)h->requests[i]);
    family(b, "logd_http_responses_total", "counter", "Replies, by class of status.");
    for (size_t i = 2; i < 6; i++)
        buf_printf(b, "logd_http_responses_total{class=\"%zuxx\"} %llu\n", i, (unsigned long long)h->status[i]);
    family(b, "logd_http_refused_total", "counter", "Requests refused before their work began, by reason.");
    buf_printf(b, "logd_http_refused_total{reason=\"malformed\"} %llu\n", (unsigned long long)h->refused_guard);
    buf_printf(b, "logd_http_refused_total{reason=\"slow\"} %llu\n", (unsigned long long)h->reaped);
    buf_printf(b, "logd_http_refused_total{reason=\"quota\"} %llu\n", (unsigned long long)h->over_quota);
    buf_printf(b, "logd_http_refused_total{reason=\"busy\"} %llu\n", (unsigned long long)h->busy);
    one(b, "logd_queries_left_total", "counter", "Queries given up because their client had gone.", (double)h->gone);
    one(b, "logd_tail_followers", "gauge", "Who follow a tail now.", (double)t->followers);
    one(b, "logd_tail_events_total", "counter", "Events sent to those who follow.", (double)t->sent);
    one(b, "logd_tail_dropped_total", "counter", "Events lost by those who did not keep up, and told them.",
        (double)t->dropped);
    one(b, "logd_queries_waiting", "gauge", "Queries that wait for a thread.", (double)h->waiting);
    one(b, "logd_http_connections", "gauge", "Open connections.", (double)h->connections);
    one(b, "logd_http_inflight_bytes", "gauge", "Bytes of requests between first byte and answer.",
        (double)h->inflight_bytes);
    one(b, "logd_http_answer_bytes", "gauge", "Bytes of large answers that are being sent.", (double)h->answer_bytes);
}

static void unique_metrics(struct buf *b, struct parts *p)
{
    one(b, "logd_unique_late_total", "counter", "Ids of uniques that found a period of theirs closed.",
        (double)unique_late_total());
    one(b, "logd_unique_crowded_total", "counter", "Ids of uniques not counted because too many cells are open.",
        (double)unique_crowded_total());
    if (p->secrets)
        one(b, "logd_unique_secrets", "gauge", "Periods of uniques that are open.",
            (double)secrets_open_periods(p->secrets));
}

static void storage_metrics(struct buf *b, const struct journal_stats *j, const struct store_stats *s)
{
    one(b, "logd_journal_batches_total", "counter", "Batches written.", (double)j->batches);
    one(b, "logd_journal_events_total", "counter", "Events written.", (double)j->events);
    one(b, "logd_journal_syncs_total", "counter", "Times the disk was waited for.", (double)j->syncs);
    one(b, "logd_journal_last_sync_seconds", "gauge", "How long the last sync took.", (double)j->sync_us_last / 1e6);
    one(b, "logd_journal_queue_batches", "gauge", "Batches that wait for a sync.", (double)j->queued_batches);
    one(b, "logd_journal_queue_bytes", "gauge", "Bytes that wait for a sync.", (double)j->queued_bytes);
    one(b, "logd_journal_files", "gauge", "Files of the journal.", (double)j->files);
    one(b, "logd_journal_bytes", "gauge", "Bytes of the journal on disk.", (double)j->bytes);
    one(b, "logd_journal_corrupt_records_total", "counter", "Records that could not be read and were skipped.",
        (double)j->corrupt_records);
    one(b, "logd_journal_position", "gauge", "Number of the last durable record.", (double)j->last_seq);
    one(b, "logd_disk_low", "gauge", "1 while the disk is nearly full and nothing is taken.", j->disk_low);
    one(b, "logd_store_segments", "gauge", "Sealed segments.", (double)s->segments);
    one(b, "logd_store_segment_bytes", "gauge", "Bytes of sealed segments on disk.", (double)s->segment_bytes);
    one(b, "logd_store_segment_events", "gauge", "Events in sealed segments.", (double)s->segment_events);
    one(b, "logd_store_raw_bytes", "gauge", "Bytes of the events in sealed segments before compression.",
        (double)s->raw_bytes);
    one(b, "logd_store_head_events", "gauge", "Events in memory, not sealed yet.", (double)s->head_events);
    one(b, "logd_store_head_bytes", "gauge", "Bytes of events in memory, not sealed yet.", (double)s->head_bytes);
    one(b, "logd_store_head_memory_bytes", "gauge", "Memory held for the head.", (double)s->head_memory);
    one(b, "logd_store_head_memory_limit_bytes", "gauge", "How much may be; past it events are answered with 503.",
        (double)s->head_max);
    one(b, "logd_store_removed_segments_total", "counter", "Segments removed by retention.",
        (double)s->removed_segments);
    one(b, "logd_store_merges_total", "counter", "Times segments became one.", (double)s->merges);
    one(b, "logd_store_merge_failures_total", "counter", "Times that failed; they stay as they are.",
        (double)s->merge_failures);
    one(b, "logd_store_merging_segments", "gauge", "Segments that are being merged now.", (double)s->merging);
    one(b, "logd_store_merging_done", "gauge", "How far that is, 0 to 1.",
        s->merging && s->merge_total ? (double)s->merge_done / (double)s->merge_total : 0);
    one(b, "logd_store_corrupt_blocks_total", "counter", "Damaged blocks met.", (double)s->corrupt_blocks);
}

static void follower_metrics(struct buf *b, const struct parts *p, const struct state *s)
{
    family(b, "logd_follower_position", "gauge", "Number of the last record a follower has applied.");
    buf_printf(b, "logd_follower_position{follower=\"store\"} %llu\n", (unsigned long long)s->store.sealed_seq);
    if (p->fold) {
        buf_printf(b, "logd_follower_position{follower=\"rules\"} %llu\n", (unsigned long long)s->fold.position);
        if (p->archive)
            buf_printf(b, "logd_follower_position{follower=\"archive\"} %llu\n",
                       (unsigned long long)s->archive.position);
        family(b, "logd_signals", "gauge", "Signals of all times, by where they ended.");
        buf_printf(b, "logd_signals{outcome=\"mailed\"} %llu\n", (unsigned long long)s->fold.mailed);
        buf_printf(b, "logd_signals{outcome=\"digested\"} %llu\n", (unsigned long long)s->fold.digested);
        buf_printf(b, "logd_signals{outcome=\"suppressed\"} %llu\n", (unsigned long long)s->fold.suppressed);
        buf_printf(b, "logd_signals{outcome=\"pending\"} %llu\n", (unsigned long long)s->fold.pending);
    }
    if (p->mailer) {
        one(b, "logd_mails_sent_total", "counter", "Mails that were taken by the server.", (double)s->mail.sent);
        one(b, "logd_mails_failed_total", "counter", "Mails that were given up.", (double)s->mail.failed);
        one(b, "logd_mails_retried_total", "counter", "Attempts that will be repeated.", (double)s->mail.retried);
        one(b, "logd_mails_queued", "gauge", "Mails that wait.", (double)s->mail.queued);
        one(b, "logd_mails_oldest_seconds", "gauge", "For how long the oldest of them does.",
            s->mail.oldest_queued ? (double)(clock_now() - s->mail.oldest_queued) / 1e6 : 0);
    }
    if (p->archive) {
        one(b, "logd_archive_lag_seconds", "gauge", "Age of the oldest record that is not archived.",
            (double)s->archive.lag_us / 1e6);
        one(b, "logd_archive_objects", "gauge", "Objects in the archive.", (double)s->archive.objects);
        one(b, "logd_archive_bytes", "gauge", "Bytes in the archive.", (double)s->archive.bytes);
        one(b, "logd_archive_ships_total", "counter", "Times something was shipped.", (double)s->archive.ships);
        one(b, "logd_archive_failures_total", "counter", "Times shipping failed.", (double)s->archive.failures);
        one(b, "logd_archive_fenced", "gauge", "1 when another server took the archive over.", s->archive.fenced);
    }
}

static void statsd_metrics(struct buf *b, struct statsd *from)
{
    struct statsd_stats s;
    statsd_get_stats(from, &s);
    one(b, "logd_statsd_packets_total", "counter", "StatsD packets read.", (double)s.packets);
    one(b, "logd_statsd_lines_total", "counter", "Lines in them.", (double)s.lines);
    one(b, "logd_statsd_numbers_total", "counter", "Numbers in them that were added up.", (double)s.numbers);
    one(b, "logd_statsd_events_total", "counter", "Events and checks in them that were taken.", (double)s.events);
    one(b, "logd_statsd_overflow_total", "counter", "Packets the kernel dropped, its buffer being full.",
        (double)s.overflow);
    family(b, "logd_statsd_refused_total", "counter", "Lines and numbers that were refused, by reason.");
    for (size_t i = 0; i < STATSD_REASONS; i++)
        buf_printf(b, "logd_statsd_refused_total{reason=\"%s\"} %llu\n", statsd_reasons[i].name,
                   (unsigned long long)s.refused[i]);
}

static void maps_metrics(struct buf *b, struct maps *m)
{
    struct maps_stats s;
    maps_get_stats(m, &s);
    one(b, "logd_maps_files", "gauge", "Source maps.", (double)s.files);
    one(b, "logd_maps_bytes", "gauge", "Bytes of source maps on disk.", (double)s.bytes);
    one(b, "logd_maps_uploads_total", "counter", "Source maps that were taken.", (double)s.uploads);
    one(b, "logd_maps_refused_total", "counter", "Source maps that were refused.", (double)s.refused);
    family(b, "logd_maps_frames_total", "counter", "Stack frames of scripts, by what became of them.");
    for (size_t i = 0; i < MAP_NOT_OURS; i++)
        buf_printf(b, "logd_maps_frames_total{outcome=\"%s\"} %llu\n", map_cause_names[i],
                   (unsigned long long)s.frames[i]);
}

static double resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (double)pages * 4096;
}

void get_metrics(struct request *r)
{
    struct parts *p = r->parts;
    struct state s;
    struct buf *b = &r->out;
    read_state(p, &s);
    family(b, "logd_build_info", "gauge", "Always 1; the version is its label.");
    buf_lit(b, "logd_build_info{version=\"" LOGD_VERSION "\"} 1\n");
    one(b, "logd_start_time_seconds", "gauge", "When the server started, in seconds since 1970.",
        (double)p->started / 1e6);
    one(b, "process_resident_memory_bytes", "gauge", "Memory the server holds.", resident_bytes());
    event_metrics(b, p->auth);
    http_metrics(b, &s.http, &s.tail);
    unique_metrics(b, p);
    storage_metrics(b, &s.journal, &s.store);
    follower_metrics(b, p, &s);
    if (p->statsd)
        statsd_metrics(b, p->statsd);
    maps_metrics(b, p->maps);
    agents_metrics(b);
    stats_metrics(r);
    r->type = "text/plain; version=0.0.4; charset=utf-8";
    if (str_find(http_header(r, "Accept"), S("application/openmetrics-text")) >= 0) {
        metrics_as_open(b);
        r->type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    }
}

/* ---- /v1/status ---- */

static void add_time(struct buf *b, const char *name, usec t)
{
    char text[TIME_TEXT_MAX];
    time_print(t * NSEC_PER_USEC, 6, text);
    if (t)
        buf_printf(b, "\"%s\":\"%s\",", name, text);
    else
        buf_printf(b, "\"%s\":null,", name);
}

static void add_counts(struct buf *b)
{
    uint64_t accepted = 0, stored = 0, duplicate = 0, rejected[POST_REASONS] = {0};
    for (size_t app = 0; app < POST_APPS; app++) {
        accepted += post_counts[app].accepted;
        stored += post_counts[app].stored;
        duplicate += post_counts[app].duplicate;
        for (size_t i = 0; i < POST_REASONS; i++)
            rejected[i] += post_counts[app].rejected[i];
    }
    buf_printf(b, "\"accepted\":%llu,\"stored\":%llu,\"duplicate\":%llu,\"rejected\":{", (unsigned long long)accepted,
               (unsigned long long)stored, (unsigned long long)duplicate);
    for (size_t i = 0; i < POST_REASONS; i++)
        buf_printf(b, "%s\"%s\":%llu", i ? "," : "", post_reason_names[i], (unsigned long long)rejected[i]);
    buf_lit(b, "},");
}

/* Reception times. Accepted is durable, but for what waits for its sync right now. */
static void add_positions(struct buf *b, struct parts *p, const struct state *s)
{
    usec durable = s->journal.last_recv_us;
    add_time(b, "accepted_through", s->journal.queued_batches ? atomic_load(&p->last_stamp) : durable);
    add_time(b, "durable_through", durable);
    if (!p->archive)
        add_time(b, "archived_through", 0);
    else if (s->archive.position >= s->journal.last_seq)
        add_time(b, "archived_through", durable);
    else
        add_time(b, "archived_through", clock_now() - s->archive.lag_us);
    buf_printf(b, "\"positions\":{\"journal\":%llu,\"store\":%llu,\"rules\":%llu,\"archive\":%llu},",
               (unsigned long long)s->journal.last_seq, (unsigned long long)s->store.sealed_seq,
               (unsigned long long)s->fold.position, (unsigned long long)s->archive.position);
}

static void add_limit(struct buf *b, const char *name, double value)
{
    if (value > 0)
        buf_printf(b, "\"%s\":%.10g,", name, value);
    else
        buf_printf(b, "\"%s\":null,", name);
}

/* What goes next because of its size; NULL: nothing. */
static void add_next(struct buf *b, const struct store_next *next)
{
    if (!next) {
        buf_lit(b, "\"next_by_bytes\":null,");
        return;
    }
    buf_printf(b, "\"next_by_bytes\":{\"left\":%llu,", (unsigned long long)next->left);
    add_time(b, "expected", next->expected);
    add_time(b, "from", next->from / NSEC_PER_USEC);
    add_time(b, "to", next->to / NSEC_PER_USEC);
    buf_printf(b, "\"events\":%llu,\"bytes\":%llu},", (unsigned long long)next->events,
               (unsigned long long)next->bytes);
}

static void add_kept(struct buf *b, struct auth *a, const struct store_kept *k)
{
    char name[LIMIT_APP + 1];
    if (!auth_app_name(a, k->app, name))
        snprintf(name, sizeof name, "%u", k->app);
    buf_lit(b, "{\"app\":");
    buf_json(b, str_of(name));
    buf_byte(b, ',');
    add_limit(b, "days", (double)k->keep / 86400e6);
    add_limit(b, "bytes", (double)k->keep_bytes);
    add_time(b, "oldest", k->oldest == INT64_MAX ? 0 : k->oldest / NSEC_PER_USEC);
    add_time(b, "next", k->next);
    add_next(b, k->by_size.events ? &k->by_size : NULL);
    buf_printf(b, "\"next_events\":%llu,\"events\":%llu,\"used\":%llu,\"due_events\":%llu,\"due_bytes\":%llu}",
               (unsigned long long)k->next_events, (unsigned long long)k->events, (unsigned long long)k->bytes,
               (unsigned long long)k->due_events, (unsigned long long)k->due_bytes);
}

/* What is kept how long, and what goes next. */
static void add_retention(struct buf *b, struct parts *p, const struct state *s)
{
    const struct config *c = p->config;
    struct store_kept *kept;
    struct store_next next;
    size_t n = store_kept(p->store, &kept);
    buf_lit(b, "\"retention\":{");
    add_limit(b, "days", (double)c->retention.keep / 86400e6);
    add_limit(b, "bytes", (double)c->retention.bytes);
    add_next(b, store_next(p->store, &next) ? &next : NULL);
    buf_printf(b, "\"used\":%llu,\"apps\":[", (unsigned long long)s->store.segment_bytes);
    for (size_t i = 0; i < n; i++) {
        buf_str(b, i ? S(",") : S(""));
        add_kept(b, p->auth, &kept[i]);
    }
    buf_lit(b, "]},");
    free(kept);
}

void get_status(struct request *r)
{
    struct parts *p = r->parts;
    struct state s;
    struct buf *b = &r->out;
    read_state(p, &s);
    buf_lit(b, "{\"version\":\"" LOGD_VERSION "\",");
    add_time(b, "started", p->started);
    add_positions(b, p, &s);
    buf_printf(b, "\"queues\":{\"journal_batches\":%zu,\"journal_bytes\":%zu,\"requests_bytes\":%zu,\"mails\":%llu},",
               s.journal.queued_batches, s.journal.queued_bytes, s.http.inflight_bytes,
               (unsigned long long)s.mail.queued);
    add_counts(b);
    buf_printf(
        b,
        "\"dropped\":{\"corrupt_records\":%llu,\"corrupt_blocks\":%llu,\"unique_late\":%llu,\"unique_crowded\":%llu},",
        (unsigned long long)s.journal.corrupt_records, (unsigned long long)s.store.corrupt_blocks,
        (unsigned long long)unique_late_total(), (unsigned long long)unique_crowded_total());
    buf_printf(b, "\"signals\":{\"mailed\":%llu,\"digested\":%llu,\"suppressed\":%llu,\"pending\":%llu},",
               (unsigned long long)s.fold.mailed, (unsigned long long)s.fold.digested,
               (unsigned long long)s.fold.suppressed, (unsigned long long)s.fold.pending);
    buf_printf(b, "\"bytes\":{\"journal\":%llu,\"segments\":%llu,\"head\":%llu,\"archive\":%llu},",
               (unsigned long long)s.journal.bytes, (unsigned long long)s.store.segment_bytes,
               (unsigned long long)s.store.head_bytes, (unsigned long long)s.archive.bytes);
    buf_printf(b, "\"memory\":{\"budget\":%llu,\"resident\":%.0f,\"head\":%llu,\"head_limit\":%llu},",
               (unsigned long long)p->config->memory, resident_bytes(), (unsigned long long)s.store.head_memory,
               (unsigned long long)s.store.head_max);
    add_retention(b, p, &s);
    buf_printf(b, "\"segments\":%llu,", (unsigned long long)s.store.segments);
    if (s.store.merging)
        buf_printf(b, "\"merging\":{\"segments\":%llu,\"events\":%llu,\"of\":%llu},",
                   (unsigned long long)s.store.merging, (unsigned long long)s.store.merge_done,
                   (unsigned long long)s.store.merge_total);
    else
        buf_lit(b, "\"merging\":null,");
    add_time(b, "duplicates_known_from", s.journal.window_from);
    buf_printf(b, "\"disk_low\":%s}\n", s.journal.disk_low ? "true" : "false");
}
