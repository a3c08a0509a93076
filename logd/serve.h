/* serve.h - a whole server in this process: opened in order, stopped in reverse.
 *
 * `logd serve` runs until a signal. Offline commands (a data folder no server runs on) start the same parts without TCP,
 * rules, mail and archive, talk to their own DATA/sock.offline like to any server, and stop: one writer, no back door.
 * Other commands wait for them at the folder's lock instead of talking to a server that is about to stop. */
#ifndef SERVE_H
#define SERVE_H

#define SERVE_SOCKET "sock"
#define SERVE_SOCKET_OFFLINE "sock.offline"

#include "base/err.h"
#include "parts.h"

int serve_main(int argc, char **argv); /* exit code */
int serve_offline(const char *data, struct parts **ret, struct err *e) MUST_CHECK;
void serve_offline_stop(struct parts *p);

#endif
