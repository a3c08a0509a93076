/* Any bytes as a source map and its minified file, as an index, or as a bundle: read, or refused with a reason; nothing is
 * read outside of it, and an index made of a map says of every mapping's place what the map says.
 *
 * Input: a byte that chooses, then the bytes. A map is divided from its minified file by a byte 0. */
#include "base/str.h"
#include "maps/bundle.h"
#include "maps/index.h"

static void ask_all(str index)
{
    static const uint32_t places[] = {0, 1, 7, 63, 64, 1000, INT32_MAX, UINT32_MAX};
    struct map_place p;
    struct map_facts facts;
    map_index_facts(index, &facts);
    for (size_t i = 0; i < LENGTH(places); i++)
        for (size_t k = 0; k < LENGTH(places); k++) {
            (void)!map_index_find(index, places[i], places[k], &p);
            (void)map_index_function(index, S("t"), places[i], places[k]);
        }
}

static void compare(const struct sourcemap *m, str index)
{
    struct map_place p;
    for (size_t i = 0; i < m->n; i++) {
        const struct mapping *x = &m->mappings[i];
        bool found = map_index_find(index, x->line, x->column, &p);
        if (found != (x->source != MAPS_NONE) || (found && (p.line != x->oline || p.column != x->ocolumn || !p.exact ||
                                                            !str_eq(p.source, m->sources[x->source].name))))
            abort();
    }
}

static void read_map(str bytes)
{
    struct arena a = {0};
    struct sourcemap m;
    struct err e = {0};
    struct buf index = BUF_INIT(UINT32_MAX);
    str minified = bytes, map = str_cut(&minified, '\0');
    (void)minified_debug_id(minified);
    (void)minified_map_url(minified);
    if (sourcemap_read(map, &a, &m, &e) < 0) {
        if (!e.text[0])
            abort();
        arena_done(&a);
        return;
    }
    if (!minified.n || sourcemap_read_minified(&m, minified, &e) == 0) {
        map_index_write(&m, &index);
        if (!map_index_check(buf_view(&index)))
            abort();
        compare(&m, buf_view(&index));
        ask_all(buf_view(&index));
    }
    sourcemap_done(&m);
    arena_done(&a);
    buf_done(&index);
}

static void read_bundle(str bytes)
{
    struct bundle *b;
    struct err e = {0};
    struct buf text = BUF_INIT(2u * BUNDLE_ENTRY);
    size_t n;
    if (bundle_open(bytes, &b, &e) < 0) {
        if (!e.text[0])
            abort();
        return;
    }
    const struct bundle_map *list = bundle_maps(b, &n);
    for (size_t i = 0; i < n && i < 16; i++) {
        buf_reset(&text);
        (void)!bundle_entry(b, list[i].map, &text, &e);
        if (list[i].minified != SIZE_MAX)
            (void)!bundle_entry(b, list[i].minified, &text, &e);
    }
    bundle_close(b);
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    str bytes = str_n((const char *)data + 1, n - 1);
    if (data[0] % 4 < 2)
        read_map(bytes);
    else if (data[0] % 4 == 2 && map_index_check(bytes))
        ask_all(bytes);
    else if (data[0] % 4 == 3)
        read_bundle(bytes);
    return 0;
}
