/* notify/mailer.c - two threads that send rows of the outbox, one at a time: one by mail, one to webhooks, so that neither waits
 * for the other.
 *
 * Each has a connection to fold.db that is FULL: what became of a mail is on disk before the next one goes, so a power loss repeats
 * at most the mail that was under way, with the same Message-ID. Retries: 30 s doubled up to 30 min, for three days; all at once
 * after a new config. When the server refuses the login it is not asked again for half an hour, for some lock whoever asks often; what
 * becomes due meanwhile is marked without asking. What is refused is marked as trouble, for the fold: trouble.c. */
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "notify/notify.h"
#include "notify/transport.h"
#include "notify/webhook.h"

#include <pthread.h>
#include <time.h>

#define RETRY_FIRST (30 * USEC_PER_SEC)
#define RETRY_MAX (30 * 60 * USEC_PER_SEC)
#define GIVE_UP (3 * 86400 * USEC_PER_SEC)

/* A way to send: one of them, or none. */
struct channel {
    struct transport *mail;
    struct webhooks *hooks;
};
struct sender {
    struct mailer *of;
    bool hooks; /* it sends to webhooks */
    struct db *db;
    pthread_t thread;
    bool started, woken, fresh; /* fresh: its config is new */
    struct channel now, next;   /* next: a new config, taken between two rows */
    usec denied;                /* until then the server is not asked, for it refused the login */
    char denied_why[256];
};
enum { SENDERS = 2 };
struct mailer {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    struct mailer_stats stats;
    void (*on_trouble)(void *arg);
    void *arg;
    struct sender senders[SENDERS];
};

struct row {
    int64_t id, signals;
    char *to, *subject, *text, *html, *message_id, *rule, *incident, *fewer, *kind, *key, *host, *event, *link, *app,
        *env;
    int rank, tries;
    usec created;
};
enum { TEXTS = 15 };

static void texts_of(struct row *r, char **ret[TEXTS])
{
    char **all[TEXTS] = {&r->to,   &r->subject, &r->text, &r->html,  &r->message_id, &r->rule, &r->incident, &r->fewer,
                         &r->kind, &r->key,     &r->host, &r->event, &r->link,       &r->app,  &r->env};
    memcpy(ret, all, sizeof all);
}

static void row_done(struct row *r)
{
    char **all[TEXTS];
    texts_of(r, all);
    for (size_t i = 0; i < TEXTS; i++)
        free(*all[i]);
}

static int next_row(struct sender *s, usec now, struct row *ret, struct err *e)
{
    sqlite3_stmt *st = db_stmt(
        s->db,
        "SELECT rcpt, subject, text, html, message_id, rule, incident, unsubscribe, kind, key, host, event,"
        " link, (SELECT app FROM incident WHERE id = o.incident),"
        " (SELECT env FROM incident WHERE id = o.incident), id, rank, tries, created, signals FROM outbox o"
        " WHERE status = 'queued' AND not_before <= ? AND (rcpt GLOB '" WEBHOOK "*') = ? ORDER BY rank, id LIMIT 1");
    sqlite3_bind_int64(st, 1, now);
    sqlite3_bind_int(st, 2, s->hooks);
    int rc = db_step(s->db, st, e);
    if (rc <= 0)
        return rc;
    char **texts[TEXTS];
    texts_of(ret, texts);
    for (int i = 0; i < TEXTS; i++)
        *texts[i] = str_dup(db_str(st, i));
    ret->id = sqlite3_column_int64(st, TEXTS);
    ret->rank = sqlite3_column_int(st, TEXTS + 1);
    ret->tries = sqlite3_column_int(st, TEXTS + 2);
    ret->created = sqlite3_column_int64(st, TEXTS + 3);
    ret->signals = sqlite3_column_int64(st, TEXTS + 4);
    sqlite3_reset(st);
    return 1;
}

static int note_result(struct sender *s, const struct row *r, const char *status, bool trouble, usec not_before,
                       const char *response, struct err *e)
{
    sqlite3_stmt *st = db_stmt(s->db, "UPDATE outbox SET status = ?, not_before = ?, tries = tries + 1, response = ?,"
                                      " trouble = max(trouble, ?) WHERE id = ?");
    db_bind_str(st, 1, str_of(status));
    sqlite3_bind_int64(st, 2, not_before);
    db_bind_str(st, 3, str_of(response));
    sqlite3_bind_int(st, 4, trouble);
    sqlite3_bind_int64(st, 5, r->id);
    return db_run(s->db, st, e);
}

