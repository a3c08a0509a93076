#include "base/log.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <unistd.h>

/* One entry per place that logs, told apart by its format string's address. */
enum { PLACES = 64 };
static struct {
    const char *fmt;
    usec last;
    unsigned held;
} places[PLACES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* True: say it, with the number held back since last time. */
static bool due(const char *fmt, unsigned *ret_held)
{
    usec now = clock_mono();
    bool say = true;
    *ret_held = 0;
    pthread_mutex_lock(&lock);
    size_t i = ((uintptr_t)fmt >> 3) % PLACES;
    if (places[i].fmt == fmt && now - places[i].last < USEC_PER_SEC) {
        places[i].held++;
        say = false;
    } else {
        if (places[i].fmt == fmt)
            *ret_held = places[i].held;
        places[i].fmt = fmt;
        places[i].last = now;
        places[i].held = 0;
    }
    pthread_mutex_unlock(&lock);
    return say;
}

enum { QUOTE = 1 }; /* stands for a quote of the format until the arguments are in */

/* The text with its values' own quotes and backslashes escaped, so that no value can end early and pose as another. */
static size_t print_text(char *to, size_t size, const char *fmt, va_list ap)
{
    char marked[256], text[1024];
    size_t n = 0;
    assert(strlen(fmt) < sizeof marked);
    for (size_t i = 0; i <= strlen(fmt); i++)
        marked[i] = fmt[i] == '"' ? QUOTE : fmt[i];
    int m = vsnprintf(text, sizeof text, marked, ap);
    assert(m >= 0);
    for (const char *p = text; *p && n + 3 < size; p++) {
        if (*p == '"' || *p == '\\')
            to[n++] = '\\';
        to[n++] = *p == QUOTE ? '"' : (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p;
    }
    to[n] = '\0';
    return n;
}

void log_line(const char *level, const char *part, const char *fmt, ...)
{
    unsigned held;
    if (level[0] != 'i' && !due(fmt, &held))
        return;
    if (level[0] == 'i')
        held = 0;
    char line[2048], when[TIME_TEXT_MAX];
    time_print(clock_now() * NSEC_PER_USEC, 3, when);
    size_t len = (size_t)snprintf(line, sizeof line, "time=%s level=%s part=%s ", when, level, part);
    va_list ap;
    va_start(ap, fmt);
    len += print_text(line + len, sizeof line - len - 32, fmt, ap);
    va_end(ap);
    if (held)
        len += (size_t)snprintf(line + len, sizeof line - len, " repeated=%u", held);
    line[len++] = '\n';
    (void)!write(STDERR_FILENO, line, len);
}
