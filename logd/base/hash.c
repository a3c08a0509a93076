#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <sys/random.h>

static uint64_t rotl(uint64_t x, int r) { return (x << r) | (x >> (64 - r)); }

static uint64_t read64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v; /* little endian hosts only: base/hash.c asserts it */
}

static uint32_t read32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "file formats are little endian");

#define P1 0x9E3779B185EBCA87ull
#define P2 0xC2B2AE3D27D4EB4Full
#define P3 0x165667B19E3779F9ull
#define P4 0x85EBCA77C2B2AE63ull
#define P5 0x27D4EB2F165667C5ull

static uint64_t xx_round(uint64_t acc, uint64_t lane) { return rotl(acc + lane * P2, 31) * P1; }
static uint64_t xx_merge(uint64_t h, uint64_t acc) { return (h ^ xx_round(0, acc)) * P1 + P4; }

uint64_t xxh64(const void *data, size_t n, uint64_t seed)
{
    const unsigned char *p = data;
    size_t left = n;
    uint64_t h;
    if (n >= 32) {
        uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
        for (; left >= 32; left -= 32, p += 32) {
            a = xx_round(a, read64(p));
            b = xx_round(b, read64(p + 8));
            c = xx_round(c, read64(p + 16));
            d = xx_round(d, read64(p + 24));
        }
        h = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18);
        h = xx_merge(xx_merge(xx_merge(xx_merge(h, a), b), c), d);
    } else {
        h = seed + P5;
    }
    h += n;
    for (; left >= 8; left -= 8, p += 8)
        h = rotl(h ^ xx_round(0, read64(p)), 27) * P1 + P4;
    if (left >= 4) {
        h = rotl(h ^ (uint64_t)read32(p) * P1, 23) * P2 + P3;
        left -= 4, p += 4;
    }
    for (; left; left--, p++)
        h = rotl(h ^ *p * P5, 11) * P1;
    h = (h ^ (h >> 33)) * P2;
    h = (h ^ (h >> 29)) * P3;
    return h ^ (h >> 32);
}

#define SIPROUND                                                                                                       \
    do {                                                                                                               \
        v0 += v1, v1 = rotl(v1, 13) ^ v0, v0 = rotl(v0, 32);                                                           \
        v2 += v3, v3 = rotl(v3, 16) ^ v2;                                                                              \
        v0 += v3, v3 = rotl(v3, 21) ^ v0;                                                                              \
        v2 += v1, v1 = rotl(v1, 17) ^ v2, v2 = rotl(v2, 32);                                                           \
    } while (0)

/* `fast`: SipHash-1-3, else 2-4; a constant to the compiler. */
static inline __attribute__((always_inline)) uint64_t sip(const uint8_t key[16], str s, bool fast)
{
    uint64_t k0 = read64(key), k1 = read64(key + 8);
    uint64_t v0 = k0 ^ 0x736f6d6570736575ull, v1 = k1 ^ 0x646f72616e646f6dull;
    uint64_t v2 = k0 ^ 0x6c7967656e657261ull, v3 = k1 ^ 0x7465646279746573ull;
    const unsigned char *p = (const unsigned char *)s.p;
    size_t left = s.n;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t m = read64(p);
        v3 ^= m;
        SIPROUND;
        if (!fast)
            SIPROUND;
        v0 ^= m;
    }
    uint64_t last = (uint64_t)s.n << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)p[i] << (8 * i);
    v3 ^= last;
    SIPROUND;
    if (!fast)
        SIPROUND;
    v0 ^= last;
    v2 ^= 0xff;
    SIPROUND;
    SIPROUND;
    SIPROUND;
    if (!fast)
        SIPROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

uint64_t siphash(const uint8_t key[16], str s) { return sip(key, s, true); }
uint64_t siphash24(const uint8_t key[16], str s) { return sip(key, s, false); }

static uint8_t process_key[16];
static void draw_key(void) { random_bytes(process_key, sizeof process_key); }

uint64_t hash_str(str s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, draw_key);
    return siphash(process_key, s);
}

void sha1(str s, uint8_t ret[20]) { SHA1((const unsigned char *)(s.p ? s.p : ""), s.n, ret); }
void sha256(str s, uint8_t ret[32]) { SHA256((const unsigned char *)(s.p ? s.p : ""), s.n, ret); }

void hmac_sha256(str key, str s, uint8_t ret[32])
{
    unsigned n = 32;
    unsigned char *p = HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)s.p, s.n, ret, &n);
    assert(p && n == 32);
    (void)p;
}

void random_bytes(void *out, size_t n)
{
    unsigned char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            abort();
        p += got;
        n -= (size_t)got;
    }
}
