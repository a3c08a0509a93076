#include "unit.h"
#include "base/clock.h"
#include "routes/auth.h"
#include "routes/backoff.h"
#include "routes/password.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1800000000000000LL
#define MIN (60 * USEC_PER_SEC)
#define HOUR (60 * MIN)

static char dir[64], db_path[128];
static struct auth *a;
static struct err e;

static void open_auth(void)
{
    CHECK_INT(auth_open(db_path, &a, &e), 0);
    if (!a) {
        printf("%s\n", e.text);
        exit(1);
    }
}
static void start(void)
{
    snprintf(dir, sizeof dir, "/tmp/test_auth.XXXXXX");
    if (!mkdtemp(dir))
        exit(1);
    snprintf(db_path, sizeof db_path, "%s/logd.db", dir);
    open_auth();
}
static void reopen(void)
{
    auth_close(a);
    a = NULL;
    open_auth();
}
static void stop(void)
{
    char cmd[128];
    auth_close(a);
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    if (system(cmd) != 0)
        exit(1);
}
static uint32_t app(str name)
{
    uint32_t id = 0;
    CHECK_INT(auth_app_add(a, name, &id, &e), 0);
    return id;
}
static int64_t key(str name, enum role role, uint32_t rate, char out[64])
{
    str origin = S("https://WWW.Example.com:443/");
    int64_t id = 0;
    struct auth_key_new k = {.app = name, .role = role, .per_minute = rate};
    if (role == ROLE_BROWSER)
        k.origins = &origin, k.origins_n = 1;
    CHECK_INT(auth_key_add(a, &k, out, &id, &e), 0);
    return id;
}
static bool works(const char *k)
{
    struct principal p;
    return auth_key(a, str_of(k), (str){NULL, 0}, NOW, &p, &e) == 0;
}
static bool listed(void (*list)(struct auth *, struct buf *), const char *text)
{
    struct buf b = BUF_INIT(100000);
    list(a, &b);
    bool found = str_find(buf_view(&b), str_of(text)) >= 0;
    if (!found)
        printf("not in it: %s\n%.*s\n", text, STR_ARG(buf_view(&b)));
    buf_done(&b);
    return found;
}
/* Nothing of what must be secret is in any file of the folder. */
static bool on_disk(const char *secret)
{
    char cmd[256];
    snprintf(cmd, sizeof cmd, "grep -rqF -e '%s' %s", secret, dir);
    return system(cmd) == 0;
}

TEST(rights_are_exactly_this_table)
{
    static const struct {
        enum role role;
        const char *rights; /* in the order of enum right from WRITE on */
    } table[] = {
        /*               WRSTMLEA: write report read state maps logins edit admin */
        {ROLE_NONE, "........"},   {ROLE_INGEST, "WR......"}, {ROLE_BROWSER, ".R......"},
        {ROLE_DEPLOY, "....M..."}, {ROLE_READ, "..QS.L.."},   {ROLE_LOGINS, ".....L.."},
        {ROLE_VIEWER, "..QS.L.."}, {ROLE_EDITOR, "..QS.LE."}, {ROLE_ADMIN, "WRQSMLEA"},
    };
    CHECK_INT(LENGTH(table), ROLE_ADMIN + 1);
    for (size_t i = 0; i < LENGTH(table); i++)
        for (int r = RIGHT_WRITE; r <= RIGHT_ADMIN; r++) {
            bool want = table[i].rights[r - RIGHT_WRITE] != '.';
            struct principal p = {.role = table[i].role, .app = 1};
            CHECK(role_may(table[i].role, (enum right)r) == want);
            CHECK(principal_may(&p, (enum right)r) == want);
            p.app = 0; /* a session */
            CHECK(principal_may(&p, (enum right)r) == (want && r != RIGHT_WRITE && r != RIGHT_REPORT));
            p.local = true;
            CHECK(principal_may(&p, (enum right)r) == want);
        }
    CHECK(!role_may((enum role)99, RIGHT_READ));
}

TEST(roles_are_read_as_they_are_written)
{
    for (int r = ROLE_INGEST; r <= ROLE_ADMIN; r++)
        CHECK_INT(role_read(str_of(role_name((enum role)r))), r);
    CHECK_INT(role_read(S("none")), ROLE_NONE);
    CHECK_INT(role_read(S("root")), ROLE_NONE);
    CHECK_INT(role_read(S("")), ROLE_NONE);
}

