/* tests/crash/store_crash.c - what was acknowledged is found, once, whatever happens while segments are made.
 *
 *   store_crash images COUNT [SEED]   power failures: runs the driver under the recorder, rebuilds journal and segments as
 *                                     they may be after any prefix of its calls (tests/lib/disk.h), opens both as the
 *                                     server does and checks them. Some disks are run on and fail again, three deep.
 *   store_crash faults [SEED]         every kind of call on the segments fails at every place it is made, once and for
 *                                     ever, with each errno that can be; short writes: intake goes on, the head is sealed
 *                                     later, and power failures on top lose and double nothing
 *   store_crash kill ROUNDS [SEED]    kill -9 of the driver under load, at random moments and at random calls
 *
 * What is checked stands in store_check.h. Prints `ok NAME` or `FAIL NAME` with what was found, and keeps the folder of
 * a failure. Needs ./build/libfault.so and the driver beside this program. */
#include "base/file.h"
#include "disk.h"
#include "store_check.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

enum { BATCHES = 30, FEW_BATCHES = 14, HEAD_BYTES = 2500 };
static const char *const folders[] = {"journal", "segments"};
enum { FOLDERS = LENGTH(folders) };
static char base[64], driver[512], data[128], image[128], record[128];
static struct rng rng;
static uint64_t images, merges;

/* ---- running the driver ---- */

struct run {
    bool recorded;
    char fault[64]; /* "FAULT=write:3:28", "KILL=sync:7:half", …, "": none; of calls on segments unless `everywhere` */
    bool everywhere;
    uint64_t first, count; /* batches of each writer */
    usec kill_after;       /* 0: let it end */
};

static void child(const struct run *r, int out)
{
    char number[3][24], segments[200];
    uint64_t numbers[3] = {r->first, r->count, HEAD_BYTES};
    dup2(out, STDOUT_FILENO);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    if (r->recorded) {
        snprintf(segments, sizeof segments, "%s/segments", data);
        setenv("LD_PRELOAD", "build/libfault.so", 1);
        setenv("FAULT_DIR", data, 1);
        if (!r->everywhere)
            setenv("FAULT_AT", segments, 1);
        setenv("RECORD", record, 1);
        if (r->fault[0])
            putenv((char *)r->fault);
    }
    for (size_t i = 0; i < 3; i++)
        snprintf(number[i], sizeof number[i], "%llu", (unsigned long long)numbers[i]);
    execl(driver, driver, data, number[0], number[1], number[2], (char *)NULL);
    _exit(99);
}

/* Runs it; what it said is added to p. Returns the wait status. */
static int run_driver(const struct run *r, struct promises *p)
{
    int ends[2], status;
    char chunk[65536];
    struct buf said = BUF_INIT(1 << 26);
    unlink(record);
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
    merges += p->merged;
    p->merged = 0;
    buf_done(&said);
    return status;
}

/* ---- the disk: two folders ---- */

struct disks {
    struct disk of[FOLDERS];
    char dir[FOLDERS][160];
};

static void disks_load(struct disks *d)
{
    for (size_t i = 0; i < FOLDERS; i++) {
        snprintf(d->dir[i], sizeof d->dir[i], "%s/%s", data, folders[i]);
        disk_load(&d->of[i], d->dir[i]);
    }
}

static void disks_done(struct disks *d)
{
    for (size_t i = 0; i < FOLDERS; i++)
        disk_done(&d->of[i]);
}

static void disks_do(struct disks *d, const struct recorded *o)
{
    for (size_t i = 0; i < FOLDERS; i++)
        disk_do(&d->of[i], o, &rng);
}

static void disks_image(const struct disks *d, enum disk_loss loss, enum disk_loss names, const char *out)
{
    char dir[200];
    for (size_t i = 0; i < FOLDERS; i++) {
        snprintf(dir, sizeof dir, "%s/%s", out, folders[i]);
        disk_image(&d->of[i], loss, names, &rng, dir);
    }
}

