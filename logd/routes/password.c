#include "routes/password.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/str.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { SCRYPT_N = 1 << 16, SCRYPT_R = 8, SCRYPT_P = 1, SALT = 16, HASH = 32 };
enum { AT_ONCE = 2, MAY_WAIT = 4 };

struct scrypt {
    uint64_t n, r, p;
    uint8_t salt[SALT], hash[HASH];
};

void password_gate_init(struct password_gate *g)
{
    *g = (struct password_gate){0};
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->freed, NULL);
}

void password_gate_done(struct password_gate *g)
{
    assert(g->active == 0 && g->waiting == 0);
    pthread_cond_destroy(&g->freed);
    pthread_mutex_destroy(&g->lock);
}

static bool gate_enter(struct password_gate *g)
{
    bool in = true;
    pthread_mutex_lock(&g->lock);
    if (g->active == AT_ONCE && g->waiting == MAY_WAIT) {
        in = false;
    } else {
        g->waiting++;
        while (g->active == AT_ONCE)
            pthread_cond_wait(&g->freed, &g->lock);
        g->waiting--;
        g->active++;
    }
    pthread_mutex_unlock(&g->lock);
    return in;
}

static void gate_leave(struct password_gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->active--;
    pthread_cond_signal(&g->freed);
    pthread_mutex_unlock(&g->lock);
}

int password_check(str password, struct err *e)
{
    if (password.n < PASSWORD_MIN || password.n > PASSWORD_MAX)
        return err_set(e, ERR_INPUT, "password: expected %u to %u bytes, got %zu", PASSWORD_MIN, PASSWORD_MAX,
                       password.n);
    for (size_t i = 0; i < password.n; i++)
        if ((unsigned char)password.p[i] < 0x20 || password.p[i] == 0x7f)
            return err_set(e, ERR_INPUT, "password: expected no control characters, got one at byte %zu", i + 1);
    return utf8_valid(password) ? 0 : err_set(e, ERR_INPUT, "password: expected UTF-8");
}

static int scrypt(struct password_gate *g, str password, const struct scrypt *s, uint8_t out[HASH], struct err *e)
{
    uint64_t memory = 128 * s->r * (s->n + s->p + 2) + (1 << 20);
    if (!gate_enter(g))
        return err_set(e, ERR_FULL, "too many passwords are being checked, try again in 2 seconds");
    int ok = EVP_PBE_scrypt(password.p ? password.p : "", password.n, s->salt, SALT, s->n, s->r, s->p, memory, out,
                            HASH);
    gate_leave(g);
    return ok == 1 ? 0 : err_set(e, ERR_SYS, "scrypt did not run (N=%llu)", (unsigned long long)s->n);
}

static void print(const struct scrypt *s, char out[PASSWORD_TEXT])
{
    struct buf b = BUF_INIT(PASSWORD_TEXT);
    buf_printf(&b, "scrypt$%llu$%llu$%llu$", (unsigned long long)s->n, (unsigned long long)s->r,
               (unsigned long long)s->p);
    buf_hex(&b, s->salt, SALT);
    buf_byte(&b, '$');
    buf_hex(&b, s->hash, HASH);
    buf_byte(&b, '\0');
    assert(!b.full);
    memcpy(out, b.p, b.n);
    buf_done(&b);
}

static bool read_hex(str hex, uint8_t *out, size_t n)
{
    if (hex.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        if (sscanf((char[]){hex.p[2 * i], hex.p[2 * i + 1], 0}, "%2x", &byte) != 1)
            return false;
        out[i] = (uint8_t)byte;
    }
    return true;
}

static bool parse(str stored, struct scrypt *s)
{
    str kind = str_cut(&stored, '$'), n = str_cut(&stored, '$'), r = str_cut(&stored, '$'), p = str_cut(&stored, '$');
    str salt = str_cut(&stored, '$');
    return str_eq(kind, S("scrypt")) && str_u64(n, &s->n) && str_u64(r, &s->r) && str_u64(p, &s->p) &&
           s->n <= 1 << 20 && s->r <= 16 && s->p <= 4 && read_hex(salt, s->salt, SALT) &&
           read_hex(stored, s->hash, HASH);
}

int password_hash(struct password_gate *g, str password, char out[PASSWORD_TEXT], struct err *e)
{
    struct scrypt s = {.n = SCRYPT_N, .r = SCRYPT_R, .p = SCRYPT_P};
    random_bytes(s.salt, SALT);
    if (scrypt(g, password, &s, s.hash, e) < 0)
        return -1;
    print(&s, out);
    return 0;
}

int password_verify(struct password_gate *g, str password, str stored, bool *ret_same, struct err *e)
{
    struct scrypt s;
    uint8_t hash[HASH];
    if (!parse(stored, &s))
        return err_set(e, ERR_CORRUPT, "a stored password is not of the form scrypt$N$r$p$SALT$HASH");
    if (scrypt(g, password, &s, hash, e) < 0)
        return -1;
    *ret_same = CRYPTO_memcmp(hash, s.hash, HASH) == 0;
    return 0;
}

bool password_outdated(str stored)
{
    struct scrypt s;
    return !parse(stored, &s) || s.n != SCRYPT_N || s.r != SCRYPT_R || s.p != SCRYPT_P;
}

void password_impossible(char out[PASSWORD_TEXT])
{
    struct scrypt s = {.n = SCRYPT_N, .r = SCRYPT_R, .p = SCRYPT_P};
    random_bytes(s.salt, SALT);
    random_bytes(s.hash, HASH); /* finding its password would be a preimage */
    print(&s, out);
}