TEST(a_key_opens_its_app_only_after_it_is_made_and_dies_when_revoked)
{
    struct principal p;
    char k[64];
    start();
    uint32_t shop = app(S("shop"));
    CHECK(!works("lk_000000000000000000000000"));
    int64_t id = key(S("shop"), ROLE_INGEST, 0, k);
    CHECK(str_starts(str_of(k), S("lk_")) && strlen(k) == 27);
    CHECK_INT(auth_key(a, str_of(k), (str){NULL, 0}, NOW, &p, &e), 0);
    CHECK(p.role == ROLE_INGEST && p.app == shop && p.key == id && !p.local && p.user[0] == '\0');
    CHECK_STR(str_of(p.app_name), S("shop"));
    CHECK(!on_disk(k + 8)); /* the first characters are kept as a hint */
    reopen();
    CHECK(works(k));
    CHECK_INT(auth_key_revoke(a, id, &e), 0);
    CHECK(!works(k));
    CHECK_INT(e.kind, ERR_DENIED);
    CHECK_INT(auth_key_revoke(a, id, &e), -1);
    CHECK_INT(e.kind, ERR_GONE);
    reopen();
    CHECK(!works(k));
    stop();
}

TEST(key_ids_are_never_used_again)
{
    char k[64];
    start();
    app(S("shop"));
    int64_t first = key(S("shop"), ROLE_READ, 0, k);
    CHECK_INT(auth_key_revoke(a, first, &e), 0);
    reopen();
    CHECK(key(S("shop"), ROLE_READ, 0, k) > first);
    stop();
}

TEST(a_near_miss_of_a_key_does_not_open)
{
    char k[64];
    start();
    app(S("shop"));
    key(S("shop"), ROLE_ADMIN, 0, k);
    for (size_t i = 0; i < 27; i++) {
        char miss[64];
        memcpy(miss, k, sizeof miss);
        miss[i] ^= 1;
        CHECK(!works(miss));
    }
    struct principal p;
    CHECK_INT(auth_key(a, str_head(str_of(k), 26), (str){NULL, 0}, NOW, &p, &e), -1);
    CHECK_INT(auth_key(a, (str){NULL, 0}, (str){NULL, 0}, NOW, &p, &e), -1);
    CHECK_INT(auth_key(a, str_n(k, 28), (str){NULL, 0}, NOW, &p, &e), -1); /* with its NUL */
    stop();
}

TEST(many_keys_are_told_apart)
{
    enum { N = 60 };
    char k[N][64];
    int64_t id[N];
    start();
    app(S("shop"));
    for (int i = 0; i < N; i++)
        id[i] = key(S("shop"), ROLE_INGEST, 0, k[i]);
    for (int i = 0; i < N; i += 3)
        CHECK_INT(auth_key_revoke(a, id[i], &e), 0);
    for (int i = 0; i < N; i++) {
        struct principal p = {0};
        int rc = auth_key(a, str_of(k[i]), (str){NULL, 0}, NOW, &p, &e);
        CHECK(i % 3 == 0 ? rc == -1 : rc == 0 && p.key == id[i]);
    }
    stop();
}

TEST(a_browser_key_is_for_its_origins_only)
{
    struct principal p;
    char k[64];
    start();
    app(S("shop"));
    key(S("shop"), ROLE_BROWSER, 0, k);
    CHECK_INT(auth_key(a, str_of(k), S("https://www.example.com"), NOW, &p, &e), 0);
    CHECK(auth_origin_allowed(a, str_of(k), S("https://www.example.com")));
    static const char *const others[] = {"http://www.example.com",
                                         "https://www.example.com:444",
                                         "https://example.com",
                                         "https://www.example.com.evil.org",
                                         "https://www.example.co",
                                         "null",
                                         "",
                                         "https://www.example.com\nhttps://x",
                                         "https://www.example.com\n"};
    for (size_t i = 0; i < LENGTH(others); i++) {
        CHECK_INT(auth_key(a, str_of(k), str_of(others[i]), NOW, &p, &e), -1);
        CHECK_INT(e.kind, ERR_INPUT);
        CHECK(!auth_origin_allowed(a, str_of(k), str_of(others[i])));
    }
    CHECK_INT(auth_key(a, str_of(k), (str){NULL, 0}, NOW, &p, &e), -1);
    CHECK_INT(e.kind, ERR_INPUT);
    CHECK(!auth_origin_allowed(a, S("lk_x"), S("https://www.example.com")));
    stop();
}

