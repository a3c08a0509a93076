/* base/config-good.h - what a text of the config must be; the words for it stand beside each key in config.c. Pure. */
#ifndef BASE_CONFIG_GOOD_H
#define BASE_CONFIG_GOOD_H

#include "base/str.h"

bool address_good(str s);
bool network_good(str s);
bool http_good(str s);
bool hook_url_good(str s); /* http_good, perhaps with a query */
bool host_good(str s);
bool mail_url_good(str s);
bool email_good(str s);
bool archive_url_good(str s);
bool app_good(str s);
bool zone_good(str s);
bool stat_good(str s);
bool store_good(str s);

#endif
