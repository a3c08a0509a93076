/* tests/crash/journal_crash.c - what was acknowledged survives: the proof, by trying.
 *
 *   journal_crash images COUNT [SEED]   power failures: runs the driver under the recorder, rebuilds the disk as it may
 *                                       be after any prefix of its calls (tests/lib/disk.h), opens it with the real
 *                                       journal and checks it. Some disks are run on and fail again, three deep.
 *   journal_crash faults [SEED]         every kind of call fails at every place it is made, once and for ever, with
 *                                       each errno that can be; short writes; then the folder and its images are checked
 *   journal_crash kill ROUNDS [SEED]    kill -9 of the driver under load, at random moments and at random calls
 *
 * What is checked stands in journal_check.h. Prints `ok NAME` or `FAIL NAME` with what was found, and keeps the folder
 * of a failure. Needs ./build/libfault.so and the driver beside this program. */
#include "journal_check.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static char base[64], driver[512];
static uint64_t images;

/* ---- running the driver ---- */

struct run {
    const char *dir, *record; /* record NULL: without the recorder */
    char fault[64];           /* "FAULT=write:3:28", "KILL=sync:7:half", …, "" : none */
    uint64_t first, count;    /* batches of each writer */
    uint64_t again;  /* so many of them were sent before by a driver that was killed: go on with its recording */
    usec kill_after; /* 0: let it end */
};

static void child(const struct run *r, int out)
{
    char number[3][24], dir[512];
    uint64_t numbers[3] = {r->first, r->count, r->again};
    dup2(out, STDOUT_FILENO);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    if (r->record) {
        setenv("LD_PRELOAD", "build/libfault.so", 1);
        setenv("FAULT_DIR", r->dir, 1);
        setenv("SLOW", "150", 1);
        setenv("RECORD", r->record, 1);
        if (r->fault[0])
            putenv((char *)r->fault);
    }
    for (size_t i = 0; i < 3; i++)
        snprintf(number[i], sizeof number[i], "%llu", (unsigned long long)numbers[i]);
    snprintf(dir, sizeof dir, "%s", r->dir);
    execl(driver, driver, dir, "4", number[0], number[1], number[2], (char *)NULL);
    _exit(99);
}

/* Runs it; what it said is added to p. Returns the wait status. */
static int run_driver(const struct run *r, struct promises *p)
{
    int ends[2], status;
    char chunk[65536];
    struct buf said = BUF_INIT(1 << 26);
    if (r->record && !r->again)
        unlink(r->record);
    if (pipe2(ends, O_CLOEXEC) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0)
        child(r, ends[1]);
    close(ends[1]);
    if (r->kill_after) {
        usleep((useconds_t)r->kill_after);
        kill(pid, SIGKILL);
    }
    for (ssize_t n; (n = read(ends[0], chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR);)
        buf_add(&said, chunk, n > 0 ? (size_t)n : 0);
    close(ends[0]);
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99) {
        fprintf(stderr, "cannot run %s\n", driver);
        exit(2);
    }
    promise_text(p, buf_view(&said));
    for (size_t w = 0; w < WRITERS; w++)
        p->end[w] = r->first + r->count;
    buf_done(&said);
    return status;
}

static char *path(const char *name)
{
    char *p = NULL;
    if (asprintf(&p, "%s/%s", base, name) < 0)
        abort();
    return p;
}

static uint64_t next_batch(const struct promises *p)
{
    uint64_t n = 0;
    for (size_t w = 0; w < WRITERS; w++)
        n = p->end[w] > n ? p->end[w] : n;
    return n;
}

/* ---- power failures ---- */