TEST(origins_are_kept_as_browsers_send_them_or_refused)
{
    static const struct {
        const char *given, *kept; /* NULL: refused */
    } cases[] = {
        {"https://Shop.Example:8443", "https://shop.example:8443"},
        {"http://localhost:80/", "http://localhost"},
        {"HTTP://a", "http://a"},
        {"https://[::1]:8080", "https://[::1]:8080"},
        {"https://[::1]:443", "https://[::1]"},
        {"ftp://a", NULL},
        {"https://", NULL},
        {"https://a/b", NULL},
        {"https://a:0", NULL},
        {"https://a:65536", NULL},
        {"https://a:", NULL},
        {"https://*.a", NULL},
        {"https://u@a", NULL},
        {"https://a b", NULL},
        {"https://a\n", NULL},
        {"https://[::1", NULL},
        {"https://[::1]x", NULL},
        {"", NULL},
    };
    start();
    app(S("shop"));
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char k[64];
        int64_t id;
        str origin = str_of(cases[i].given);
        struct principal p;
        int rc = auth_key_add(
            a, &(struct auth_key_new){.app = S("shop"), .role = ROLE_BROWSER, .origins = &origin, .origins_n = 1}, k,
            &id, &e);
        CHECK_INT(rc, cases[i].kept ? 0 : -1);
        if (rc == 0)
            CHECK_INT(auth_key(a, str_of(k), str_of(cases[i].kept), NOW, &p, &e), 0);
        else
            CHECK(e.kind == ERR_INPUT && str_starts(str_of(e.text), S("origin: expected http:// or https://")));
        if ((rc == 0) != (cases[i].kept != NULL))
            printf("%s\n", cases[i].given);
    }
    stop();
}

static const char *refusal(const char *app_name, enum role role, size_t origins)
{
    char k[64];
    int64_t id;
    str list[60];
    for (size_t i = 0; i < LENGTH(list); i++)
        list[i] = S("https://a");
    struct auth_key_new n = {.app = str_of(app_name), .role = role, .origins = list, .origins_n = origins};
    return auth_key_add(a, &n, k, &id, &e) < 0 ? e.text : "none";
}

TEST(what_is_wrong_with_a_new_key_is_said_in_a_sentence)
{
    start();
    app(S("shop"));
    CHECK_STR(str_of(refusal("shop", ROLE_VIEWER, 0)),
              S("role: expected one of ingest, browser, deploy, read, logins, admin, got \"viewer\""));
    CHECK_STR(str_of(refusal("shop", ROLE_BROWSER, 0)),
              S("origin: a browser key needs at least one, such as https://www.example.com"));
    CHECK_STR(str_of(refusal("shop", ROLE_INGEST, 1)), S("origin: only a browser key has one, this is of role ingest"));
    CHECK_STR(str_of(refusal("shop", ROLE_BROWSER, 51)), S("origin: expected at most 50, got 51"));
    CHECK_STR(str_of(refusal("toys", ROLE_INGEST, 0)), S("there is no app named \"toys\""));
    stop();
}

TEST(app_names_are_small_letters_digits_and_three_signs)
{
    static const char *const bad[] = {"",
                                      "Shop",
                                      "a b",
                                      ".",
                                      "..",
                                      ".a",
                                      "-a",
                                      "a/b",
                                      "a\nb",
                                      "caf\xc3\xa9",
                                      "01234567890123456789012345678901234567890123456789012345678901234"};
    uint32_t id;
    start();
    app(S("a"));
    app(S("0-shop_v1.2"));
    app(S("0123456789012345678901234567890123456789012345678901234567890123"));
    for (size_t i = 0; i < LENGTH(bad); i++) {
        CHECK_INT(auth_app_add(a, str_of(bad[i]), &id, &e), -1);
        CHECK(e.kind == ERR_INPUT &&
              str_starts(str_of(e.text), S("app: expected 1 to 64 of a-z, 0-9, '.', '_' and '-'")));
    }
    CHECK_INT(auth_app_add(a, S("a"), &id, &e), -1);
    CHECK_STR(str_of(e.text), S("app: \"a\" is there already, its id is 1"));
    stop();
}

TEST(removing_an_app_kills_its_keys_and_keeps_its_id)
{
    char shop[64], toys[64], name[LIMIT_APP + 1];
    uint32_t id = 0;
    start();
    uint32_t shop_id = app(S("shop"));
    app(S("toys"));
    key(S("shop"), ROLE_ADMIN, 0, shop);
    key(S("toys"), ROLE_INGEST, 0, toys);
    CHECK_INT(auth_app_remove(a, S("shop"), &e), 0);
    CHECK(!works(shop) && works(toys));
    CHECK(!auth_app_find(a, S("shop"), &id) && auth_app_find(a, S("toys"), &id));
    CHECK(auth_app_name(a, shop_id, name) && strcmp(name, "shop") == 0);
    CHECK(!auth_app_name(a, 99, name));
    CHECK_INT(auth_app_remove(a, S("shop"), &e), -1);
    CHECK_INT(e.kind, ERR_GONE);
    CHECK_INT(app(S("shop")), shop_id);
    CHECK(!works(shop));
    stop();
}

