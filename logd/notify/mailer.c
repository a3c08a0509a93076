/* notify/mailer.c - the mail thread: outbox rows, one at a time, to the transport.
 *
 * Its connection to fold.db is FULL: what became of a mail is on disk before the next one goes, so a power loss repeats
 * at most the mail that was under way, with the same Message-ID. Retries: 30 s doubled up to 30 min, for three days. */
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "notify/notify.h"
#include "notify/transport.h"

#include <pthread.h>
#include <time.h>

#define RETRY_FIRST (30 * USEC_PER_SEC)
#define RETRY_MAX (30 * 60 * USEC_PER_SEC)
#define GIVE_UP (3 * 86400 * USEC_PER_SEC)

struct mailer {
    struct db *db;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping, woken;
    struct transport *transport, *next; /* next: a new config, taken between two mails */
    struct mailer_stats stats;
};

struct row {
    int64_t id;
    char *to, *subject, *text, *html, *message_id, *rule, *incident, *fewer;
    bool bulk;
    int rank, tries;
    usec created;
};

static void row_done(struct row *r)
{
    char *all[] = {r->to, r->subject, r->text, r->html, r->message_id, r->rule, r->incident, r->fewer};
    for (size_t i = 0; i < LENGTH(all); i++)
        free(all[i]);
}

static int next_row(struct mailer *m, usec now, struct row *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        m->db, "SELECT id, rcpt, subject, text, html, message_id, rule, incident, unsubscribe, rank, tries,"
               " created, kind = 'digest'"
               " FROM outbox WHERE status = 'queued' AND not_before <= ? ORDER BY rank, id LIMIT 1");
    sqlite3_bind_int64(st, 1, now);
    int rc = db_step(m->db, st, e);
    if (rc <= 0)
        return rc;
    char **texts[] = {&ret->to,         &ret->subject, &ret->text,     &ret->html,
                      &ret->message_id, &ret->rule,    &ret->incident, &ret->fewer};
    ret->id = sqlite3_column_int64(st, 0);
    for (int i = 0; i < (int)LENGTH(texts); i++)
        *texts[i] = str_dup(db_str(st, i + 1));
    ret->rank = sqlite3_column_int(st, 9);
    ret->tries = sqlite3_column_int(st, 10);
    ret->created = sqlite3_column_int64(st, 11);
    ret->bulk = sqlite3_column_int(st, 12);
    sqlite3_reset(st);
    return 1;
}

static int note_result(struct mailer *m, const struct row *r, const char *status, usec not_before, const char *response,
                       struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        m->db, "UPDATE outbox SET status = ?, not_before = ?, tries = tries + 1, response = ? WHERE id = ?");
    db_bind_str(st, 1, str_of(status));
    sqlite3_bind_int64(st, 2, not_before);
    db_bind_str(st, 3, str_of(response));
    sqlite3_bind_int64(st, 4, r->id);
    return db_run(m->db, st, e);
}

static int send_row(struct mailer *m, const struct row *r, struct err *e)
{
    char response[256], root[400];
    struct buf text = BUF_INIT(1u << 20);
    str host = str_of(r->message_id);
    ptrdiff_t at = str_chr(host, '@');
    /* The incident's root message never existed; mail readers thread by it all the same. */
    snprintf(root, sizeof root, "%s%.*s", r->incident,
             STR_ARG(at < 0 ? S("@logd.invalid") : str_skip(host, (size_t)at)));
    mail_compose(&(struct mail){.to = str_of(r->to),
                                .subject = str_of(r->subject),
                                .text = str_of(r->text),
                                .html = str_of(r->html),
                                .message_id = str_of(r->message_id),
                                .thread_id = str_of(root),
                                .rule = str_of(r->rule),
                                .incident = str_of(r->incident),
                                .fewer = str_of(r->fewer),
                                .bulk = r->bulk,
                                .rank = r->rank,
                                .date = r->created},
                 str_of(transport_from(m->transport)), &text);
    enum send_result result = transport_send(m->transport, r->to, buf_view(&text), response);
    buf_done(&text);

    usec now = clock_now(), wait = RETRY_FIRST << (r->tries < 10 ? r->tries : 10);
    bool give_up = result == SEND_LATER && now - r->created > GIVE_UP;
    const char *status = result == SEND_OK ? "sent" : result == SEND_NEVER || give_up ? "failed" : "queued";
    pthread_mutex_lock(&m->lock);
    m->stats.sent += result == SEND_OK;
    m->stats.failed += status[0] == 'f';
    m->stats.retried += status[0] == 'q';
    pthread_mutex_unlock(&m->lock);
    if (status[0] == 'f')
        log_error("mail", "what=\"a mail cannot be delivered\" message_id=%s why=\"%s\"", r->message_id, response);
    else if (status[0] == 'q')
        log_warn("mail", "what=\"a mail will be tried again\" message_id=%s why=\"%s\"", r->message_id, response);
    return note_result(m, r, status, now + (wait > RETRY_MAX ? RETRY_MAX : wait), response, e);
}

