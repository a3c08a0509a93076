#include "routes/backoff.h"
#include "base/hash.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <pthread.h>

enum { BUCKETS = 512, WAYS = 8, FREE_FAILURES = 5 };
#define ACCOUNT_WAIT_MAX (60 * USEC_PER_SEC)
#define PEER_WAIT_MAX (15 * 60 * USEC_PER_SEC)
#define FORGET_AFTER (3600 * USEC_PER_SEC)

struct entry {
    uint64_t who; /* keyed hash; 0: free */
    usec last;    /* the start of the last attempt */
    unsigned failures;
};
struct backoff {
    pthread_mutex_t lock;
    struct entry table[BUCKETS][WAYS];
};

struct backoff *backoff_new(void)
{
    struct backoff *b = xcalloc(1, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    return b;
}

void backoff_free(struct backoff *b)
{
    if (!b)
        return;
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static uint64_t account_of(str account)
{
    char text[300];
    int n = snprintf(text, sizeof text, "account %.*s", STR_ARG(str_head(account, 280)));
    return hash_str(str_n(text, (size_t)n)) | 1;
}

static uint64_t peer_of(const char *peer)
{
    unsigned char v6[16];
    if (inet_pton(AF_INET6, peer, v6) == 1)
        return hash_str(str_n((char *)v6, 8)) | 1; /* one customer has a /64 */
    return hash_str(str_of(peer)) | 1;
}

static struct entry *find(struct backoff *b, uint64_t who)
{
    struct entry *bucket = b->table[(who >> 1) % BUCKETS], *oldest = bucket;
    for (struct entry *e = bucket; e < bucket + WAYS; e++) {
        if (e->who == who)
            return e;
        if (e->last < oldest->last)
            oldest = e;
    }
    return oldest;
}

static usec wait_of(const struct entry *e, uint64_t who, usec now, usec max)
{
    if (e->who != who || e->failures < FREE_FAILURES)
        return 0;
    unsigned doublings = e->failures - FREE_FAILURES;
    usec wait = doublings < 20 ? USEC_PER_SEC << doublings : max;
    if (wait > max)
        wait = max;
    usec left = e->last + wait - now;
    return left < 0 ? 0 : left > max ? max : left; /* a clock set back costs no more than max */
}

static void count(struct entry *e, uint64_t who, usec now)
{
    if (e->who != who || now - e->last > FORGET_AFTER)
        *e = (struct entry){.who = who};
    e->last = now;
    e->failures++;
}

usec backoff_enter(struct backoff *b, str account, const char *peer, usec now)
{
    uint64_t a = account_of(account), p = peer_of(peer);
    pthread_mutex_lock(&b->lock);
    usec wait = wait_of(find(b, a), a, now, ACCOUNT_WAIT_MAX);
    usec peer_wait = wait_of(find(b, p), p, now, PEER_WAIT_MAX);
    if (peer_wait > wait)
        wait = peer_wait;
    if (wait == 0) {
        count(find(b, a), a, now);
        count(find(b, p), p, now);
    }
    pthread_mutex_unlock(&b->lock);
    return wait;
}

static void give_back(struct entry *e, uint64_t who, unsigned n)
{
    if (e->who == who)
        e->failures -= n < e->failures ? n : e->failures;
}

void backoff_leave(struct backoff *b, str account, const char *peer, enum backoff_end end)
{
    uint64_t a = account_of(account), p = peer_of(peer);
    if (end == BACKOFF_FAILED)
        return;
    pthread_mutex_lock(&b->lock);
    give_back(find(b, a), a, end == BACKOFF_SUCCEEDED ? UINT_MAX : 1);
    give_back(find(b, p), p, 1); /* one good account does not whitewash its address */
    pthread_mutex_unlock(&b->lock);
}
