/* tests/crash/keyhunt.c - looks for the key of a sealed unique count in everything that a thief could have taken.
 *
 *   keyhunt IDS CELLS [all] < BYTES
 *
 * IDS: one a line, people who are known to have been counted. CELLS: a line `APP METRIC STEP START CODE,CODE,…` for each
 * cell, taken before it was sealed. Every 16 bytes of BYTES are tried as the SipHash key of each cell, every 32 that begin
 * at a multiple of 8 (`all`: every 32) as a secret of which that key is made. Bytes that no random number would be, such as
 * text, are passed over. A line for each key under which all ids are in the cell: `found CELL KIND OFFSET KEY`; at the end
 * `best HITS CELL KEY` of any, and `tried N`. Exit 0. */
#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "stats/sketch.h"

#include <unistd.h>

enum { IDS_MAX = 64, CELLS_MAX = 8, FIRST = 4 };
static str ids[IDS_MAX];
static size_t ids_n, cells_n;
static struct cell {
    char text[200];
    bool *has; /* by code */
} cells[CELLS_MAX];
static struct {
    size_t hits, cell;
    uint8_t key[16];
} best;
static size_t tried;

static size_t hits_of(const struct cell *c, const uint8_t key[16])
{
    size_t hits = 0;
    for (size_t i = 0; i < ids_n; i++) {
        hits += c->has[sketch_cell(SKETCH_P, siphash24(key, ids[i]))];
        if (i + 1 == FIRST && hits == 0)
            return 0;
    }
    return hits;
}

static void print_key(const uint8_t key[16])
{
    for (size_t i = 0; i < 16; i++)
        printf("%02x", key[i]);
    printf("\n");
}

static void try_key(size_t cell, const uint8_t key[16], const char *kind, size_t offset)
{
    size_t hits = hits_of(&cells[cell], key);
    tried++;
    if (hits > best.hits) {
        best.hits = hits;
        best.cell = cell;
        memcpy(best.key, key, 16);
    }
    if (hits == ids_n) {
        printf("found %zu %s %zu ", cell, kind, offset);
        print_key(key);
    }
}

/* Different bytes among the last 16 and 32, kept up to date while a window moves along. */
struct variety {
    unsigned seen[256], different;
};
static void enter(struct variety *v, uint8_t b) { v->different += v->seen[b]++ == 0; }
static void leave(struct variety *v, uint8_t b) { v->different -= --v->seen[b] == 0; }

static void hunt(const uint8_t *p, size_t n, bool all)
{
    struct variety of16 = {0}, of32 = {0};
    uint8_t mac[32];
    for (size_t i = 0; i < n; i++) {
        enter(&of16, p[i]);
        enter(&of32, p[i]);
        if (i >= 16)
            leave(&of16, p[i - 16]);
        if (i >= 32)
            leave(&of32, p[i - 32]);
        for (size_t c = 0; i >= 15 && of16.different >= 11 && c < cells_n; c++)
            try_key(c, p + i - 15, "key", i - 15);
        for (size_t c = 0; i >= 31 && of32.different >= 24 && (all || (i - 31) % 8 == 0) && c < cells_n; c++) {
            hmac_sha256(str_n((const char *)p + i - 31, 32), str_of(cells[c].text), mac);
            try_key(c, mac, "secret", i - 31);
        }
    }
}

static void read_cell(str line)
{
    struct cell *c = &cells[cells_n++];
    str app = str_cut(&line, ' '), metric = str_cut(&line, ' '), step = str_cut(&line, ' '),
        start = str_cut(&line, ' ');
    int64_t code;
    assert(cells_n <= CELLS_MAX);
    snprintf(c->text, sizeof c->text, "logd-uu-v1|%.*s|%.*s|%.*s|%.*s", STR_ARG(app), STR_ARG(metric), STR_ARG(step),
             STR_ARG(start));
    c->has = xcalloc(64u << SKETCH_P, sizeof *c->has);
    while (line.n && str_i64(str_cut(&line, ','), &code) && code >= 0 && code < 64 << SKETCH_P)
        c->has[code] = true;
}

int main(int argc, char **argv)
{
    struct buf text = BUF_INIT(SIZE_MAX / 2), lines = BUF_INIT(SIZE_MAX / 2), bytes = BUF_INIT(SIZE_MAX / 2);
    struct err e;
    if (argc < 3 || file_read(argv[1], SIZE_MAX / 2, &text, &e) < 0 || file_read(argv[2], SIZE_MAX / 2, &lines, &e) < 0)
        return 2;
    for (str rest = buf_view(&text); rest.n && ids_n < IDS_MAX;)
        ids[ids_n++] = str_cut(&rest, '\n');
    for (str rest = buf_view(&lines); rest.n;)
        read_cell(str_cut(&rest, '\n'));
    for (ssize_t n = 1; n > 0 && buf_room(&bytes, 1u << 20); bytes.n += n > 0 ? (size_t)n : 0)
        n = read(STDIN_FILENO, bytes.p + bytes.n, 1u << 20);
    hunt((const uint8_t *)bytes.p, bytes.n, argc > 3);
    printf("best %zu %zu ", best.hits, best.cell);
    print_key(best.key);
    printf("tried %zu of %zu bytes\n", tried, bytes.n);
    return 0;
}