TEST(lists_show_apps_with_keys_and_dsn_and_never_a_key)
{
    char k[64];
    start();
    app(S("shop"));
    key(S("shop"), ROLE_INGEST, 0, k);
    key(S("shop"), ROLE_BROWSER, 0, k);
    struct buf b = BUF_INIT(10000);
    auth_app_list(a, "https://logs.example.com/", &b);
    CHECK_STR(buf_view(&b), S("[{\"id\":1,\"name\":\"shop\",\"keys\":[\"ingest-1\",\"browser-2\"],"
                              "\"dsn\":\"https://KEY@logs.example.com/1\"}]"));
    buf_reset(&b);
    auth_key_list(a, &b);
    CHECK(str_find(buf_view(&b), str_of(k)) < 0 && str_find(buf_view(&b), str_of(k + 8)) < 0);
    buf_done(&b);
    CHECK(listed(auth_key_list, "\"role\":\"browser\",\"hint\":\"lk_"));
    CHECK(listed(auth_key_list, "\"origins\":[\"https://www.example.com\"],\"per_minute\":1000,"));
    CHECK(listed(auth_key_list, "\"last_used\":null}"));
    stop();
}

TEST(last_use_of_a_key_is_written_down_each_minute_and_at_the_end)
{
    char k[64];
    start();
    app(S("shop"));
    key(S("shop"), ROLE_INGEST, 0, k);
    CHECK(works(k));
    CHECK(listed(auth_key_list, "\"last_used\":\"2027-01-15T08:00:00Z\"}"));
    reopen();
    CHECK(listed(auth_key_list, "\"last_used\":\"2027-01-15T08:00:00Z\"}"));
    struct principal p;
    CHECK_INT(auth_key(a, str_of(k), (str){NULL, 0}, NOW + HOUR, &p, &e), 0);
    auth_tick(a, NOW + HOUR);
    struct auth *crashed = a; /* never closed */
    open_auth();
    CHECK(listed(auth_key_list, "\"last_used\":\"2027-01-15T09:00:00Z\"}"));
    auth_close(crashed);
    stop();
}

TEST(a_quota_lets_n_through_at_once_and_then_as_they_grow_back)
{
    unsigned retry = 0;
    char k[64];
    start();
    app(S("shop"));
    int64_t id = key(S("shop"), ROLE_INGEST, 60, k), free_id = key(S("shop"), ROLE_INGEST, 0, k);
    for (int i = 0; i < 60; i++)
        CHECK(auth_take(a, id, 1, NOW, &retry));
    CHECK(!auth_take(a, id, 1, NOW, &retry));
    CHECK_INT(retry, 1);
    CHECK(!auth_take(a, id, 30, NOW, &retry));
    CHECK_INT(retry, 30);
    CHECK(auth_take(a, id, 1, NOW + USEC_PER_SEC, &retry));
    CHECK(!auth_take(a, id, 1, NOW + USEC_PER_SEC, &retry));
    CHECK(auth_take(a, id, 60, NOW + 2 * MIN, &retry));
    CHECK(auth_take(a, free_id, 1000000, NOW, &retry) && auth_take(a, 0, 1000000, NOW, &retry) &&
          auth_take(a, 99, 1, NOW, &retry));
    stop();
}

TEST(a_batch_over_the_quota_passes_when_nothing_is_owed_and_is_paid_back)
{
    unsigned retry = 0;
    char k[64];
    start();
    app(S("shop"));
    int64_t id = key(S("shop"), ROLE_INGEST, 60, k);
    CHECK(auth_take(a, id, 300, NOW, &retry));
    CHECK(!auth_take(a, id, 1, NOW, &retry));
    CHECK_INT(retry, 241);
    CHECK(!auth_take(a, id, 300, NOW + 2 * MIN, &retry));
    CHECK_INT(retry, 180);
    CHECK(auth_take(a, id, 1, NOW + 241 * USEC_PER_SEC, &retry));
    CHECK(auth_take(a, id, 100000, NOW + HOUR, &retry));
    CHECK(auth_take(a, id, 100000, NOW + 2 * HOUR, &retry)); /* an hour is the most one owes */
    CHECK(!auth_take(a, id, 1, NOW, &retry));                /* the clock went back */
    CHECK(retry <= 3600);
    stop();
}

TEST(a_quota_survives_a_change_of_other_keys)
{
    unsigned retry = 0;
    char k[64];
    start();
    app(S("shop"));
    int64_t id = key(S("shop"), ROLE_INGEST, 60, k);
    CHECK(auth_take(a, id, 60, NOW, &retry));
    key(S("shop"), ROLE_READ, 0, k);
    CHECK(!auth_take(a, id, 1, NOW, &retry));
    stop();
}

