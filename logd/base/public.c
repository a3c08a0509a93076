#include "base/public.h"

#include <netinet/in.h>

static bool public4(uint32_t ip)
{
    static const struct {
        uint32_t network;
        int bits;
    } not [] = {
        {0x00000000, 8},  /* this network */
        {0x0a000000, 8},  /* private */
        {0x64400000, 10}, /* shared by a provider */
        {0x7f000000, 8},  /* loopback */
        {0xa9fe0000, 16}, /* link-local */
        {0xac100000, 12}, /* private */
        {0xc0000000, 24}, /* protocols */
        {0xc0000200, 24}, /* documentation */
        {0xc0586300, 24}, /* 6to4 relays */
        {0xc0a80000, 16}, /* private */
        {0xc6120000, 15}, /* benchmarks */
        {0xc6336400, 24}, /* documentation */
        {0xcb007100, 24}, /* documentation */
        {0xe0000000, 3},  /* multicast, reserved, broadcast */
    };
    for (size_t i = 0; i < LENGTH(not ); i++)
        if ((ip ^ not [i].network) >> (32 - not [i].bits) == 0)
            return false;
    return true;
}

static uint32_t four(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool public6(const uint8_t a[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, nat64[12] = {0, 0x64, 0xff, 0x9b};
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
        return public4(four(a + 12));
    if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
        return public4(four(a + 2));
    if (four(a) >> 9 == 0x20010000 >> 9 || four(a) == 0x20010db8) /* protocols, Teredo among them; documentation */
        return false;
    return a[0] >> 5 == 1; /* 2000::/3 */
}

bool address_is_public(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return public4(ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr));
    return a->sa_family == AF_INET6 && public6(((const struct sockaddr_in6 *)(const void *)a)->sin6_addr.s6_addr);
}
