#include "agent/host.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

#include <inttypes.h>
#include <mntent.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PROC_MAX (4u << 20)
enum { SECTOR = 512 };

struct counters { /* since the machine started */
    uint64_t busy, all, received, sent, read, written, oom;
};
struct host {
    char *const *units;
    size_t units_n;
    struct counters last;
    usec last_us; /* 0: there was no sample */
    struct buf proc;
};

struct host *host_new(char *const *units, size_t n)
{
    struct host *h = xcalloc(1, sizeof *h);
    h->units = units;
    h->units_n = n;
    buf_init(&h->proc, PROC_MAX);
    return h;
}

void host_free(struct host *h)
{
    if (!h)
        return;
    buf_done(&h->proc);
    free(h);
}

/* ---- /proc ---- */

/* The file's text; empty when it cannot be read. */
static str proc(struct host *h, const char *path)
{
    char piece[4096];
    size_t n;
    buf_reset(&h->proc);
    FILE *f = fopen(path, "re"); /* its size is said to be 0 */
    if (!f)
        return S("");
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_add(&h->proc, piece, n);
    fclose(f);
    return h->proc.p ? buf_view(&h->proc) : S("");
}

/* The next word of a line; absent at its end. */
static str word(str *line)
{
    while (line->n && (line->p[0] == ' ' || line->p[0] == '\t'))
        *line = str_skip(*line, 1);
    size_t n = 0;
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t' && line->p[n] != '\n')
        n++;
    str w = n ? str_head(*line, n) : (str){NULL, 0};
    *line = str_skip(*line, n);
    return w;
}

static uint64_t number(str *line)
{
    uint64_t v = 0;
    return str_u64(word(line), &v) ? v : 0;
}

/* The number behind a name at the start of a line. */
static uint64_t value_of(str text, str name)
{
    for (str line; text.n;) {
        line = str_cut(&text, '\n');
        if (str_starts(line, name)) {
            line = str_skip(line, name.n);
            return number(&line);
        }
    }
    return 0;
}

static void read_cpu(struct host *h, struct counters *c)
{
    str text = proc(h, "/proc/stat"), line = str_cut(&text, '\n');
    (void)word(&line);
    for (int i = 0; i < 8; i++) { /* user nice system idle iowait irq softirq steal */
        uint64_t v = number(&line);
        c->all += v;
        c->busy += i == 3 || i == 4 ? 0 : v;
    }
}

static void read_net(struct host *h, struct counters *c)
{
    str text = proc(h, "/proc/net/dev");
    while (text.n) {
        str line = str_cut(&text, '\n'), name = str_cut(&line, ':');
        if (!line.p || str_eq(str_trim(name), S("lo")))
            continue;
        c->received += number(&line);
        for (int i = 0; i < 7; i++)
            (void)number(&line);
        c->sent += number(&line);
    }
}

/* Whole disks only: their partitions would count twice. */
static void read_disks(struct host *h, struct counters *c)
{
    char path[300];
    str text = proc(h, "/proc/diskstats");
    while (text.n) {
        str line = str_cut(&text, '\n');
        (void)word(&line), (void)word(&line);
        str name = word(&line);
        snprintf(path, sizeof path, "/sys/block/%.*s/device", STR_ARG(str_head(name, 60)));
        if (name.n == 0 || access(path, F_OK) < 0)
            continue;
        (void)number(&line), (void)number(&line);
        c->read += number(&line) * SECTOR;
        (void)number(&line), (void)number(&line), (void)number(&line);
        c->written += number(&line) * SECTOR;
    }
}

/* ---- events ---- */

static void begin(struct buf *out, usec now, const char *type)
{
    char time[TIME_TEXT_MAX];
    time_print(now * NSEC_PER_USEC, 3, time);
    buf_printf(out, "{\"time\":\"%s\",\"type\":\"%s\"", time, type);
}

/* With one digit behind the point; 0 of 0 is left out. */
static void share(struct buf *out, const char *name, double part, double whole)
{
    if (whole > 0)
        buf_printf(out, ",\"%s\":%.1f", name, 100 * part / whole);
}

static void rate(struct buf *out, const char *name, uint64_t now, uint64_t before, double seconds)
{
    if (seconds > 0 && now >= before)
        buf_printf(out, ",\"%s\":%.0f", name, (double)(now - before) / seconds);
}

/* The next word of a line, which is a number as JSON has it. */
static void add_number(struct buf *out, const char *name, str *line)
{
    str w = word(line);
    if (w.n)
        buf_printf(out, ",\"%s\":%.*s", name, STR_ARG(w));
}