static _Atomic bool done;
static char living[64];
static void *use_keys(void *arg)
{
    unsigned retry;
    struct principal p;
    struct err mine;
    size_t *n = arg;
    for (; !done || *n < 1000; ++*n) {
        if (auth_key(a, str_of(living), (str){NULL, 0}, NOW + (usec)*n, &p, &mine) < 0)
            printf("%s\n", mine.text), unit_failed = true;
        (void)auth_take(a, p.key, 1, NOW, &retry);
        if (auth_key(a, S("lk_no"), (str){NULL, 0}, NOW, &p, &mine) == 0)
            unit_failed = true;
    }
    return NULL;
}

TEST(readers_go_on_while_keys_come_and_go)
{
    pthread_t t[3];
    size_t n[3] = {0};
    start();
    app(S("shop"));
    key(S("shop"), ROLE_INGEST, 60, living);
    done = false;
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, use_keys, &n[i]);
    for (int i = 0; i < 30; i++) {
        char k[64];
        int64_t id = key(S("shop"), ROLE_READ, 0, k);
        CHECK(works(k));
        CHECK_INT(auth_key_revoke(a, id, &e), 0);
        CHECK(!works(k));
        auth_tick(a, NOW);
    }
    done = true;
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    stop();
}

TEST(server_keys_stay_and_differ_by_name)
{
    uint8_t x[32], y[32], z[32];
    start();
    auth_server_key(a, "event_id", x);
    auth_server_key(a, "cursor", y);
    reopen();
    auth_server_key(a, "event_id", z);
    CHECK(memcmp(x, z, 32) == 0 && memcmp(x, y, 32) != 0);
    stop();
}

TEST(logd_db_is_its_owners_only)
{
    struct stat st;
    start();
    app(S("shop"));
    CHECK(stat(db_path, &st) == 0 && (st.st_mode & 0777) == 0600);
    char wal[160];
    snprintf(wal, sizeof wal, "%s-wal", db_path);
    CHECK(stat(wal, &st) == 0 && (st.st_mode & 0777) == 0600);
    stop();
}

/* People. */

#define GOOD S("correct horse")
static int login(const char *email, str password, const char *peer, usec now, char cookie[65])
{
    struct principal p;
    unsigned retry;
    return auth_login(a, str_of(email), password, peer, now, cookie, &p, &retry, &e);
}
static bool alive(const char *cookie, usec now)
{
    struct principal p;
    return auth_session(a, str_of(cookie), now, &p, &e) == 0;
}

TEST(a_user_signs_in_with_his_password_and_not_with_another)
{
    struct principal p = {0}, q = {0};
    char cookie[65], second[65];
    unsigned retry;
    start();
    CHECK_INT(auth_user_add(a, S("Ann@Example.com"), ROLE_EDITOR, GOOD, &e), 0);
    CHECK_INT(auth_login(a, S("ann@example.COM"), GOOD, "192.0.2.1", NOW, cookie, &p, &retry, &e), 0);
    CHECK(p.role == ROLE_EDITOR && strcmp(p.user, "ann@example.com") == 0 && strlen(p.csrf) == 64 && p.app == 0 &&
          p.key == 0);
    CHECK_INT(auth_session(a, str_of(cookie), NOW, &q, &e), 0);
    CHECK(memcmp(&p, &q, sizeof p) == 0);
    CHECK_INT(login("ann@example.com", GOOD, "192.0.2.1", NOW, second), 0);
    CHECK(strcmp(cookie, second) != 0); /* a new id at every sign-in */
    CHECK_INT(auth_session(a, str_of(second), NOW, &q, &e), 0);
    CHECK(strcmp(p.csrf, q.csrf) != 0);
    CHECK_INT(login("ann@example.com", S("correct horsf"), "192.0.2.1", NOW, second), -1);
    CHECK_INT(e.kind, ERR_DENIED);
    char said[400];
    memcpy(said, e.text, sizeof said);
    CHECK_INT(login("bob@example.com", GOOD, "192.0.2.1", NOW, second), -1);
    CHECK_STR(str_of(e.text), str_of(said));
    CHECK_INT(login("not an address", GOOD, "192.0.2.1", NOW, second), -1);
    CHECK_STR(str_of(e.text), str_of(said));
    CHECK(!on_disk(cookie) && !on_disk("correct horse") && !on_disk(p.csrf));
    CHECK(listed(auth_user_list, "[{\"email\":\"ann@example.com\",\"role\":\"editor\",\"created\":\""));
    CHECK(listed(auth_user_list, "\"last_login\":\"2027-01-15T08:00:00Z\"}]"));
    stop();
}