/* All that was promised by the first k calls of a recording, on top of what was promised before it. */
static void promises_until(const struct promises *before, const struct recording *rec, size_t k, uint64_t end,
                           struct promises *p)
{
    *p = *before;
    for (size_t i = 0; i < k; i++)
        if (rec->op[i].op.op == FAULT_OUTPUT)
            promise_text(p, str_n(rec->op[i].data, rec->op[i].op.size));
    for (size_t w = 0; w < WRITERS; w++)
        p->end[w] = end;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Checks `count` images at random places of the recording. d: the folder's state before it, and after. */
static bool check_images(struct disk *d, const struct promises *before, const struct recording *rec, uint64_t end,
                         size_t count, const char *what)
{
    static struct promises p;
    uint64_t *at = xcalloc(count + 1, sizeof *at);
    char *out = path("image");
    bool right = true;
    size_t done = 0;
    for (size_t i = 0; i < count; i++)
        at[i] = rng_below(&rng, rec->n + 1);
    qsort(at, count, sizeof *at, by_size);
    for (size_t i = 0; i < count && right; i++) {
        for (; done < at[i]; done++)
            disk_do(d, &rec->op[done], &rng);
        enum disk_loss loss = (enum disk_loss)(images % LOSS_MODES), names = (enum disk_loss)rng_below(&rng, 3);
        struct rng was = rng;
        disk_image(d, loss, names, &rng, out);
        promises_until(before, rec, done, end, &p);
        right = folder_right(out, &p, true);
        images++;
        if (!right) {
            disk_image(d, loss, names, &was, out); /* as it was before the check */
            bad("%s, after call %zu of %zu: %s; names: %s; the image is kept in %s", what, done, rec->n,
                disk_loss_name[loss], disk_loss_name[names], out);
        }
    }
    for (; done < rec->n; done++)
        disk_do(d, &rec->op[done], &rng);
    free(at);
    free(out);
    return right;
}

/* A run on what is in `dir`, recorded, and its images; leaves in `dir` what one more failure left. */
static bool one_run(const char *dir, struct promises *p, size_t count, int depth)
{
    static struct promises before;
    struct recording rec;
    struct disk start, d;
    char *record = path("recording"), what[64];
    before = *p;
    struct run r = {.dir = dir, .record = record, .first = next_batch(p), .count = 30};
    disk_load(&start, dir);
    disk_load(&d, dir);
    if (rng_below(&rng, 2)) { /* killed first: what it had not synced is still in the cache for the next */
        struct run killed = r;
        snprintf(killed.fault, sizeof killed.fault, "KILL=any:%llu", (unsigned long long)(1 + rng_below(&rng, 80)));
        (void)run_driver(&killed, p);
        r.again = r.count;
        r.count += 10;
    }
    (void)run_driver(&r, p);
    recording_read(record, &rec);
    snprintf(what, sizeof what, "run %d", depth);
    bool right = check_images(&d, &before, &rec, r.first + r.count, count, what);
    /* it fails somewhere, and the next run goes on from there */
    size_t k = rng_below(&rng, rec.n + 1);
    for (size_t i = 0; i < k; i++)
        disk_do(&start, &rec.op[i], &rng);
    disk_image(&start, (enum disk_loss)rng_below(&rng, LOSS_MODES), (enum disk_loss)rng_below(&rng, 3), &rng, dir);
    promises_until(&before, &rec, k, r.first + r.count, p);
    disk_done(&start);
    disk_done(&d);
    recording_done(&rec);
    free(record);
    return right;
}

static bool run_images(size_t count)
{
    static struct promises p;
    char *dir = path("data");
    bool right = true;
    enum { PER_RUN = 80, DEPTH = 3 };
    for (size_t done = 0; done < count && right;) {
        memset(&p, 0, sizeof p);
        dir_clear(dir);
        for (int depth = 0; depth < DEPTH && done < count && right; depth++) {
            size_t n = count - done < PER_RUN ? count - done : PER_RUN;
            right = one_run(dir, &p, n, depth);
            done += n;
        }
    }
    free(dir);
    return right;
}

/* ---- faults ---- */

struct kind {
    const char *op;
    int sys; /* 0: a short write */
};
static const struct kind kinds[] = {
    {"write", ENOSPC},  {"write", EIO},   {"write", EINTR}, {"write", 0},      {"sync", EIO},
    {"sync", ENOSPC},   {"open", ENOSPC}, {"open", EMFILE}, {"truncate", EIO}, {"unlink", EIO},
    {"rename", ENOSPC}, {"read", EIO},    {"any", EIO},     {"any", ENOSPC},
};

/* Once, for ever, after half a write. */
static const char *const hows[] = {"", ":sticky", ":short"};

static size_t went_on; /* runs that ended with an acknowledgement after a full disk */
/* After a failed sync, or a write that failed for good, nothing is acknowledged; a full disk is said and passes. */
static bool stopped_or_went_on(const struct kind *k, const char *how, const struct recording *rec, int status)
{
    const char *name[DISK_FDS] = {0};
    bool failed = false, full = false, refused = false;
    str last = {0};
    for (size_t i = 0; i < rec->n; i++) {
        const struct recorded *o = &rec->op[i];
        str text = o->op.op == FAULT_OUTPUT ? str_n(o->data, o->op.size) : (str){0};
        if (o->op.op == FAULT_OPEN && !o->op.failed)
            name[o->op.fd] = o->name;
        if (failed && str_starts(text, S("ack")))
            return bad("%.*s came after the failure", (int)text.n - 1, text.p);
        refused |= str_starts(text, S("full"));
        last = text.n && !str_starts(text, S("release")) ? text : last;
        bool write = o->op.op == FAULT_WRITE, sync = o->op.op == FAULT_SYNC;
        if (!o->op.failed || !(write || sync) || !str_ends(str_of(name[o->op.fd]), S(".j")) || k->sys == EINTR)
            continue;
        failed |= sync || k->sys != ENOSPC;
        full |= write && k->sys == ENOSPC;
    }
    if (failed == (WEXITSTATUS(status) == 0) && (failed || k->sys == 0 || k->sys == EINTR))
        return bad("exit %d", WEXITSTATUS(status));
    if (full && strcmp(k->op, "write") == 0 && (!refused || WEXITSTATUS(status) != 0))
        return bad("a full disk: %s, exit %d", refused ? "refused" : "nothing refused", WEXITSTATUS(status));
    went_on += full && strcmp(how, ":sticky") != 0 && str_starts(last, S("ack"));
    return true;
}

/* One run with a fault at call n of its kind. *ret_hit: there was such a call. */
static bool one_fault(const struct kind *k, long n, const char *how, bool *ret_hit)
{
    static struct promises before, p;
    struct recording rec;
    struct disk d;
    char *dir = path("data"), *record = path("recording"), what[80];
    struct run r = {.dir = dir, .record = record, .count = 20};
    memset(&p, 0, sizeof p);
    dir_clear(dir);
    if (strcmp(k->op, "truncate") == 0 || strcmp(k->op, "read") == 0) { /* only a start on files does */
        struct run first = {.dir = dir, .record = record, .fault = "KILL=write:2:half", .count = 20};
        if (strcmp(k->op, "read") == 0)
            first.record = NULL, first.fault[0] = '\0'; /* to its end */
        (void)run_driver(&first, &p);
        r.first = 20;
    }
    if (k->sys == 0)
        snprintf(r.fault, sizeof r.fault, "SHORT=%ld", n);
    else
        snprintf(r.fault, sizeof r.fault, "FAULT=%s:%ld:%d%s", k->op, n, k->sys, how);
    before = p;
    disk_load(&d, dir);
    int status = run_driver(&r, &p);
    bool right = WIFEXITED(status) || bad("the driver died of signal %d", WTERMSIG(status));
    recording_read(record, &rec);
    right = right && stopped_or_went_on(k, how, &rec, status);
    *ret_hit = false;
    for (size_t i = 0; i < rec.n; i++)
        *ret_hit |= rec.op[i].op.hit;
    snprintf(what, sizeof what, "%s", r.fault);
    bool reading = strcmp(k->op, "read") == 0; /* what could not be read is no longer known to the windows */
    size_t count = reading                      ? 0
                   : strcmp(how, ":short") == 0 ? 40
                                                : 8; /* half a group: has its removal reached the disk? */
    right = right && check_images(&d, &before, &rec, r.first + r.count, count, what);
    right = right &&
            (folder_right(dir, &p, !reading) || bad("%s: in the folder as it was left, kept in %s", what, dir));
    recording_done(&rec);
    disk_done(&d);
    free(dir);
    free(record);
    return right;
}

static bool run_faults(void)
{
    bool all = true;
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        bool right = true;
        size_t points = 0;
        size_t ways = kinds[i].sys == 0 || kinds[i].sys == EINTR ? 1 : strcmp(kinds[i].op, "write") == 0 ? 3 : 2;
        for (size_t way = 0; way < ways; way++) {
            bool hit;
            for (long n = 1, missed = 0; right && missed < 3; n++) { /* not every run makes as many calls */
                right = one_fault(&kinds[i], n, hows[way], &hit);
                points += hit;
                missed = hit ? 0 : missed + 1;
            }
        }
        printf("%s journal_survives_%s_%s (%zu places)\n", right && points ? "ok" : "FAIL", kinds[i].op,
               kinds[i].sys ? strerrorname_np(kinds[i].sys) : "short", points);
        all &= right && points;
    }
    printf("%s journal_goes_on_after_a_full_disk (%zu times)\n", went_on ? "ok" : "FAIL", went_on);
    return all && went_on;
}

