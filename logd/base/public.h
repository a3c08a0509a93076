/* base/public.h - is an address one of the public Internet? Pure; any thread.
 *
 * What somebody may choose the name of (a webhook) must not reach what only this machine or its network can: loopback,
 * private, link-local (cloud metadata), shared, multicast, reserved. IANA's special-purpose registries (RFC 6890). An IPv6 address
 * that carries an IPv4 one (mapped, NAT64, 6to4) is as public as that; what is not global unicast is not. */
#ifndef BASE_PUBLIC_H
#define BASE_PUBLIC_H

#include "base/base.h"

#include <sys/socket.h>

bool address_is_public(const struct sockaddr *a);

#endif