static enum send_result send_mail(struct transport *t, const struct row *r, char response[256])
{
    char root[400];
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
                                .bulk = strcmp(r->kind, "digest") == 0,
                                .rank = r->rank,
                                .date = r->created},
                 str_of(transport_from(t)), &text);
    enum send_result result = transport_send(t, r->to, buf_view(&text), response);
    buf_done(&text);
    return result;
}

static enum send_result send_hook(struct webhooks *w, const struct row *r, char response[256])
{
    struct hook_mail m = {.incident = str_of(r->incident),
                          .kind = str_of(r->kind),
                          .rule = str_of(r->rule),
                          .key = str_of(r->key),
                          .app = str_of(r->app),
                          .env = str_of(r->env),
                          .host = str_of(r->host),
                          .event = str_of(r->event),
                          .subject = str_of(r->subject),
                          .text = str_of(r->text),
                          .link = str_of(r->link),
                          .message_id = str_of(r->message_id),
                          .rank = r->rank,
                          .signals = r->signals,
                          .created = r->created};
    return webhook_send(w, str_of(r->to + strlen(WEBHOOK)), &m, response);
}

static enum send_result send_now(struct sender *s, const struct row *r, char response[256])
{
    if (s->hooks)
        return send_hook(s->now.hooks, r, response);
    if (clock_now() < s->denied) {
        snprintf(response, 256, "%s", s->denied_why);
        return SEND_DENIED;
    }
    enum send_result result = send_mail(s->now.mail, r, response);
    s->denied = result == SEND_DENIED ? clock_now() + RETRY_MAX : 0;
    if (s->denied)
        snprintf(s->denied_why, sizeof s->denied_why, "%s", response);
    return result;
}

static int send_row(struct sender *s, const struct row *r, struct err *e)
{
    struct mailer *m = s->of;
    char response[256];
    enum send_result result = send_now(s, r, response);
    usec now = clock_now(), wait = RETRY_FIRST << (r->tries < 10 ? r->tries : 10);
    bool give_up = (result == SEND_LATER || result == SEND_DENIED) && now - r->created > GIVE_UP;
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
    bool trouble = status[0] == 'f' || result == SEND_DENIED;
    usec again = result == SEND_DENIED ? s->denied : now + (wait > RETRY_MAX ? RETRY_MAX : wait);
    if (note_result(s, r, status, trouble, again, response, e) < 0)
        return -1;
    if (trouble && m->on_trouble)
        m->on_trouble(m->arg);
    return 0;
}

/* ---- the threads ---- */
static bool go_on(void *arg)
{
    struct mailer *m = arg;
    pthread_mutex_lock(&m->lock);
    bool stop = m->stopping;
    pthread_mutex_unlock(&m->lock);
    return !stop;
}

static struct channel channel_new(const struct sender *s, const struct config *c)
{
    return (struct channel){.mail = !s->hooks && c->mail.url ? transport_new(c) : NULL,
                            .hooks = s->hooks ? webhooks_new(c, go_on, s->of) : NULL};
}

static void channel_free(struct channel *c)
{
    transport_free(c->mail);
    webhooks_free(c->hooks);
    *c = (struct channel){0};
}

/* What waits is tried at once: whoever changed the config, or started anew, may have repaired it. */
static int try_all(struct sender *s, struct err *e)
{
    s->denied = 0;
    sqlite3_stmt *st = db_stmt(s->db, "UPDATE outbox SET not_before = created WHERE status = 'queued' AND tries > 0 AND"
                                      " (rcpt GLOB '" WEBHOOK "*') = ?");
    sqlite3_bind_int(st, 1, s->hooks);
    return db_run(s->db, st, e);
}

static int count_queue(struct sender *s, struct err *e)
{
    struct mailer *m = s->of;
    sqlite3_stmt *st = db_stmt(s->db, "SELECT count(*), coalesce(min(created), 0), coalesce(min(iif(tries > 0, created,"
                                      " NULL)), 0) FROM outbox WHERE status = 'queued'");
    int rc = db_step(s->db, st, e);
    pthread_mutex_lock(&m->lock);
    m->stats.queued = (uint64_t)sqlite3_column_int64(st, 0);
    m->stats.oldest_queued = sqlite3_column_int64(st, 1);
    m->stats.oldest_tried = sqlite3_column_int64(st, 2);
    pthread_mutex_unlock(&m->lock);
    sqlite3_reset(st);
    return rc < 0 ? -1 : 0;
}

