/* issues/release.h - which of two releases is the newer one.
 *
 * Names that are versions compare as versions: an optional "name@" and "v" in front, numbers with dots between, then
 * "-rc.1" (older than without) and "+build" (which says nothing): "shop@1.10.0" is newer than "v1.9", "1.4-rc1" older than
 * "1.4". Of names that are not (hashes of commits), the caller asks which was seen first. Pure. */
#ifndef ISSUES_RELEASE_H
#define ISSUES_RELEASE_H

#include "base/base.h"

/* False: one of them is no version. *ret_order < 0: `a` is the older one. */
bool release_compare(str a, str b, int *ret_order) MUST_CHECK;

#endif