static void add_memory(struct host *h, struct buf *out)
{
    str text = proc(h, "/proc/meminfo");
    uint64_t total = value_of(text, S("MemTotal:")), swap = value_of(text, S("SwapTotal:"));
    buf_printf(out, ",\"host.mem_total_bytes\":%" PRIu64, total * 1024);
    share(out, "host.mem_available_pct", (double)value_of(text, S("MemAvailable:")), (double)total);
    share(out, "host.swap_used_pct", (double)(swap - value_of(text, S("SwapFree:"))), (double)swap);
}

static void add_machine(struct host *h, usec now, struct buf *out)
{
    struct counters c = {0}, *l = &h->last;
    double seconds = h->last_us ? (double)(now - h->last_us) / USEC_PER_SEC : 0;
    read_cpu(h, &c);
    read_net(h, &c);
    read_disks(h, &c);
    c.oom = value_of(proc(h, "/proc/vmstat"), S("oom_kill "));
    begin(out, now, "host.metrics");
    if (h->last_us)
        share(out, "host.cpu_pct", (double)(c.busy - l->busy), (double)(c.all - l->all));
    str load = proc(h, "/proc/loadavg");
    static const char *const names[] = {"host.load1", "host.load5", "host.load15"};
    for (size_t i = 0; i < LENGTH(names); i++)
        add_number(out, names[i], &load);
    add_memory(h, out);
    str files = proc(h, "/proc/sys/fs/file-nr");
    buf_printf(out, ",\"host.files_open\":%" PRIu64, number(&files));
    rate(out, "host.net_rx_bytes_s", c.received, l->received, seconds);
    rate(out, "host.net_tx_bytes_s", c.sent, l->sent, seconds);
    rate(out, "host.disk_read_bytes_s", c.read, l->read, seconds);
    rate(out, "host.disk_write_bytes_s", c.written, l->written, seconds);
    if (h->last_us)
        buf_printf(out, ",\"host.oom_kills\":%" PRIu64, c.oom - l->oom);
    str up = proc(h, "/proc/uptime");
    add_number(out, "host.uptime_s", &up);
    buf_lit(out, "}\n");
    h->last = c;
    h->last_us = now;
}

/* One event a device, however often it is mounted. */
static void add_file_systems(usec now, struct buf *out)
{
    struct mntent m;
    char text[4096], *seen[64];
    size_t n = 0;
    FILE *f = setmntent("/proc/self/mounts", "re");
    while (f && n < LENGTH(seen) && getmntent_r(f, &m, text, sizeof text)) {
        struct statvfs v;
        size_t i = 0;
        while (i < n && strcmp(seen[i], m.mnt_fsname) != 0)
            i++;
        if (m.mnt_fsname[0] != '/' || i < n || strncmp(m.mnt_fsname, "/dev/loop", 9) == 0 ||
            statvfs(m.mnt_dir, &v) < 0 || v.f_blocks == 0)
            continue;
        seen[n++] = xstrdup(m.mnt_fsname);
        begin(out, now, "host.disk");
        buf_member(out, "host.disk.mount", str_of(m.mnt_dir));
        buf_member(out, "host.disk.device", str_of(m.mnt_fsname));
        share(out, "host.disk.free_pct", (double)v.f_bavail, (double)(v.f_blocks - v.f_bfree + v.f_bavail));
        buf_printf(out, ",\"host.disk.free_bytes\":%" PRIu64, (uint64_t)v.f_bavail * v.f_frsize);
        share(out, "host.disk.free_inodes_pct", (double)v.f_favail, (double)v.f_files);
        buf_lit(out, "}\n");
    }
    if (f)
        endmntent(f);
    while (n > 0)
        free(seen[--n]);
}

/* systemd keeps a folder of the processes of each unit that runs. */
static void add_unit(usec now, const char *unit, struct buf *out)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/systemd"}; /* version 2, and 1 */
    char path[400];
    bool up = false;
    for (size_t i = 0; i < LENGTH(places) && !up; i++) {
        snprintf(path, sizeof path, "%s/system.slice/%s/cgroup.procs", places[i], unit);
        FILE *f = fopen(path, "re");
        up = f && fgetc(f) != EOF;
        if (f)
            fclose(f);
    }
    begin(out, now, "host.unit");
    buf_member(out, "unit", str_of(unit));
    buf_printf(out, ",\"host.unit_up\":%d%s}\n", up, up ? "" : ",\"level\":\"warn\"");
}

void host_sample(struct host *h, usec now, struct buf *out)
{
    add_machine(h, now, out);
    add_file_systems(now, out);
    for (size_t i = 0; i < h->units_n; i++)
        add_unit(now, h->units[i], out);
}