static void folders_clear(const char *top)
{
    char dir[200];
    for (size_t i = 0; i < FOLDERS; i++) {
        snprintf(dir, sizeof dir, "%s/%s", top, folders[i]);
        if (mkdir(dir, 0750) < 0 && errno != EEXIST)
            abort();
        dir_clear(dir);
    }
}

/* ---- power failures ---- */

/* All that was promised by the first k calls of a recording, on top of what was promised before it. */
static void promises_until(const struct promises *before, const struct recording *rec, size_t k, struct promises *p)
{
    *p = *before;
    for (size_t i = 0; i < k; i++)
        if (rec->op[i].op.op == FAULT_OUTPUT)
            promise_text(p, str_n(rec->op[i].data, rec->op[i].op.size));
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Half of the places are calls on segments: they are few among those of the journal. */
static uint64_t choose_place(const struct recording *rec)
{
    uint64_t k = rng_below(&rng, rec->n + 1);
    if (rng_below(&rng, 2))
        return k;
    for (; k < rec->n; k++)
        if (rec->op[k].name && strstr(rec->op[k].name, "/segments"))
            return k + rng_below(&rng, 6);
    return rec->n;
}

/* Checks `count` images at random places of the recording. d: the folders' state before it, and after. */
static bool check_images(struct disks *d, const struct promises *before, const struct recording *rec, size_t count,
                         const char *what)
{
    static struct promises p;
    uint64_t *at = xcalloc(count + 1, sizeof *at);
    bool right = true;
    size_t done = 0;
    for (size_t i = 0; i < count; i++)
        at[i] = choose_place(rec);
    qsort(at, count, sizeof *at, by_size);
    for (size_t i = 0; i < count && right; i++) {
        for (; done < at[i] && done < rec->n; done++)
            disks_do(d, &rec->op[done]);
        enum disk_loss loss = (enum disk_loss)(images % LOSS_MODES), names = (enum disk_loss)rng_below(&rng, 3);
        struct rng was = rng;
        disks_image(d, loss, names, image);
        promises_until(before, rec, done, &p);
        right = folder_right(image, &p);
        images++;
        if (!right) {
            rng = was;
            disks_image(d, loss, names, image); /* as it was before the check */
            bad("%s, after call %zu of %zu: %s; names: %s; the image is kept in %s", what, done, rec->n,
                disk_loss_name[loss], disk_loss_name[names], image);
        }
    }
    for (; done < rec->n; done++)
        disks_do(d, &rec->op[done]);
    free(at);
    return right;
}

/* A run on what is in `data`, recorded, and its images; leaves in `data` what one more failure left. */
static bool one_run(uint64_t first, struct promises *p, size_t count, int depth)
{
    static struct promises before;
    static struct disks start, d;
    struct recording rec;
    char what[96];
    before = *p;
    struct run r = {.recorded = true, .first = first, .count = BATCHES};
    if (rng_below(&rng, 3) == 0)
        snprintf(r.fault, sizeof r.fault, "KILL=any:%llu", (unsigned long long)(1 + rng_below(&rng, 60)));
    disks_load(&start);
    disks_load(&d);
    (void)run_driver(&r, p);
    recording_read(record, &rec);
    snprintf(what, sizeof what, "run %d %s", depth, r.fault);
    bool right = check_images(&d, &before, &rec, count, what);
    /* it fails somewhere, and the next run goes on from there */
    size_t k = choose_place(&rec);
    k = k < rec.n ? k : rec.n;
    for (size_t i = 0; i < k; i++)
        disks_do(&start, &rec.op[i]);
    if (right)
        disks_image(&start, (enum disk_loss)rng_below(&rng, LOSS_MODES), (enum disk_loss)rng_below(&rng, 3), data);
    promises_until(&before, &rec, k, p);
    disks_done(&start);
    disks_done(&d);
    recording_done(&rec);
    return right;
}

static bool run_images(size_t count)
{
    static struct promises p;
    bool right = true;
    enum { PER_RUN = 60, DEPTH = 3 };
    for (size_t done = 0; done < count && right;) {
        memset(&p, 0, sizeof p);
        folders_clear(data);
        for (int depth = 0; depth < DEPTH && done < count && right; depth++) {
            size_t n = count - done < PER_RUN ? count - done : PER_RUN;
            right = one_run((uint64_t)depth * BATCHES, &p, n, depth);
            done += n;
        }
    }
    return right;
}

/* ---- faults ---- */

struct kind {
    const char *op;
    int sys; /* 0: a short write */
};
static const struct kind kinds[] = {
    {"write", ENOSPC}, {"write", EIO},   {"write", EINTR}, {"write", 0},       {"sync", EIO},
    {"sync", ENOSPC},  {"open", ENOSPC}, {"open", EMFILE}, {"rename", ENOSPC}, {"rename", EIO},
    {"unlink", EIO},   {"read", EIO},    {"any", EIO},     {"any", ENOSPC},
};

/* The segments' disk fails, the journal's does not: every batch is taken, and in the end all is sealed, unless the
 * fault stays. A start that cannot read what is there says so. */
static bool went_on(const struct kind *k, const struct promises *p, bool sticky, int status)
{
    bool reads = strcmp(k->op, "open") == 0 || strcmp(k->op, "read") == 0 || strcmp(k->op, "any") == 0;
    if (!WIFEXITED(status))
        return bad("the driver died of signal %d", WTERMSIG(status));
    if (p->failed)
        return bad("%llu batches failed", (unsigned long long)p->failed);
    if (p->full)
        return bad("%llu batches were refused", (unsigned long long)p->full);
    if (reads && WEXITSTATUS(status) == 1)
        return true;
    if (!sticky && WEXITSTATUS(status) != 0)
        return bad("exit %d", WEXITSTATUS(status));
    return true;
}

/* One run with a fault at call n of its kind. *ret_hit: there was such a call. */
static bool one_fault(const struct kind *k, long n, bool sticky, bool *ret_hit)
{
    static struct promises before, p;
    static struct disks d;
    struct recording rec;
    struct run r = {.recorded = true, .count = FEW_BATCHES}, first = {.count = FEW_BATCHES};
    memset(&p, 0, sizeof p);
    folders_clear(data);
    if (n % 2) { /* every other time on a folder that holds segments already */
        (void)run_driver(&first, &p);
        r.first = FEW_BATCHES;
    }
    if (k->sys == 0)
        snprintf(r.fault, sizeof r.fault, "SHORT=%ld", n);
    else
        snprintf(r.fault, sizeof r.fault, "FAULT=%s:%ld:%d%s", k->op, n, k->sys, sticky ? ":sticky" : "");
    before = p;
    disks_load(&d);
    int status = run_driver(&r, &p);
    recording_read(record, &rec);
    *ret_hit = false;
    for (size_t i = 0; i < rec.n; i++)
        *ret_hit |= rec.op[i].op.hit;
    bool right = went_on(k, &p, sticky, status) || bad("%s", r.fault);
    right = right && check_images(&d, &before, &rec, 3, r.fault);
    right = right && (folder_right(data, &p) || bad("%s: in the folder as it was left, kept in %s", r.fault, data));
    recording_done(&rec);
    disks_done(&d);
    return right;
}

/* The first places all, then fewer: other ones each time, so that in the end it is all of them. */
static long next_place(long n, bool sticky) { return 1 + sticky + (long)rng_below(&rng, (uint64_t)n); }

static bool run_faults(void)
{
    bool all = true;
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        bool right = true, hit, once = kinds[i].sys == 0 || kinds[i].sys == EINTR;
        size_t points = 0;
        for (int sticky = 0; sticky < (once ? 1 : 2); sticky++)
            for (long n = 1, missed = 0; right && missed < 3;
                 n += next_place(n, sticky)) { /* not every run makes as many calls */
                right = one_fault(&kinds[i], n, sticky, &hit);
                points += hit;
                missed = hit ? 0 : missed + 1;
            }
        printf("%s store_survives_%s_%s (%zu places)\n", right && points ? "ok" : "FAIL", kinds[i].op,
               kinds[i].sys ? strerrorname_np(kinds[i].sys) : "short", points);
        all &= right && points;
    }
    return all;
}

