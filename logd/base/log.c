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

void log_line(const char *level, const char *part, const char *fmt, ...)
{
    unsigned held;
    if (level[0] != 'i' && !due(fmt, &held))
        return;
    if (level[0] == 'i')
        held = 0;
    char line[1024], when[TIME_TEXT_MAX];
    time_print(clock_now() * NSEC_PER_USEC, 3, when);
    int n = snprintf(line, sizeof line, "time=%s level=%s part=%s ", when, level, part);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 32, fmt, ap);
    va_end(ap);
    assert(m >= 0);
    size_t len = strlen(line);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    if (held)
        len += (size_t)snprintf(line + len, sizeof line - len, " repeated=%u", held);
    line[len++] = '\n';
    (void)!write(STDERR_FILENO, line, len);
}