TEST(sessions_end_at_logout_idleness_and_old_age)
{
    char one[65], two[65];
    start();
    CHECK_INT(auth_user_add(a, S("a@b"), ROLE_VIEWER, GOOD, &e), 0);
    CHECK_INT(login("a@b", GOOD, "p", NOW, one), 0);
    CHECK_INT(login("a@b", GOOD, "p", NOW, two), 0);
    CHECK(alive(one, NOW + 11 * HOUR) && alive(two, NOW + 11 * HOUR));
    CHECK_INT(auth_logout(a, str_of(one), &e), 0);
    CHECK(!alive(one, NOW + 11 * HOUR));
    CHECK(alive(two, NOW + 22 * HOUR)); /* use keeps it alive */
    auth_tick(a, NOW + 22 * HOUR);
    reopen();
    CHECK(alive(two, NOW + 33 * HOUR));
    CHECK(!alive(two, NOW + 45 * HOUR));
    for (usec t = 33; t < 30 * 24; t += 10)
        CHECK(alive(two, NOW + t * HOUR));
    CHECK(!alive(two, NOW + 30 * 24 * HOUR));
    auth_tick(a, NOW + 31 * 24 * HOUR);
    CHECK(!alive(two, NOW + 33 * HOUR)); /* removed for good */
    CHECK(!alive("", NOW) && !alive("x", NOW));
    stop();
}

TEST(a_new_password_and_removal_end_all_sessions)
{
    char one[65], two[65], other[65];
    start();
    CHECK_INT(auth_user_add(a, S("a@b"), ROLE_ADMIN, GOOD, &e), 0);
    CHECK_INT(auth_user_add(a, S("c@d"), ROLE_ADMIN, GOOD, &e), 0);
    CHECK_INT(login("a@b", GOOD, "p", NOW, one), 0);
    CHECK_INT(login("c@d", GOOD, "p", NOW, other), 0);
    CHECK_INT(auth_user_passwd(a, S("A@b"), S("battery staple"), &e), 0);
    CHECK(!alive(one, NOW) && alive(other, NOW));
    CHECK_INT(login("a@b", GOOD, "p", NOW, two), -1);
    CHECK_INT(login("a@b", S("battery staple"), "p", NOW, two), 0);
    CHECK_INT(auth_user_remove(a, S("a@b"), &e), 0);
    CHECK(!alive(two, NOW) && alive(other, NOW));
    CHECK_INT(auth_user_remove(a, S("a@b"), &e), -1);
    CHECK_STR(str_of(e.text), S("there is no user with e-mail \"a@b\""));
    CHECK_INT(auth_user_passwd(a, S("a@b"), GOOD, &e), -1);
    CHECK_INT(e.kind, ERR_GONE);
    stop();
}

TEST(the_33rd_session_ends_the_longest_unused)
{
    char cookie[33][65];
    start();
    CHECK_INT(auth_user_add(a, S("a@b"), ROLE_VIEWER, GOOD, &e), 0);
    for (int i = 0; i < 33; i++)
        CHECK_INT(login("a@b", GOOD, "p", NOW + i, cookie[i]), 0);
    CHECK(!alive(cookie[0], NOW) && alive(cookie[1], NOW) && alive(cookie[32], NOW));
    stop();
}

TEST(addresses_and_passwords_that_cannot_be_are_refused)
{
    static const char *const bad[] = {
        "",     "a",    "@b",     "a@",   "a@b@c", "a b@c",   "a@b c",   "a\n@b",      "a@b\r\nBcc: x@y", "a@-b",
        "a@b-", "a@.b", "a@b..c", "a@b.", "<a@b>", "\"a\"@b", "a@b\x7f", "\xc3\xa9@b", "a,b@c",           "a@b_c"};
    start();
    for (size_t i = 0; i < LENGTH(bad); i++) {
        CHECK_INT(auth_user_add(a, str_of(bad[i]), ROLE_VIEWER, GOOD, &e), -1);
        CHECK(str_starts(str_of(e.text), S("email: expected an address such as ann@example.com, got \"")));
        CHECK_STR(str_of(e.pointer), S("/email"));
    }
    CHECK_INT(auth_user_add(a, S("a@b"), ROLE_INGEST, GOOD, &e), -1);
    CHECK_STR(str_of(e.text), S("role: expected one of viewer, editor, admin, got \"ingest\""));
    CHECK_INT(auth_user_add(a, S("a@b"), ROLE_VIEWER, S("1234567"), &e), -1);
    CHECK_STR(str_of(e.text), S("password: expected 8 to 1024 bytes, got 7"));
    CHECK_INT(auth_user_add(a, S("a@b"), ROLE_VIEWER, S("1234567\t"), &e), -1);
    CHECK_STR(str_of(e.text), S("password: expected no control characters, got one at byte 8"));
    CHECK_INT(auth_user_add(a, S("a@b"), ROLE_VIEWER, S("1234567\xff"), &e), -1);
    CHECK_STR(str_of(e.text), S("password: expected UTF-8"));
    CHECK_INT(auth_user_add(a, S("o'hara+logs@mail.example.com"), ROLE_VIEWER, GOOD, &e), 0);
    CHECK_INT(auth_user_add(a, S("O'Hara+logs@mail.example.com"), ROLE_VIEWER, GOOD, &e), -1);
    CHECK_STR(str_of(e.text), S("email: \"o'hara+logs@mail.example.com\" is a user already"));
    stop();
}