/* ---- kill -9 ---- */

static bool run_kills(size_t rounds)
{
    static struct promises p;
    static const char *const ops[] = {"any", "write", "sync", "open", "rename", "unlink"};
    static const char *const when[] = {"", ":half", ":after"};
    char *dir = path("data"), *record = path("recording");
    bool right = true;
    for (size_t i = 0; i < rounds && right; i++) {
        if (i % 12 == 0) {
            memset(&p, 0, sizeof p);
            dir_clear(dir);
        }
        struct run r = {.dir = dir, .first = next_batch(&p), .count = 300};
        if (i % 2 == 0) {
            r.kill_after = 2000 + (usec)rng_below(&rng, 60000);
        } else { /* at a call: the recorder is only there to count */
            r.record = record;
            r.count = 60;
            snprintf(r.fault, sizeof r.fault, "KILL=%s:%llu%s", ops[rng_below(&rng, LENGTH(ops))],
                     (unsigned long long)(1 + rng_below(&rng, 60)), when[rng_below(&rng, 3)]);
        }
        (void)run_driver(&r, &p);
        right = folder_right(dir, &p, true) || bad("round %zu %s, kept in %s", i, r.fault, dir);
    }
    free(dir);
    free(record);
    return right;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "", *slash = strrchr(argv[0], '/');
    bool counted = strcmp(mode, "faults") != 0;
    if (argc < (counted ? 3 : 2) || argc > (counted ? 4 : 3)) {
        fprintf(stderr, "usage: journal_crash images COUNT [SEED] | faults [SEED] | kill ROUNDS [SEED]\n");
        return 2;
    }
    size_t count = counted ? (size_t)atoll(argv[2]) : 0;
    const char *seed = argv[counted ? 3 : 2];
    if (seed)
        rng.state = strtoull(seed, NULL, 0);
    else
        random_bytes(&rng.state, 4), rng.state &= 0xffffffff;
    snprintf(driver, sizeof driver, "%.*s/journal_driver", (int)(slash ? slash - argv[0] : 1), slash ? argv[0] : ".");
    snprintf(base, sizeof base, "%s/journal-crash-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(base))
        abort();
    char *data = path("data"), *image = path("image"), *record = path("recording");
    if (mkdir(data, 0750) < 0 || mkdir(image, 0750) < 0)
        abort();
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %llu\n", (unsigned long long)rng.state);
    usec began = clock_mono();
    bool right = false;
    if (strcmp(mode, "images") == 0) {
        right = run_images(count);
        printf("%s no_power_failure_loses_doubles_or_halves_an_acknowledged_batch (%llu images, %.0f a second)\n",
               right ? "ok" : "FAIL", (unsigned long long)images,
               (double)images * USEC_PER_SEC / (double)(clock_mono() - began));
    } else if (strcmp(mode, "kill") == 0) {
        right = run_kills(count);
        printf("%s no_kill_loses_doubles_or_halves_an_acknowledged_batch (%zu kills)\n", right ? "ok" : "FAIL", count);
    } else if (strcmp(mode, "faults") == 0) {
        right = run_faults();
    } else {
        fprintf(stderr, "journal_crash: no mode '%s'\n", mode);
    }
    if (right) {
        dir_clear(data), dir_clear(image);
        rmdir(data), rmdir(image), unlink(record), rmdir(base);
    }
    free(data), free(image), free(record);
    return right ? 0 : 1;
}