static bool take_config(struct sender *s)
{
    struct channel next;
    pthread_mutex_lock(&s->of->lock);
    next = s->next;
    s->next = (struct channel){0};
    pthread_mutex_unlock(&s->of->lock);
    if (next.mail || next.hooks) {
        channel_free(&s->now);
        s->now = next;
        s->fresh = true;
    }
    return s->now.mail || s->now.hooks;
}

/* Sends what is due; false when there is nothing (more) to do now. */
static bool work(struct sender *s)
{
    struct row r = {0};
    struct err e;
    int rc = count_queue(s, &e);
    if (!take_config(s))
        return false;
    if (rc == 0 && s->fresh) {
        rc = try_all(s, &e);
        s->fresh = rc < 0;
    }
    if (rc == 0)
        rc = next_row(s, clock_now(), &r, &e);
    if (rc > 0)
        rc = send_row(s, &r, &e) < 0 ? -1 : 1;
    if (rc < 0)
        log_error("mail", "what=\"the outbox cannot be used\" why=\"%s\"", e.text);
    row_done(&r);
    return rc > 0;
}

static void *sender_main(void *arg)
{
    struct sender *s = arg;
    struct mailer *m = s->of;
    pthread_setname_np(pthread_self(), s->hooks ? "webhook" : "mail");
    for (;;) {
        bool more = work(s);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        pthread_mutex_lock(&m->lock);
        if (!more && !s->woken && !m->stopping)
            pthread_cond_timedwait(&m->wake, &m->lock, &until);
        s->woken = false;
        bool stop = m->stopping;
        pthread_mutex_unlock(&m->lock);
        if (stop)
            return NULL;
    }
}

static int sender_start(struct mailer *m, struct sender *s, const char *db_path, const struct config *c, struct err *e)
{
    s->of = m;
    s->hooks = s != m->senders;
    if (db_open(db_path, DB_FULL, NULL, 0, &s->db, e) < 0)
        return -1;
    s->now = channel_new(s, c);
    s->fresh = true;
    int rc = pthread_create(&s->thread, NULL, sender_main, s);
    assert(rc == 0);
    (void)rc;
    s->started = true;
    return 0;
}

int mailer_start(const char *db_path, const struct config *c, void (*on_trouble)(void *arg), void *arg,
                 struct mailer **ret, struct err *e)
{
    struct mailer *m = xcalloc(1, sizeof *m);
    m->on_trouble = on_trouble;
    m->arg = arg;
    pthread_condattr_t attr;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &attr);
    pthread_condattr_destroy(&attr);
    for (size_t i = 0; i < SENDERS; i++)
        if (sender_start(m, &m->senders[i], db_path, c, e) < 0) {
            mailer_stop(m);
            return -1;
        }
    *ret = m;
    return 0;
}

void mailer_stop(struct mailer *m)
{
    pthread_mutex_lock(&m->lock);
    m->stopping = true;
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < SENDERS; i++) {
        struct sender *s = &m->senders[i];
        if (s->started)
            pthread_join(s->thread, NULL);
        if (s->db)
            db_close(s->db);
        channel_free(&s->now);
        channel_free(&s->next);
    }
    pthread_cond_destroy(&m->wake);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void mailer_wake(struct mailer *m)
{
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < SENDERS; i++)
        m->senders[i].woken = true;
    pthread_cond_broadcast(&m->wake);
    pthread_mutex_unlock(&m->lock);
}

/* Mail that is switched off: what is queued still goes the old way; nothing new is queued. */
void mailer_config(struct mailer *m, const struct config *c)
{
    for (size_t i = 0; i < SENDERS; i++) {
        struct sender *s = &m->senders[i];
        struct channel next = channel_new(s, c);
        pthread_mutex_lock(&m->lock);
        struct channel was = s->next;
        s->next = next;
        pthread_mutex_unlock(&m->lock);
        channel_free(&was);
    }
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
