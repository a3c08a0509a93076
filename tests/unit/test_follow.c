#include "agent/follow.h"
#include "agent/state.h"
#include "agent/thin.h"
#include "base/file.h"
#include "unit.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define LONG "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static char dir[40], path[2][80];
static struct follow fo;
static struct shaper *shaper;
static usec mono;

static const char *path_of(const char *name)
{
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static void add(const char *name, const char *text)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void copytruncate(const char *name, const char *to)
{
    struct buf b = BUF_INIT(1u << 20);
    struct err e;
    CHECK(file_read(path_of(name), 1u << 20, &b, &e) == 0);
    buf_byte(&b, '\0');
    add(to, b.p);
    CHECK(truncate(path_of(name), 0) == 0);
    buf_done(&b);
}

static void date(const char *name, time_t at)
{
    struct timespec t[2] = {{.tv_sec = at}, {.tv_sec = at}};
    CHECK(utimensat(AT_FDCWD, path_of(name), t, 0) == 0);
}

static void start_again(void)
{
    char *pattern = xstrdup(path_of("*.log"));
    follow_init(&fo, &pattern, 1);
    fo.shapers[0] = shaper;
    free(pattern);
}

static void start(void)
{
    struct shape shape = {.format = LINE_PLAIN, .join = JOIN_NONE, .host = "h"};
    struct err e;
    snprintf(dir, sizeof dir, "/tmp/logd-follow-XXXXXX");
    CHECK(mkdtemp(dir) && (shaper = shaper_new(&shape, &e)));
    mono = USEC_PER_SEC;
    start_again();
}

static void end(void)
{
    char **names;
    size_t n;
    struct err e;
    CHECK(dir_list(dir, &names, &n, &e) == 0);
    for (size_t i = 0; i < n; i++)
        CHECK(unlink(path_of(names[i])) == 0);
    dir_list_free(names, n);
    CHECK(rmdir(dir) == 0);
    follow_done(&fo);
    shaper_free(shaper);
}

static void look(void)
{
    mono += USEC_PER_SEC / 4;
    follow_scan(&fo, mono);
}

/* The first bytes of all messages that are unread: "12". */
static const char *taken(void)
{
    static char all[40];
    struct buf body = BUF_INIT(4u << 20);
    size_t n = 0;
    (void)follow_fill(&fo, &body, 100);
    follow_acked(&fo, 0, NULL, 0);
    for (str rest = buf_view(&body), line = str_cut(&rest, '\n'); line.n; line = str_cut(&rest, '\n')) {
        const char *at = memmem(line.p, line.n, "\"message\":\"", 11);
        all[n++] = at ? at[11] : '?';
    }
    all[n] = '\0';
    buf_done(&body);
    return all;
}

TEST(what_is_copied_away_between_a_look_and_the_reading_is_read_first)
{
    start();
    add("a.log", "1" LONG "\n");
    date("a.log", 1000000000);
    look();
    CHECK_STR(str_of(taken()), S("1"));
    copytruncate("a.log", "a.log.1");
    look();
    add("a.log", "2" LONG "\n");
    copytruncate("a.log", "a.log.2");
    add("a.log", "3" LONG "\n");
    CHECK_STR(str_of(taken()), S(""));
    look();
    CHECK_STR(str_of(taken()), S("23"));
    end();
}

TEST(what_is_copied_away_within_a_tick_of_the_clock_is_found)
{
    for (int killed = 0; killed < 2; killed++) {
        struct pending p;
        struct buf state = BUF_INIT(1u << 20);
        struct err e;
        time_t now = time(NULL) + 3600; /* any look is within it */
        start();
        add("a.log", "");
        date("a.log", now);
        look();
        CHECK_STR(str_of(taken()), S(""));
        pending_init(&p);
        state_put(&fo, &p, &state);
        add("a.log", "1" LONG "\n");
        copytruncate("a.log", "a.log.1");
        date("a.log.1", now);
        date("a.log", now);
        if (killed) {
            follow_done(&fo);
            start_again();
            CHECK(state_read(buf_view(&state), "state", &fo, &p, &e) == 0);
        }
        look();
        CHECK_STR(str_of(taken()), S("1"));
        pending_done(&p);
        buf_done(&state);
        end();
    }
}

TEST(a_file_that_is_still_open_is_known_by_its_new_name)
{
    start();
    add("a.log", "1" LONG "\n");
    look();
    CHECK(rename(path_of("a.log"), path_of("a.log.1")) == 0);
    add("a.log", "2" LONG "\n");
    look();
    CHECK_INT(fo.n, 1);
    CHECK_INT(fo.sources[0]->n, 2);
    CHECK_STR(str_of(fo.sources[0]->files[0]->path), str_of(path_of("a.log.1")));
    CHECK_STR(str_of(taken()), S("12"));
    end();
}

TEST(a_full_spool_leaves_alone_what_took_the_place_of_a_file)
{
    char elsewhere[60];
    start();
    add("a.log", "1" LONG "\n");
    look();
    snprintf(elsewhere, sizeof elsewhere, "%s.1", dir); /* where it is not looked for */
    CHECK(rename(path_of("a.log"), elsewhere) == 0);
    add("a.log", "2" LONG "\n");
    look();
    CHECK(!thin_spool(&fo, fo.sources[0], 0));
    CHECK_STR(str_of(taken()), S("12"));
    CHECK(unlink(elsewhere) == 0);
    end();
}

UNIT_MAIN