/* ---- kill -9 ---- */

static bool run_kills(size_t rounds)
{
    static struct promises p;
    static const char *const ops[] = {"any", "write", "sync", "open", "rename", "unlink"};
    static const char *const when[] = {"", ":half", ":after"};
    bool right = true;
    uint64_t first = 0;
    for (size_t i = 0; i < rounds && right; i++) {
        if (i % 12 == 0) {
            memset(&p, 0, sizeof p);
            folders_clear(data);
            first = 0;
        }
        struct run r = {.first = first, .count = BATCHES};
        if (i % 2 == 0) {
            r.kill_after = 2000 + (usec)rng_below(&rng, 60000);
            r.count = 300;
        } else { /* at a call: the recorder is only there to count */
            r.recorded = true;
            r.everywhere = i % 4 == 1;
            snprintf(r.fault, sizeof r.fault, "KILL=%s:%llu%s", ops[rng_below(&rng, LENGTH(ops))],
                     (unsigned long long)(1 + rng_below(&rng, 60)), when[rng_below(&rng, 3)]);
        }
        first += r.count;
        (void)run_driver(&r, &p);
        right = folder_right(data, &p) || bad("round %zu %s, kept in %s", i, r.fault, data);
    }
    return right;
}

static void remove_all(void)
{
    const char *tops[] = {data, image};
    for (size_t i = 0; i < LENGTH(tops); i++) {
        char dir[200];
        folders_clear(tops[i]);
        for (size_t k = 0; k < FOLDERS; k++) {
            snprintf(dir, sizeof dir, "%s/%s", tops[i], folders[k]);
            rmdir(dir);
        }
        rmdir(tops[i]);
    }
    unlink(record);
    rmdir(base);
}

