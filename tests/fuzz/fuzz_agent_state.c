/* Any text as the agent's state, its checksum made right: what is read of it is written and read again as the same, and with
 * whatever places it names the files are followed without a crash, and their events are JSON. */
#include "agent/state.h"
#include "base/hash.h"
#include "event/json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char dir[64], log_path[80], old_path[80];
static struct shaper *shaper;

static void write_file(const char *path, str text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n)
        abort();
    close(fd);
}

static void remove_all(void)
{
    unlink(log_path);
    unlink(old_path);
    rmdir(dir);
}

static void start(void)
{
    struct shape shape = {.host = "h"};
    struct err e;
    snprintf(dir, sizeof dir, "/dev/shm/logd-fuzz-XXXXXX");
    if (!mkdtemp(dir) || !(shaper = shaper_new(&shape, &e)))
        abort();
    snprintf(log_path, sizeof log_path, "%s/a.log", dir);
    snprintf(old_path, sizeof old_path, "%s/a.log.1", dir);
    write_file(log_path, S("one\ntwo\nthree\n"));
    write_file(old_path, S("zero\n"));
    atexit(remove_all);
}

/* "@" is the path of the log: the folder has another name each time. */
static void expand(str from, struct buf *to)
{
    for (size_t i = 0; i < from.n; i++)
        if (from.p[i] == '@')
            buf_str(to, str_of(log_path));
        else
            buf_byte(to, from.p[i]);
}

static void follow(struct follow *fo)
{
    struct buf body = BUF_INIT(16u << 20);
    fo->shapers[0] = shaper;
    for (usec at = 1; at < 60 * USEC_PER_SEC; at += 20 * USEC_PER_SEC) {
        follow_scan(fo, at);
        buf_reset(&body);
        (void)follow_fill(fo, &body, 100);
        for (str rest = buf_view(&body), line; rest.n;) {
            line = str_cut(&rest, '\n');
            if (!json_valid(line, 32))
                abort();
        }
        follow_acked(fo, 0, NULL, 0);
    }
    buf_done(&body);
}

static void read_text(str text, struct follow *fo, struct pending *p)
{
    struct err e;
    char *patterns[] = {log_path};
    follow_init(fo, patterns, 1);
    pending_init(p);
    if (state_read(text, "state", fo, p, &e) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct follow fo;
    struct pending p;
    struct buf text = BUF_INIT(64u << 20), input = text, once = text, twice = text;
    if (!shaper)
        start();
    expand(str_n((const char *)data, n), &input);
    buf_printf(&text, "logd-agent 1 %016" PRIx64 "\n", xxh64(input.p, input.n, 0));
    buf_str(&text, buf_view(&input));
    read_text(buf_view(&text), &fo, &p);
    state_put(&fo, &p, &once);
    follow(&fo);
    follow_done(&fo);
    pending_done(&p);
    read_text(buf_view(&once), &fo, &p);
    state_put(&fo, &p, &twice);
    if (!str_eq(buf_view(&once), buf_view(&twice)))
        abort();
    follow_done(&fo);
    pending_done(&p);
    buf_done(&text);
    buf_done(&once);
    buf_done(&twice);
    buf_done(&input);
    return 0;
}