TEST(the_first_user_comes_by_a_link_that_works_once)
{
    char cookie[65];
    start();
    char *old = auth_first_token(a, NOW), *token = auth_first_token(a, NOW);
    CHECK(old && token && strcmp(old, token) != 0);
    CHECK(!on_disk(token));
    CHECK_INT(auth_first_user(a, str_of(old), S("a@b"), GOOD, NOW, &e), -1);
    CHECK_INT(auth_first_user(a, S(""), S("a@b"), GOOD, NOW, &e), -1);
    CHECK_INT(auth_first_user(a, str_of(token), S("a@b"), GOOD, NOW + 49 * HOUR, &e), -1);
    CHECK_INT(e.kind, ERR_DENIED);
    CHECK_INT(auth_first_user(a, str_of(token), S("a@b"), S("short"), NOW, &e), -1); /* and may try again */
    CHECK_INT(auth_first_user(a, str_of(token), S("a@b"), GOOD, NOW + 47 * HOUR, &e), 0);
    CHECK_INT(auth_first_user(a, str_of(token), S("c@d"), GOOD, NOW, &e), -1);
    CHECK_STR(str_of(e.text), S("there is a user already, sign in or ask an administrator"));
    CHECK(auth_first_token(a, NOW) == NULL);
    CHECK_INT(login("a@b", GOOD, "p", NOW, cookie), 0);
    CHECK(listed(auth_user_list, "\"role\":\"admin\""));
    free(old);
    free(token);
    stop();
}

TEST(the_sixth_guess_waits_and_each_one_waits_twice_as_long)
{
    char cookie[65];
    start();
    CHECK_INT(auth_user_add(a, S("a@b"), ROLE_VIEWER, GOOD, &e), 0);
    for (int i = 0; i < 5; i++)
        CHECK(login("a@b", S("wrong wrong"), "p", NOW, cookie) < 0 && e.kind == ERR_DENIED);
    CHECK(login("a@b", GOOD, "p", NOW, cookie) < 0 && e.kind == ERR_FULL); /* even the right one */
    CHECK_STR(str_of(e.text), S("too many failed attempts, try again in 1 seconds"));
    CHECK(login("a@b", S("wrong wrong"), "p", NOW + USEC_PER_SEC, cookie) < 0 && e.kind == ERR_DENIED);
    CHECK(login("a@b", GOOD, "p", NOW + USEC_PER_SEC, cookie) < 0);
    CHECK_STR(str_of(e.text), S("too many failed attempts, try again in 2 seconds"));
    CHECK(login("c@d", GOOD, "p", NOW + USEC_PER_SEC, cookie) < 0 && e.kind == ERR_FULL); /* the address waits too */
    CHECK(login("a@b", GOOD, "q", NOW + USEC_PER_SEC, cookie) < 0 && e.kind == ERR_FULL); /* and the account */
    CHECK_INT(login("a@b", GOOD, "q", NOW + 3 * USEC_PER_SEC, cookie), 0);
    stop();
}

TEST(waits_double_up_to_a_minute_for_accounts_and_a_quarter_for_addresses)
{
    struct backoff *b = backoff_new();
    usec now = NOW, wait = 0;
    for (int i = 0; i < 30; i++) {
        char peer[32];
        snprintf(peer, sizeof peer, "10.0.0.%d", i);
        while ((wait = backoff_enter(b, S("a@b"), peer, now)) > 0) {
            CHECK(wait <= MIN);
            now += wait;
        }
    }
    CHECK_INT(backoff_enter(b, S("a@b"), "10.9.9.9", now), MIN);
    CHECK_INT(backoff_enter(b, S("a@b"), "10.9.9.9", now - 1000 * HOUR), MIN); /* the clock went back */
    for (int i = 0; i < 30; i++) {
        char account[32];
        snprintf(account, sizeof account, "user%d@b", i);
        while ((wait = backoff_enter(b, str_of(account), i % 2 ? "2001:db8::1" : "2001:db8::2:2", now)) > 0)
            now += wait;
    }
    CHECK_INT(backoff_enter(b, S("new@b"), "2001:db8::99", now), 15 * MIN); /* the same /64 */
    CHECK_INT(backoff_enter(b, S("new@b"), "2001:db8:0:1::99", now), 0);
    CHECK_INT(backoff_enter(b, S("a@b"), "10.9.9.9", now + 2 * HOUR), 0); /* forgotten */
    backoff_free(b);
}

