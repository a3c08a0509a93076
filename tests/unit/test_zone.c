#include "base/zone.h"
#include "unit.h"

#include <time.h>

static struct zone *open_zone(const char *name)
{
    struct zone *z = NULL;
    struct err e;
    CHECK(zone_open(str_of(name), &z, &e) == 0);
    return z;
}

/* glibc's own reading, in this process of one thread. */
static long theirs(const char *name, int64_t t)
{
    time_t at = (time_t)t;
    struct tm tm;
    setenv("TZ", name, 1);
    tzset();
    localtime_r(&at, &tm);
    return tm.tm_gmtoff;
}

TEST(offsets_are_those_of_the_c_library)
{
    static const char *const names[] = {"UTC",
                                        "Europe/Amsterdam",
                                        "America/New_York",
                                        "Asia/Kolkata",
                                        "Asia/Kathmandu",
                                        "Australia/Lord_Howe",
                                        "America/Sao_Paulo",
                                        "Pacific/Apia",
                                        "Africa/Casablanca",
                                        "Europe/Dublin",
                                        "America/Havana"};
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct zone *z = open_zone(names[i]);
        for (int k = 0; k < 5000; k++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            int64_t t = (int64_t)(x % 4000000000u); /* to 2096: past what the file lists */
            if (zone_offset(z, t) != theirs(names[i], t)) {
                printf("%s at %lld: %d, not %ld\n", names[i], (long long)t, zone_offset(z, t), theirs(names[i], t));
                CHECK(false);
                break;
            }
        }
        zone_free(z);
    }
}

TEST(local_midnight_is_its_first_second_also_when_there_is_none)
{
    struct zone *z = open_zone("Europe/Amsterdam"), *h = open_zone("America/Havana");
    CHECK_INT(zone_utc(z, 1774742400), 1774738800);            /* 2026-03-29, the day of 23 hours: 28th 23:00Z */
    CHECK_INT(zone_utc(z, 1774828800), 1774821600);            /* 30th: 29th 22:00Z */
    CHECK_INT(zone_utc(z, 1761436800 + 2 * 3600), 1761436800); /* 2025-10-26 02:00, which comes twice: the first */
    CHECK_INT(zone_utc(h, 1772928000), 1772946000);            /* Havana 2026-03-08 begins at 01:00 = 05:00Z */
    zone_free(z);
    zone_free(h);
}

TEST(an_offset_changes_with_its_second)
{
    struct zone *z = open_zone("Europe/Amsterdam");
    CHECK_INT(zone_offset(z, 1774745999), 3600); /* 2026-03-29 01:00Z, in the file's list */
    CHECK_INT(zone_offset(z, 1774746000), 7200);
    CHECK_INT(zone_offset(z, 2531955599), 3600); /* 2050-03-27 01:00Z, by the rule */
    CHECK_INT(zone_offset(z, 2531955600), 7200);
    zone_free(z);
}

TEST(what_is_no_zone_is_refused)
{
    static const char *const bad[] = {"",         "Europe", "Europe/Nowhere", "../../etc/passwd", "/etc/passwd",
                                      "zone.tab", "a b"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct zone *z;
        struct err e;
        CHECK(zone_open((str){bad[i], strlen(bad[i])}, &z, &e) < 0 && e.kind == ERR_INPUT);
    }
}

UNIT_MAIN