static void make_base(const char *program)
{
    const char *slash = strrchr(program, '/');
    snprintf(driver, sizeof driver, "%.*s/store_driver", (int)(slash ? slash - program : 1), slash ? program : ".");
    snprintf(base, sizeof base, "%s/store-crash-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(base))
        abort();
    snprintf(data, sizeof data, "%s/data", base);
    snprintf(image, sizeof image, "%s/image", base);
    snprintf(record, sizeof record, "%s/recording", base);
    if (mkdir(data, 0750) < 0 || mkdir(image, 0750) < 0)
        abort();
    folders_clear(data);
    folders_clear(image);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    bool counted = strcmp(mode, "faults") != 0, right = false;
    if (argc < (counted ? 3 : 2) || argc > (counted ? 4 : 3)) {
        fprintf(stderr, "usage: store_crash images COUNT [SEED] | faults [SEED] | kill ROUNDS [SEED]\n");
        return 2;
    }
    size_t count = counted ? (size_t)atoll(argv[2]) : 0;
    const char *seed = argv[counted ? 3 : 2];
    if (seed)
        rng.state = strtoull(seed, NULL, 0);
    else
        random_bytes(&rng.state, 4), rng.state &= 0xffffffff;
    make_base(argv[0]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %llu\n", (unsigned long long)rng.state);
    usec began = clock_mono();
    if (strcmp(mode, "images") == 0) {
        right = run_images(count);
        printf("%s no_power_failure_loses_doubles_or_halves_an_event (%llu images of %llu merges, %.0f a second)\n",
               right ? "ok" : "FAIL", (unsigned long long)images, (unsigned long long)merges,
               (double)images * USEC_PER_SEC / (double)(clock_mono() - began));
    } else if (strcmp(mode, "kill") == 0) {
        right = run_kills(count);
        printf("%s no_kill_loses_doubles_or_halves_an_event (%zu kills)\n", right ? "ok" : "FAIL", count);
    } else if (strcmp(mode, "faults") == 0) {
        right = run_faults();
    } else {
        fprintf(stderr, "store_crash: no mode '%s'\n", mode);
    }
    if (right)
        remove_all();
    return right ? 0 : 1;
}
