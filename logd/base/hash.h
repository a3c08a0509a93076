/* base/hash.h - checksums, keyed table hashes, digests.
 *
 * xxh64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) for checksums of our files; SipHash-1-3
 * (Aumasson & Bernstein 2012) with a random key for every table whose keys come from outside. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/base.h"

uint64_t xxh64(const void *p, size_t n, uint64_t seed);
uint64_t siphash(const uint8_t key[16], str s);
uint64_t siphash24(const uint8_t key[16], str s); /* SipHash-2-4: the one to take where the result is kept */
uint64_t hash_str(str s);                         /* siphash under a key drawn at process start: for tables in memory */
void sha1(str s, uint8_t ret[20]);                /* only where a protocol says so */
void sha256(str s, uint8_t ret[32]);
void hmac_sha256(str key, str s, uint8_t ret[32]);
void random_bytes(void *p, size_t n); /* getrandom(2) */

#endif