TEST(a_good_sign_in_forgets_the_account_not_the_address)
{
    struct backoff *b = backoff_new();
    for (int i = 0; i < 4; i++)
        CHECK_INT(backoff_enter(b, S("a@b"), "p", NOW), 0);
    CHECK_INT(backoff_enter(b, S("a@b"), "p", NOW), 0);
    backoff_leave(b, S("a@b"), "p", BACKOFF_SUCCEEDED);
    CHECK_INT(backoff_enter(b, S("a@b"), "p", NOW), 0);
    CHECK_INT(backoff_enter(b, S("c@d"), "p", NOW), USEC_PER_SEC);
    CHECK_INT(backoff_enter(b, S("a@b"), "q", NOW), 0);
    backoff_leave(b, S("a@b"), "q", BACKOFF_NEVER_RAN);
    backoff_free(b);
}

TEST(a_flood_of_accounts_fills_no_memory_and_frees_no_guesser)
{
    struct backoff *b = backoff_new();
    for (int i = 0; i < 5; i++)
        CHECK_INT(backoff_enter(b, S("victim@b"), "p", NOW), 0);
    for (int i = 0; i < 2000; i++) {
        char account[32], peer[32];
        snprintf(account, sizeof account, "u%d@b", i);
        snprintf(peer, sizeof peer, "10.1.%d.%d", i / 256, i % 256);
        CHECK_INT(backoff_enter(b, str_of(account), peer, NOW - 1), 0);
    }
    CHECK(backoff_enter(b, S("victim@b"), "p", NOW) > 0);
    backoff_free(b);
}

static struct password_gate gate;
static _Atomic int hashed, refused;
static void *hash_one(void *arg)
{
    char out[PASSWORD_TEXT];
    struct err mine;
    (void)arg;
    if (password_hash(&gate, GOOD, out, &mine) == 0)
        hashed++;
    else if (mine.kind == ERR_FULL)
        refused++;
    return NULL;
}

TEST(two_hashes_run_four_wait_and_the_rest_come_back_later)
{
    pthread_t t[40];
    password_gate_init(&gate);
    hashed = refused = 0;
    for (size_t i = 0; i < LENGTH(t); i++)
        pthread_create(&t[i], NULL, hash_one, NULL);
    for (size_t i = 0; i < LENGTH(t); i++)
        pthread_join(t[i], NULL);
    CHECK(hashed >= 6 && refused > 0 && hashed + refused == 40);
    password_gate_done(&gate);
}

static usec mono_of(const char *email)
{
    char cookie[65];
    usec t = clock_mono();
    CHECK(login(email, S("wrong wrong"), email, NOW, cookie) < 0);
    return clock_mono() - t;
}

TEST(an_unknown_user_takes_as_long_as_a_wrong_password)
{
    start();
    CHECK_INT(auth_user_add(a, S("a@b"), ROLE_VIEWER, GOOD, &e), 0);
    usec known = INT64_MAX, unknown = INT64_MAX; /* the least of three tells the work, not the machine's mood */
    for (int i = 0; i < 3; i++) {
        usec k = mono_of("a@b"), u = mono_of("nobody@b");
        known = k < known ? k : known;
        unknown = u < unknown ? u : unknown;
    }
    CHECK(unknown > known / 2 && known > unknown / 2);
    stop();
}

TEST(an_old_hash_is_renewed_at_sign_in)
{
    char cookie[65], sql[400];
    sqlite3 *raw;
    start();
    CHECK_INT(auth_user_add(a, S("a@b"), ROLE_VIEWER, GOOD, &e), 0);
    /* scrypt of "correct horse" with N=1024, r=8, p=1 and a salt of zeros, from Python's hashlib */
    snprintf(sql, sizeof sql, "UPDATE users SET password = 'scrypt$1024$8$1$%032d$%s'", 0,
             "e93dc43eb5a5bd11bfcbcf870c9f9744b1f64a200ff5116fb85ed9b255fd521c");
    auth_close(a);
    CHECK(sqlite3_open(db_path, &raw) == SQLITE_OK && sqlite3_exec(raw, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(raw);
    open_auth();
    CHECK(on_disk("scrypt$1024$"));
    CHECK_INT(login("a@b", S("wrong wrong"), "p", NOW, cookie), -1);
    CHECK_INT(login("a@b", GOOD, "p", NOW, cookie), 0);
    reopen();
    CHECK_INT(login("a@b", GOOD, "p", NOW, cookie), 0);
    CHECK(on_disk("scrypt$65536$8$1$"));
    stop();
}

UNIT_MAIN
