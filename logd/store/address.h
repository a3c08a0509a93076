/* store/address.h - texts that are network addresses, as numbers and bytes, and back, byte for byte.
 *
 * IPv6 is printed as RFC 5952 says: lower case, no zeros in front, the longest run of zero groups (two at least, the first
 * of equals) as "::". What is IPv4 in it, ::ffff:a.b.c.d, is printed as a.b.c.d, so a column may hold both. No other text
 * of an address is taken. The printing is our own: what is on disk must not depend on a C library.
 *
 * Owner   any thread, no state. */
#ifndef STORE_ADDRESS_H
#define STORE_ADDRESS_H

#include "base/buf.h"
#include "store/column.h"

enum { ADDRESS_BYTES = 16 };

bool address_v4(str s, int64_t *ret) MUST_CHECK; /* four numbers, no zeros in front */
/* Before `end`; where it begins. */
char *address_v4_print(uint32_t v, char *end);
/* Adds ADDRESS_BYTES planes of n bytes, the first bytes of all values first. False: one of them is no such address. */
bool addresses_put(const str *v, size_t n, struct buf *out) MUST_CHECK;
void address_at(const uint8_t *planes, size_t n, size_t i, uint8_t ret[ADDRESS_BYTES]);
str address_text(const uint8_t bytes[ADDRESS_BYTES], char room[PACKED_TEXT_MAX]);

#endif