/* Sends what is due; false when there is nothing (more) to do now. */
static bool work(struct mailer *m)
{
    struct row r = {0};
    struct err e;
    pthread_mutex_lock(&m->lock);
    if (m->next) {
        transport_free(m->transport);
        m->transport = m->next;
        m->next = NULL;
    }
    pthread_mutex_unlock(&m->lock);
    int rc = next_row(m, clock_now(), &r, &e);
    if (rc > 0)
        rc = send_row(m, &r, &e) < 0 ? -1 : 1;
    if (rc < 0)
        log_error("mail", "what=\"the outbox cannot be used\" why=\"%s\"", e.text);
    row_done(&r);
    return rc > 0;
}

static void *mailer_main(void *arg)
{
    struct mailer *m = arg;
    pthread_setname_np(pthread_self(), "mail");
    for (;;) {
        bool more = work(m);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        pthread_mutex_lock(&m->lock);
        if (!more && !m->woken && !m->stopping)
            pthread_cond_timedwait(&m->wake, &m->lock, &until);
        m->woken = false;
        bool stop = m->stopping;
        pthread_mutex_unlock(&m->lock);
        if (stop)
            return NULL;
    }
}

int mailer_start(const char *db_path, const struct config *c, struct mailer **ret, struct err *e)
{
    struct mailer *m = xcalloc(1, sizeof *m);
    pthread_condattr_t attr;
    if (db_open(db_path, DB_FULL, NULL, 0, &m->db, e) < 0) {
        free(m);
        return -1;
    }
    m->transport = transport_new(c);
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &attr);
    pthread_condattr_destroy(&attr);
    int rc = pthread_create(&m->thread, NULL, mailer_main, m);
    assert(rc == 0);
    (void)rc;
    *ret = m;
    return 0;
}

void mailer_stop(struct mailer *m)
{
    pthread_mutex_lock(&m->lock);
    m->stopping = true;
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    db_close(m->db);
    transport_free(m->transport);
    transport_free(m->next);
    free(m);
}

void mailer_wake(struct mailer *m)
{
    pthread_mutex_lock(&m->lock);
    m->woken = true;
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
}

void mailer_config(struct mailer *m, const struct config *c)
{
    if (!c->mail.url)
        return; /* mail switched off: what is queued still goes the old way; nothing new is queued */
    pthread_mutex_lock(&m->lock);
    transport_free(m->next);
    m->next = transport_new(c);
    pthread_mutex_unlock(&m->lock);
}

int mailer_test(const struct config *c, str to, struct err *e)
{
    char response[256], id[64];
    if (!c->mail.url)
        return err_set(e, ERR_INPUT, "no mail is configured: set mail.url, see logd.conf(5)");
    if (mail_address_check(to, e) < 0)
        return -1;
    struct transport *t = transport_new(c);
    struct buf text = BUF_INIT(1u << 16);
    char *rcpt = str_dup(to);
    snprintf(id, sizeof id, "test.%lld@logd.invalid", (long long)clock_now());
    mail_compose(
        &(struct mail){
            .to = to,
            .subject = S("logd: a test mail"),
            .date = clock_now(),
            .message_id = str_of(id),
            .text = S(
                "This is the test mail that was asked for with `logd mail test`.\nAlerts will come the same way.\n")},
        str_of(transport_from(t)), &text);
    enum send_result result = transport_send(t, rcpt, buf_view(&text), response);
    if (result != SEND_OK)
        err_set(e, ERR_REMOTE, "the mail was not accepted: %s", response);
    buf_done(&text);
    free(rcpt);
    transport_free(t);
    return result == SEND_OK ? 0 : -1;
}

void mailer_get_stats(struct mailer *m, struct mailer_stats *ret)
{
    pthread_mutex_lock(&m->lock);
    *ret = m->stats;
    pthread_mutex_unlock(&m->lock);
}
