/* base/log.h - one logfmt line on stderr; never a payload, never a secret.
 *
 * error = a person must act, warn = we coped, info = lifecycle. The thread that owns the work logs it
 * once. Lines are written by one write(2), so threads do not mix. The same text of one place is written
 * at most once a second; what was held back is counted on the next line as `repeated=N`. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base.h"

#define log_error(part, ...) log_line("error", part, __VA_ARGS__)
#define log_warn(part, ...) log_line("warn", part, __VA_ARGS__)
#define log_info(part, ...) log_line("info", part, __VA_ARGS__)
/* `part` is the folder ("journal"); the text is `what="..." ` and key=value pairs; inside the format's quotes
 * a value's own quotes and backslashes are escaped, control characters become blanks. */
void log_line(const char *level, const char *part, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
