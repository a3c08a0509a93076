#include "unit.h"
#include "base/clock.h"
#include "base/file.h"
#include "event/event.h"
#include "store/segment.h"
#include "store/store.h"

#include <ftw.h>
#include <time.h>
#include <unistd.h>

static char dir[64];
static uint64_t seq;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type, (void)f;
    return remove(path);
}
static void fresh_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/logd-store-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    seq = 0;
}
static void remove_dir(void) { nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static struct store *open_with(struct store_config c)
{
    struct store *s = NULL;
    struct err e;
    c.dir = dir;
    if (store_open(&c, &s, &e) < 0)
        printf("%s\n", e.text);
    CHECK(s != NULL);
    return s;
}

/* Nothing is archived, so nothing is merged. */
static struct store *open_store(uint64_t keep_bytes)
{
    return open_with((struct store_config){.keep_bytes = keep_bytes, .archived = true});
}

/* One batch of n events of app 1 + i % 2, a second apart, at and after t seconds. */
static void append(struct store *s, unsigned n, int64_t t)
{
    struct batch *b = batch_new(RECORD_EVENTS, 1 + (uint32_t)seq % 2, 1700000000000000 + (usec)seq * 1000000);
    b->seq = ++seq;
    for (unsigned i = 0; i < n; i++) {
        char id[EVENT_ID_LEN + 1] = "", time[TIME_TEXT_MAX];
        event_id_print(b->recv_us, i, id);
        time_print((t + i) * NSEC_PER_SEC, 0, time);
        buf_printf(
            &b->body,
            "{\"id\":\"%.15s\",\"time\":\"%s\",\"app\":\"a%u\",\"level\":\"error\",\"severity_number\":17,\"message\":\"m%llu\"}\n",
            id, time, b->app, (unsigned long long)seq);
        b->events++;
    }
    store_append(s, b);
    batch_free(b);
}

static uint64_t count(struct store *s, unsigned *ret_damaged)
{
    struct store_view *v = store_view_open(s);
    struct buf scratch = BUF_INIT(64u << 20);
    uint64_t n = 0;
    *ret_damaged = 0;
    for (size_t i = 0; i < store_view_count(v); i++) {
        const struct store_block *b = store_view_block(v, i);
        struct err e;
        str lines;
        if (store_view_lines(v, i, &scratch, &lines, &e) < 0) {
            ++*ret_damaged;
            continue;
        }
        uint64_t here = 0;
        while (lines.n) {
            nsec t;
            int severity;
            CHECK(event_peek(str_cut(&lines, '\n'), &t, &severity));
            CHECK(t >= b->t_min && t <= b->t_max && (b->levels & (1u << severity)));
            here++;
        }
        CHECK_INT(here, b->events);
        n += here;
    }
    store_view_close(v);
    buf_done(&scratch);
    return n;
}

TEST(an_event_is_in_a_view_as_soon_as_it_is_appended)
{
    unsigned damaged;
    fresh_dir();
    struct store *s = open_store(0);
    for (int i = 1; i <= 100; i++) {
        append(s, 3, 1000);
        CHECK_INT(count(s, &damaged), 3 * i);
    }
    store_close(s);
    remove_dir();
}

TEST(a_view_does_not_change_while_events_are_appended_and_sealed)
{
    struct err e;
    fresh_dir();
    struct store *s = open_store(0);
    append(s, 10, 1000);
    struct store_view *v = store_view_open(s);
    append(s, 10, 2000);
    CHECK(store_seal(s, &e) == 0);
    CHECK_INT(store_view_count(v), 1);
    CHECK_INT(store_view_block(v, 0)->events, 10);
    struct buf scratch = BUF_INIT(1 << 20);
    str lines;
    size_t n = 0;
    CHECK(store_view_lines(v, 0, &scratch, &lines, &e) == 0);
    while (lines.n) {
        (void)str_cut(&lines, '\n');
        n++;
    }
    CHECK_INT(n, 10);
    store_view_close(v);
    store_close(s);
    remove_dir();
}

TEST(sealed_events_and_the_position_survive_a_restart)
{
    struct err e;
    unsigned damaged;
    fresh_dir();
    struct store *s = open_store(0);
    for (int i = 0; i < 5; i++)
        append(s, 1000, 5000 - i * 100);
    CHECK(store_seal(s, &e) == 0);
    append(s, 7, 9000);
    CHECK_INT(store_sealed(s), 5);
    store_close(s);
    s = open_store(0);
    CHECK_INT(store_sealed(s), 5);
    CHECK_INT(count(s, &damaged), 5000); /* the head is the journal's to give back */
    seq = 4;
    append(s, 1000, 1); /* record 5 again: sealed already, so it is not taken twice */
    CHECK_INT(count(s, &damaged), 5000);
    append(s, 7, 9000);
    CHECK_INT(count(s, &damaged), 5007);
    store_close(s);
    remove_dir();
}

TEST(a_damaged_block_is_left_out_and_the_rest_is_read)
{
    struct err e;
    unsigned damaged;
    char path[128];
    fresh_dir();
    struct store *s = open_store(0);
    append(s, 20000, 1);
    append(s, 20000, 1); /* the other app: at least two blocks */
    CHECK(store_seal(s, &e) == 0);
    store_close(s);
    snprintf(path, sizeof path, "%s/%016d-%016d.seg", dir, 1, 2);
    FILE *f = fopen(path, "r+b");
    CHECK(f != NULL);
    fseek(f, 8, SEEK_SET); /* within the first column of the first block */
    fputc(0x5a, f);
    fclose(f);
    s = open_store(0);
    uint64_t n = count(s, &damaged);
    CHECK_INT(damaged, 1);
    CHECK(n > 0 && n < 40000);
    struct store_stats st;
    store_stats(s, &st);
    CHECK_INT(st.corrupt_blocks, 1);
    CHECK(store_debug(path, fopen("/dev/null", "w"), &e) < 0 && e.kind == ERR_CORRUPT);
    store_close(s);
    remove_dir();
}

TEST(torn_foreign_and_newer_segments_are_told_apart)
{
    struct err e;
    struct segment *seg;
    struct buf b = BUF_INIT(1 << 20), zeros = BUF_INIT(1 << 20);
    char path[128];
    fresh_dir();
    struct store *s = open_store(0);
    append(s, 10, 1);
    CHECK(store_seal(s, &e) == 0);
    store_close(s);
    snprintf(path, sizeof path, "%s/%016d-%016d.seg", dir, 1, 1);
    CHECK(file_read(path, 1 << 20, &b, &e) == 0);
    int fd = dir_open(dir, &e);
    CHECK(file_replace(fd, "torn.seg", str_n(b.p, b.n - 1), 0640, &e) == 0);
    CHECK(file_replace(fd, "foreign.seg", S("PK\3\4 something else entirely, long enough to be looked at"), 0640, &e) ==
          0);
    b.p[b.n - 88 + 32] = 9;
    CHECK(file_replace(fd, "newer.seg", buf_view(&b), 0640, &e) == 0);
    close(fd);
    static const char *const cases[][2] = {
        {"torn", "is torn"}, {"foreign", "is not a segment"}, {"newer", "newer logd"}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        snprintf(path, sizeof path, "%s/%s.seg", dir, cases[i][0]);
        CHECK(segment_open(path, &seg, &e) < 0 && e.kind == ERR_CORRUPT);
        CHECK(strstr(e.text, cases[i][1]) != NULL);
    }
    buf_done(&b);
    buf_done(&zeros);
    remove_dir();
}

TEST(retention_removes_whole_segments_and_keeps_the_position)
{
    struct err e;
    unsigned damaged;
    fresh_dir();
    struct store *s = open_store(0);
    for (int i = 0; i < 3; i++) {
        append(s, 100, 1000);
        CHECK(store_seal(s, &e) == 0);
    }
    struct store_view *v = store_view_open(s); /* holds what retention removes */
    store_retention(s, 1 * USEC_PER_SEC, 0);
    CHECK(store_seal(s, &e) == 0);
    struct store_stats st;
    for (int i = 0; i < 100 && (store_stats(s, &st), st.segments); i++)
        usleep(50000);
    CHECK_INT(st.segments, 0);
    CHECK_INT(st.removed_segments, 3);
    CHECK_INT(count(s, &damaged), 0);
    struct buf scratch = BUF_INIT(1 << 20);
    str lines;
    CHECK(store_view_lines(v, 0, &scratch, &lines, &e) == 0 && lines.n > 0);
    store_view_close(v);
    store_close(s);
    s = open_store(0);
    CHECK_INT(store_sealed(s), 3);
    CHECK_INT(count(s, &damaged), 0);
    store_close(s);
    buf_done(&scratch);
    remove_dir();
}

/* Segments of one closed day, `n` events each, of two apps in turn. */
static struct store *open_days(int segments, unsigned n, struct store_config c)
{
    struct err e;
    fresh_dir();
    struct store *s = open_with(c);
    for (int i = 0; i < segments; i++) {
        append(s, n, 1000 + i % 2 * 7);
        append(s, n, 1000 - i % 3 * 5);
        CHECK(store_seal(s, &e) == 0);
    }
    return s;
}

TEST(segments_of_a_closed_day_become_one_of_full_blocks_in_order)
{
    struct err e;
    unsigned damaged;
    struct store *s = open_days(5, 4000, (struct store_config){0});
    CHECK(store_merge(s, &e) == 0);
    CHECK_INT(count(s, &damaged), 40000);
    CHECK_INT(damaged, 0);
    struct segment **segments;
    CHECK_INT(store_segments(s, &segments), 1);
    const struct segment *seg = segments[0];
    CHECK_INT(seg->n, 4);
    CHECK_INT(seg->blocks[0].info.events, BLOCK_EVENTS_MAX);
    CHECK(seg->blocks[0].info.app == 1 && seg->blocks[1].info.app == 1 && seg->blocks[2].info.app == 2);
    CHECK(seg->blocks[0].info.t_max <= seg->blocks[1].info.t_min);
    CHECK(seg->first_seq == 1 && seg->last_seq == 10 && seg->level == MERGE_LEVEL);
    segment_unref(segments[0]);
    free(segments);
    CHECK(store_merge(s, &e) == 0); /* and stays as it is */
    struct store_stats st;
    store_stats(s, &st);
    CHECK_INT(st.merges, 1);
    store_close(s);
    remove_dir();
}

TEST(a_view_reads_on_while_its_segments_are_merged)
{
    struct err e;
    struct store *s = open_days(3, 100, (struct store_config){0});
    struct store_view *v = store_view_open(s);
    CHECK(store_merge(s, &e) == 0);
    struct buf scratch = BUF_INIT(1 << 20);
    for (size_t i = 0; i < store_view_count(v); i++) {
        str lines;
        CHECK(store_view_lines(v, i, &scratch, &lines, &e) == 0 && lines.n > 0);
    }
    char path[128];
    snprintf(path, sizeof path, "%s/%016d-%016d.seg", dir, 1, 2);
    store_view_close(v);
    CHECK(access(path, F_OK) != 0);
    buf_done(&scratch);
    store_close(s);
    remove_dir();
}

TEST(what_the_archive_has_not_is_not_merged)
{
    struct err e;
    struct store_stats st;
    struct store *s = open_days(4, 10, (struct store_config){.archived = true});
    CHECK(store_merge(s, &e) == 0);
    store_stats(s, &st);
    CHECK_INT(st.segments, 4);
    store_archived(s, 4);
    CHECK(store_merge(s, &e) == 0);
    store_stats(s, &st);
    CHECK_INT(st.segments, 3);
    store_close(s);
    remove_dir();
}

TEST(a_segment_with_a_damaged_block_is_not_merged)
{
    struct err e;
    struct store_stats st;
    char path[128];
    struct store *s = open_days(3, 100, (struct store_config){.archived = true});
    snprintf(path, sizeof path, "%s/%016d-%016d.seg", dir, 3, 4);
    FILE *f = fopen(path, "r+b");
    CHECK(f != NULL);
    fseek(f, 8, SEEK_SET);
    fputc(0x5a, f);
    fclose(f);
    store_archived(s, UINT64_MAX);
    CHECK(store_merge(s, &e) < 0 && e.kind == ERR_CORRUPT);
    CHECK(store_merge(s, &e) == 0);
    store_stats(s, &st);
    CHECK(st.segments == 3 && access(path, F_OK) == 0);
    store_close(s);
    remove_dir();
}

TEST(a_full_head_says_so_and_is_sealed_early)
{
    struct store_stats st;
    fresh_dir();
    struct store *s = open_with((struct store_config){.memory = 16 << 20, .archived = true});
    while (!store_crowded(s, 1 << 20))
        append(s, 1000, 1000);
    store_stats(s, &st);
    CHECK_INT(st.head_max, 4 << 20);
    CHECK(st.head_memory > 2u << 20 && st.head_memory <= 4u << 20);
    store_wait(s);
    for (int i = 0; i < 200 && store_crowded(s, 4 << 20); i++)
        usleep(10000);
    CHECK(!store_crowded(s, 4 << 20));
    struct store_view *v = store_view_open(s); /* what a view holds is held */
    append(s, 1000, 1000);
    store_view_close(v);
    CHECK(!store_crowded(s, 0));
    store_close(s);
    remove_dir();
}

TEST(what_cannot_be_sealed_stays_bounded_and_is_sealed_later)
{
    struct store_stats st;
    struct err e;
    unsigned damaged;
    fresh_dir();
    struct store *s = open_with((struct store_config){.memory = 16 << 20, .archived = true});
    char away[80];
    snprintf(away, sizeof away, "%s.away", dir);
    CHECK(rename(dir, away) == 0);
    uint64_t events = 0;
    for (; !store_crowded(s, 1 << 20); events += 1000)
        append(s, 1000, 1000);
    CHECK(store_seal(s, &e) < 0);
    store_wait(s); /* gives up */
    store_stats(s, &st);
    CHECK(st.head_memory <= st.head_max && store_sealed(s) == 0);
    CHECK(store_crowded(s, 4 << 20)); /* asked again, it waits for its time, asleep */
    clock_t cpu = clock();
    usleep(200000);
    CHECK(clock() - cpu < CLOCKS_PER_SEC / 10);
    CHECK(rename(away, dir) == 0);
    CHECK(store_seal(s, &e) == 0);
    CHECK_INT(count(s, &damaged), events);
    CHECK(!store_crowded(s, 1 << 20));
    store_close(s);
    remove_dir();
}

UNIT_MAIN
