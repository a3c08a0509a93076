/* base/child.h - starting other programs. Any thread. */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include "base/base.h"

#include <sys/types.h>

/* Starts the program with no signal blocked and SIGPIPE not ignored, whatever is so here; `in` and `out` become its standard input and
 * output (-1: it has ours). The caller waits for *ret. 0, or errno. */
int child_start(const char *program, char *const argv[], char *const envp[], int in, int out, pid_t *ret) MUST_CHECK;
/* Waits until it has ended, at most that long; then it is killed. Its exit code, 128 + the signal that ended it, or -1 when it
 * was killed for being late. */
int child_wait(pid_t pid, usec at_most);

#endif
