/* Any bytes as the files of a journal: no crash; whoever reads them gets numbers that only rise; start either says why
 * not, or sees what a reader of the files sees, takes a batch, lets files go, and finds it all again.
 *
 * Input: a byte of flags, then the files: a byte (low bits the number, high bit a .w file), two bytes of length, bytes.
 * Flag 1: checksums are set right first, for the fuzzer cannot guess them. 2: files are released. 4: file headers are
 * made whole; only then do all readers agree on what is damaged behind them, and is a file without a record ours. */
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "journal/format.h"
#include "journal/journal.h"

#include <fcntl.h>
#include <unistd.h>

static char dir[64];

static void clear(void)
{
    char **names, path[400];
    size_t n;
    struct err e;
    if (dir_list(dir, &names, &n, &e) < 0)
        abort();
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    dir_list_free(names, n);
}

static void remove_all(void)
{
    clear();
    rmdir(dir);
}

enum { SIGN = 1, RELEASE = 2, HEADERS = 4 };

static void put(char *p, uint64_t v) { memcpy(p, &v, 8); }
static uint64_t get(const char *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

/* Sets the sums that format.h says, and keeps number and time as small as they are in any life. */
static void sign(char *p, size_t n, uint64_t number, enum file_kind kind, bool header)
{
    if (header && n >= FILE_HEADER) {
        struct file_header h = {kind, number, 1 + get(p + 24, 5), (usec)get(p + 32, 6)};
        file_header_write(&h, p);
    } else if (n >= FILE_HEADER) {
        p[39] = p[38] = p[31] = p[30] = 0;
        put(p + 56, xxh64(p, 56, 0));
    }
    for (size_t at = FILE_HEADER; at + RECORD_HEADER <= n; at++) {
        char *r = p + at, *payload = r + RECORD_HEADER;
        if (memcmp(r, record_magic, sizeof record_magic) != 0)
            continue;
        uint64_t meta = get(r + 40, 4), body = get(r + 44, 4);
        r[23] = r[22] = r[31] = r[30] = 0;
        if (meta + body <= n - at - RECORD_HEADER)
            put(r + 56, payload_sum(payload, meta, payload + meta, body));
        put(r + 64, xxh64(r, 64, (number << 40) + at));
    }
}

static void spill(uint8_t flags, uint8_t which, const uint8_t *data, size_t n)
{
    char name[JOURNAL_NAME_MAX], path[400], *copy = xmalloc(n + 1);
    uint64_t number = 1 + (which & 3);
    enum file_kind kind = which & 0x80 ? FILE_WINDOW : FILE_JOURNAL;
    journal_name(number, kind, name);
    memcpy(copy, data, n);
    if (flags & SIGN)
        sign(copy, n, number, kind, flags & HEADERS);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (fd < 0 || write_all(fd, str_n(copy, n)) < 0)
        abort();
    close(fd);
    free(copy);
}

struct seen {
    uint64_t n, last, sum; /* records, seq of the last one, of all they hold */
    bool whole;            /* read to the end */
};

static struct seen read_all(struct journal_reader *r)
{
    struct seen s = {0};
    struct record rec;
    struct err e;
    int rc;
    while ((rc = journal_reader_next(r, 0, &rec, &e)) == 1) {
        assert(rec.seq > s.last);
        s.n++;
        s.last = rec.seq;
        s.sum = xxh64(rec.body.p, rec.body.n, s.sum ^ rec.seq);
    }
    assert(rc == 0 || e.text[0]);
    s.whole = rc == 0;
    journal_reader_close(r);
    return s;
}

static struct seen read_files(void)
{
    struct journal_reader *r;
    struct err e;
    if (journal_reader_open_path(dir, 0, &r, &e) < 0)
        abort();
    return read_all(r);
}

static void show_first(void)
{
    char path[400];
    struct err e;
    FILE *out = fopen("/dev/null", "w");
    snprintf(path, sizeof path, "%s/00000001.j", dir);
    if (out && access(path, F_OK) == 0)
        (void)!journal_debug(path, out, &e);
    if (out)
        fclose(out);
}

static uint64_t add_one(struct journal *j, usec at)
{
    struct batch *b = batch_new(RECORD_EVENTS, 1, at);
    buf_lit(&b->body, "{\"x\":1}\n");
    b->events = b->accepted = 1;
    enum batch_status status = journal_commit(j, b);
    uint64_t seq = b->seq;
    assert(status == BATCH_OK);
    batch_free(b);
    return seq;
}

/* The journal on these files; false: it does not open. */
static bool live(const struct seen *before, uint8_t flags, uint64_t *ret_seq)
{
    struct journal_config c = {.dir = dir, .reserve_bytes = 1, .file_bytes = 512};
    struct journal *j;
    struct journal_reader *r;
    struct journal_stats st;
    struct err e;
    if (journal_open(&c, &j, &e) < 0) {
        assert(e.text[0]);
        return false;
    }
    journal_stats(j, &st);
    if (journal_reader_open(j, 0, &r, &e) < 0)
        abort();
    struct seen s = read_all(r);
    assert(!before->whole || !(flags & HEADERS) || (s.whole && s.n == before->n && s.sum == before->sum));
    assert(s.last <= st.last_seq);
    *ret_seq = add_one(j, st.last_recv_us + 1);
    assert(*ret_seq == st.last_seq + 1);
    if (flags & RELEASE)
        (void)!journal_release(j, st.last_seq, &e);
    journal_close(j);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint64_t seq, again;
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "%s/fuzz-journal-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(dir) || atexit(remove_all) != 0)
            abort();
    }
    clear();
    if (n == 0)
        return 0;
    for (size_t at = 1, size; at + 3 <= n; at += 3 + size) {
        size = (size_t)get((const char *)data + at + 1, 2);
        size = size < n - at - 3 ? size : n - at - 3;
        spill(data[0], data[at], data + at + 3, size);
    }
    show_first();
    struct seen before = read_files();
    if (!live(&before, data[0], &seq))
        return 0;
    struct seen after = read_files();
    assert(after.whole && after.last == seq);
    bool opened = live(&after, 0, &again);
    assert(opened ? again == seq + 1 : !(data[0] & HEADERS));
    return 0;
}
