/* Source maps: the 99 cases of the standard's own tests, an index that says what the map says, hostile ones; bundles; which
 * map a frame finds, and what it is called by it. */
#include "base/buf.h"
#include "base/file.h"
#include "maps/bundle.h"
#include "maps/index.h"
#include "maps/maps.h"
#include "maps/worker.h"
#include "unit.h"

#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

/* The child that reads maps is this program again. */
__attribute__((constructor)) static void be_the_child(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], MAPS_WORKER) == 0)
        _exit(maps_worker_main());
}

static struct arena arena;
static struct buf index_bytes = BUF_INIT(1u << 30);

static int build(str map, str minified, struct err *e)
{
    struct sourcemap m;
    arena_reset(&arena);
    buf_reset(&index_bytes);
    if (sourcemap_read(map, &arena, &m, e) < 0)
        return -1;
    int rc = minified.p ? sourcemap_read_minified(&m, minified, e) : 0;
    if (rc == 0)
        map_index_write(&m, &index_bytes);
    sourcemap_done(&m);
    return rc;
}

/* ---- the standard's tests ---- */
static char *tc39(const char *name)
{
    const char *shared = getenv("LOGD_SHARED");
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/data/sourcemap/tc39/%s", shared ? shared : "../shared", name);
    return path;
}

static int build_file(const char *name, struct err *e)
{
    struct buf text = BUF_INIT(1 << 20);
    char path[300];
    snprintf(path, sizeof path, "resources/%s", name);
    int rc = file_read(tc39(path), text.max, &text, e);
    CHECK(rc == 0);
    rc = build(buf_view(&text), (str){0}, e);
    buf_done(&text);
    return rc;
}

static bool same_text(str got, const json_t *want)
{
    return json_is_null(want) ? got.n == 0 : str_eq(got, str_of(json_string_value(want)));
}

static bool same(bool found, const struct map_place *got, const json_t *want)
{
    const json_t *line = json_object_get(want, "originalLine");
    if (json_is_null(line))
        return !found;
    return found && same_text(got->source, json_object_get(want, "originalSource")) &&
           got->line == json_integer_value(line) &&
           got->column == json_integer_value(json_object_get(want, "originalColumn")) &&
           same_text(got->name, json_object_get(want, "mappedName"));
}

/* Follows a place through the maps of the files in between. */
static bool check_place(const json_t *action)
{
    struct map_place p = {0};
    struct err e;
    size_t i;
    json_t *name;
    bool found = map_index_find(buf_view(&index_bytes),
                                (uint32_t)json_integer_value(json_object_get(action, "generatedLine")),
                                (uint32_t)json_integer_value(json_object_get(action, "generatedColumn")), &p);
    json_array_foreach(json_object_get(action, "intermediateMaps"), i, name)
    {
        if (!found || build_file(json_string_value(name), &e) < 0)
            return false;
        found = map_index_find(buf_view(&index_bytes), p.line, p.column, &p);
    }
    return same(found, &p, action);
}

static bool check_ignored(const json_t *action)
{
    struct sourcemap m;
    struct buf text = BUF_INIT(1 << 20);
    struct err e;
    bool ok = file_read(tc39("resources/ignore-list-valid-1.js.map"), text.max, &text, &e) == 0 &&
              sourcemap_read(buf_view(&text), &arena, &m, &e) == 0;
    size_t n = 0;
    for (size_t i = 0; ok && i < m.sources_n; i++)
        if (m.sources[i].ignored)
            ok = same_text(m.sources[i].name, json_array_get(json_object_get(action, "present"), n++));
    ok = ok && n == json_array_size(json_object_get(action, "present"));
    sourcemap_done(&m);
    buf_done(&text);
    return ok;
}

static bool check_case(const json_t *test)
{
    struct err e = {0};
    size_t i;
    json_t *action;
    bool valid = json_is_true(json_object_get(test, "sourceMapIsValid")), ok = true;
    const char *map = json_string_value(json_object_get(test, "sourceMapFile"));
    if ((build_file(map, &e) == 0) != valid) {
        printf("%s: %s\n", json_string_value(json_object_get(test, "name")), e.text);
        return false;
    }
    if (!valid && e.kind != ERR_INPUT)
        return false;
    json_array_foreach(json_object_get(test, "testActions"), i, action)
    {
        if (build_file(map, &e) < 0)
            return false;
        bool ignore = strcmp(json_string_value(json_object_get(action, "actionType")), "checkIgnoreList") == 0;
        ok &= ignore ? check_ignored(action) : check_place(action);
    }
    return ok;
}

TEST(all_99_cases_of_the_standard_are_read_or_refused_as_it_says)
{
    size_t i, passed = 0;
    json_t *test, *doc = json_load_file(tc39("source-map-spec-tests.json"), 0, NULL),
                  *all = json_object_get(doc, "tests");
    if (!doc) {
        printf("skip: %s is not there: set LOGD_SHARED\n", tc39("source-map-spec-tests.json"));
        return;
    }
    json_array_foreach(all, i, test)
    {
        bool ok = check_case(test);
        passed += ok;
        if (!ok)
            printf("tc39 %s\n", json_string_value(json_object_get(test, "name")));
    }
    printf("tc39: %zu of %zu\n", passed, json_array_size(all));
    CHECK_INT(json_array_size(all), 99);
    CHECK_INT(passed, 99);
    json_decref(doc);
}

/* ---- what the index says is what the map says ---- */
static uint64_t seed = 0x9e3779b97f4a7c15u;
static uint32_t below(uint32_t n)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 20) % n;
}

static void put_vlq(struct buf *b, int64_t v)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t z = v < 0 ? ((uint64_t)-v << 1) | 1 : (uint64_t)v << 1;
    do {
        buf_byte(b, digits[(z & 31) | (z >> 5 ? 32 : 0)]);
        z >>= 5;
    } while (z);
}

enum { RANDOM = 5000, SOURCES = 20, NAMES = 30 };
static struct mapping truth[RANDOM];

static void random_map(struct buf *b)
{
    struct mapping last = {0};
    buf_reset(b);
    buf_lit(b, "{\"version\":3,\"sources\":[");
    for (int i = 0; i < SOURCES; i++)
        buf_printf(b, "%s\"src/%d.ts\"", i ? "," : "", i);
    buf_lit(b, "],\"names\":[");
    for (int i = 0; i < NAMES; i++)
        buf_printf(b, "%s\"n%d\"", i ? "," : "", i);
    buf_lit(b, "],\"mappings\":\"");
    for (int i = 0; i < RANDOM; i++) {
        struct mapping x = {last.line, last.column + 1 + below(200), MAPS_NONE, 0, 0, MAPS_NONE};
        bool first = i == 0;
        for (uint32_t more = below(20) == 0 ? 1 + below(3) : 0; more-- > 0; x.line++, first = true, last.column = 0)
            buf_byte(b, ';');
        if (x.line != last.line)
            x.column = below(100);
        if (!first)
            buf_byte(b, ',');
        put_vlq(b, (int64_t)x.column - last.column);
        if (below(10)) {
            x.source = below(SOURCES), x.oline = below(100000), x.ocolumn = below(300);
            put_vlq(b, (int64_t)x.source - last.source), put_vlq(b, (int64_t)x.oline - last.oline),
                put_vlq(b, (int64_t)x.ocolumn - last.ocolumn);
            last.source = x.source, last.oline = x.oline, last.ocolumn = x.ocolumn;
            if (below(3) == 0) {
                x.name = below(NAMES);
                put_vlq(b, (int64_t)x.name - last.name);
                last.name = x.name;
            }
        }
        last.line = x.line, last.column = x.column;
        truth[i] = x;
    }
    buf_lit(b, "\"}");
}

static const struct mapping *truth_at(uint32_t line, uint32_t column)
{
    const struct mapping *best = NULL;
    for (int i = 0; i < RANDOM; i++)
        if (truth[i].line == line && truth[i].column <= column)
            best = &truth[i];
    return best;
}

TEST(random_maps_answer_as_a_plain_search_does)
{
    struct buf text = BUF_INIT(1 << 24);
    struct err e;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 4; round++) {
        random_map(&text);
        CHECK(build(buf_view(&text), (str){0}, &e) == 0);
        for (int i = 0; i < 3000; i++) {
            uint32_t line = below(truth[RANDOM - 1].line + 2), column = below(4000);
            struct map_place p;
            char source[20], name[20];
            const struct mapping *want = truth_at(line, column);
            bool found = map_index_find(buf_view(&index_bytes), line, column, &p);
            CHECK(found == (want && want->source != MAPS_NONE));
            if (!found || !want)
                continue;
            snprintf(source, sizeof source, "src/%u.ts", want->source);
            snprintf(name, sizeof name, "n%u", want->name);
            CHECK_STR(p.source, str_of(source));
            CHECK(p.line == want->oline && p.column == want->ocolumn && p.exact == (want->column == column));
            CHECK_STR(p.name, want->name == MAPS_NONE ? S("") : str_of(name));
        }
    }
    buf_done(&text);
}

/* ---- functions ---- */
static const str map_of_functions = S(
    "{\"version\":3,\"sources\":[\"a.ts\"],\"names\":[\"pay\",\"Cart\",\"total\",\"item\"],\"mappings\":\"SAAAA,YAAAC,aAAAC,OAAAC\"}");

TEST(a_function_is_called_what_it_was_called_before)
{
    struct err e;
    CHECK(build(map_of_functions, S("function p(){}\nclass"), &e) < 0);
    CHECK_STR(str_of(e.text),
              S("the map does not belong to the minified file: it speaks of line 1, column 22, which is not there"));
    CHECK(build(map_of_functions, S("function p(){class c{};let t=a=>t(a);p(c)}"), &e) == 0);
    str ix = buf_view(&index_bytes);
    CHECK_STR(map_index_function(ix, S("p"), 0, 40), S("pay"));
    CHECK_STR(map_index_function(ix, S("p"), 0, 3), S(""));
    CHECK_STR(map_index_function(ix, S("q"), 0, 40), S(""));
}

TEST(columns_count_in_utf16_units)
{
    struct err e;
    /* U+1F600 is two units, é one: the name stands in column 5 */
    str map = S("{\"version\":3,\"sources\":[\"a.ts\"],\"names\":[\"pay\"],\"mappings\":\"AAAA,cAAAA\"}");
    CHECK(build(map, S("/*\xf0\x9f\x98\x80*/var  p=()=>1"), &e) == 0);
    CHECK_STR(map_index_function(buf_view(&index_bytes), S("p"), 0, 30), S(""));
    map = S("{\"version\":3,\"sources\":[\"a.ts\"],\"names\":[\"pay\"],\"mappings\":\"AAAA,UAAAA\"}");
    CHECK(build(map, S("'\xf0\x9f\x98\x80\xc3\xa9';var p=()=>1"), &e) == 0);
    CHECK_STR(map_index_function(buf_view(&index_bytes), S("p"), 0, 30), S("pay"));
}

/* ---- hostile ---- */
TEST(what_is_wrong_with_a_map_is_one_sentence)
{
    static const struct {
        str map;
        const char *why;
    } cases[] = {
        {S("<!doctype html>"), "expected a value, got '<' at byte 1"},
        {S("[]"), "expected a JSON object"},
        {S("{\"version\":2}"), "field 'version': expected 3, got 2"},
        {S("{\"version\":3,\"sources\":{},\"mappings\":\"\"}"), "field 'sources': expected an array, got an object"},
        {S("{\"version\":3,\"sources\":[7],\"mappings\":\"\"}"),
         "field 'sources': expected strings or null, got a number"},
        {S("{\"version\":3,\"sources\":[\"a\"],\"mappings\":\"AACA,ACAA\"}"),
         "field 'mappings': line 1: a source that cannot be: 1"},
        {S("{\"version\":3,\"sources\":[\"a\"],\"mappings\":\";AA\"}"),
         "field 'mappings': line 2: expected mappings of 1, 4 or 5 numbers"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct err e = {0};
        CHECK(build(cases[i].map, (str){0}, &e) < 0);
        CHECK_STR(str_of(e.text), str_of(cases[i].why));
    }
}

TEST(a_damaged_index_is_refused_or_answers_something)
{
    struct buf text = BUF_INIT(1 << 24), good = BUF_INIT(1 << 24);
    struct err e;
    struct map_place p;
    random_map(&text);
    CHECK(build(buf_view(&text), (str){0}, &e) == 0);
    buf_str(&good, buf_view(&index_bytes));
    for (int i = 0; i < 3000; i++) {
        memcpy(index_bytes.p, good.p, good.n);
        for (int k = 0; k < 3; k++)
            index_bytes.p[below(2) ? below(64) : below((uint32_t)good.n)] = (char)below(256);
        str ix = str_head(buf_view(&index_bytes), below(4) ? good.n : below((uint32_t)good.n));
        for (int k = 0; map_index_check(ix) && k < 20; k++)
            (void)!map_index_find(ix, below(300), below(4000), &p);
    }
    buf_done(&text);
    buf_done(&good);
}

/* ---- bundles ---- */
static struct buf bundle_bytes = BUF_INIT(1u << 24);

static void write_bundle(void)
{
    const struct bundle_file files[] = {
        {.type = "minified_source", .url = "~/js/a.js", .sourcemap = S("../maps/a.map"), .body = S("function p(){}")},
        {.type = "source_map", .url = "~/maps/a.map", .body = S("{\"map\":\"of a\"}")},
        {.type = "minified_source", .url = "~/b.js", .debug_id = S("ABCD"), .body = S("b")},
        {.type = "source_map", .url = "~/other.map", .debug_id = S("ABCD"), .body = S("{\"map\":\"of b\"}")},
        {.type = "minified_source", .url = "~/none.js", .body = S("no map")},
        {.type = "source_map", .url = "~/alone.js.map", .body = S("{}")},
    };
    buf_reset(&bundle_bytes);
    bundle_write(files, LENGTH(files), S("1.4"), &bundle_bytes);
}

TEST(a_bundle_pairs_each_map_with_its_minified_file)
{
    static const str paths[] = {S("~/js/a.js"), S("~/b.js"), S("~/alone.js")},
                     maps[] = {S("{\"map\":\"of a\"}"), S("{\"map\":\"of b\"}"), S("{}")};
    struct bundle *b;
    struct err e;
    struct buf text = BUF_INIT(1000);
    size_t n;
    write_bundle();
    CHECK(bundle_is(buf_view(&bundle_bytes)));
    CHECK(bundle_open(buf_view(&bundle_bytes), &b, &e) == 0);
    const struct bundle_map *list = bundle_maps(b, &n);
    CHECK_INT(n, 3);
    CHECK_STR(bundle_release(b), S("1.4"));
    for (size_t i = 0; i < n && i < LENGTH(paths); i++) {
        buf_reset(&text);
        CHECK_STR(list[i].path, paths[i]);
        CHECK(bundle_entry(b, list[i].map, &text, &e) == 0);
        CHECK_STR(buf_view(&text), maps[i]);
        CHECK((list[i].minified == SIZE_MAX) == (i == 2));
    }
    bundle_close(b);
    buf_done(&text);
}

TEST(a_damaged_bundle_is_refused_or_its_files_are)
{
    struct err e;
    struct buf text = BUF_INIT(1u << 20), good = BUF_INIT(1u << 20);
    size_t refused = 0, n;
    write_bundle();
    buf_str(&good, buf_view(&bundle_bytes));
    for (int round = 0; round < 3000; round++) {
        struct bundle *b;
        bool bad = false;
        memcpy(bundle_bytes.p, good.p, good.n);
        bundle_bytes.p[below((uint32_t)good.n)] ^= (char)(1 + below(255));
        if (bundle_open(str_head(buf_view(&bundle_bytes), below(4) ? good.n : below((uint32_t)good.n)), &b, &e) < 0) {
            refused++;
            continue;
        }
        const struct bundle_map *list = bundle_maps(b, &n);
        for (size_t i = 0; i < n; i++) {
            buf_reset(&text);
            bad |= bundle_entry(b, list[i].map, &text, &e) < 0;
        }
        refused += bad;
        bundle_close(b);
    }
    CHECK(refused > 1000);
    buf_done(&text);
    buf_done(&good);
}

/* ---- the catalogue ---- */
static char folder[64];
static void remove_folder(void)
{
    char **names, path[400];
    size_t n;
    struct err e;
    if (dir_list(folder, &names, &n, &e) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    dir_list_free(names, n);
    (void)rmdir(folder);
}

static struct maps *open_maps(void)
{
    struct maps *m = NULL;
    struct err e = {0};
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/test_maps.XXXXXX");
        CHECK(mkdtemp(folder) != NULL && atexit(remove_folder) == 0);
    }
    CHECK(maps_open(folder, &m, &e) == 0);
    return m;
}

/* A map of one place that says where it is from. */
static int put(struct maps *m, uint32_t app, const char *release, const char *path, const char *id, const char *source)
{
    struct map_proof proof;
    struct err e = {0};
    struct arena a = {0};
    struct buf map = BUF_INIT(4096);
    buf_printf(&map, "{\"version\":3,\"sources\":[\"%s\"],\"names\":[\"pay\"],\"mappings\":\"SAAAA\"}", source);
    struct map_new n = {.app = app,
                        .release = str_of(release),
                        .path = str_of(path),
                        .debug_id = str_of(id),
                        .map = buf_view(&map),
                        .minified = S("function p(){throw 1}")};
    int rc = maps_put(m, &n, &a, &proof, &e);
    if (rc < 0)
        printf("%s\n", e.text);
    else
        CHECK_STR(proof.source, str_of(source));
    arena_done(&a);
    buf_done(&map);
    return rc;
}

static struct map_frame ask(struct maps *m, uint32_t app, const char *release, const char *file, const char *id)
{
    struct map_frame f = {.function = S("p"), .file = str_of(file), .line = 1, .column = 17, .debug_id = str_of(id)};
    (void)maps_resolve(m, app, str_of(release), &f, 1, false, &arena);
    return f;
}

TEST(a_frame_finds_the_map_of_its_app_release_and_path)
{
    struct maps *m = open_maps();
    CHECK(put(m, 1, "1", "~/assets/main.js", NULL, "one.ts") == 0);
    CHECK(put(m, 1, "2", "assets/main.js", NULL, "two.ts") == 0);
    CHECK(put(m, 1, "2", "other/main.js", NULL, "other.ts") == 0);
    CHECK(put(m, 2, "2", "assets/main.js", NULL, "app2.ts") == 0);
    CHECK(put(m, 1, NULL, "x.js", "00112233-4455-6677-8899-AABBCCDDEEFF", "by-id.ts") == 0);
    static const struct {
        uint32_t app;
        const char *release, *file, *id, *source;
        enum map_cause cause;
    } cases[] = {
        {1, "1", "https://shop.example/assets/main.js", NULL, "one.ts", MAP_RESOLVED},
        {1, "2", "https://cdn.example/v7/assets/main.js?x=1#y", NULL, "two.ts", MAP_RESOLVED},
        {1, "2", "/srv/app/other/main.js", NULL, "other.ts", MAP_RESOLVED},
        {1, "2", "https://shop.example/main.js", NULL, NULL, MAP_NO_FILE}, /* two of them end so */
        {1, "2", "https://shop.example/xassets/main.js", NULL, NULL, MAP_NO_FILE},
        {1, "1", "https://shop.example/main.js", NULL, "one.ts", MAP_RESOLVED},
        {2, "1", "https://shop.example/assets/main.js", NULL, NULL, MAP_NO_MAPS},
        {1, "3", "https://shop.example/assets/main.js", NULL, NULL, MAP_NO_MAPS},
        {1, NULL, "https://shop.example/assets/main.js", NULL, NULL, MAP_NO_RELEASE},
        {1, "9", "https://shop.example/any.js", "00112233445566778899aabbccddeeff", "by-id.ts", MAP_RESOLVED},
        {2, "9", "https://shop.example/any.js", "00112233445566778899aabbccddeeff", NULL, MAP_NO_MAPS},
        {1, "1", "https://shop.example/", NULL, NULL, MAP_NOT_OURS},
        {1, "1", "node:internal/process/task_queues", NULL, NULL, MAP_NOT_OURS},
        {1, "1", "<anonymous>", NULL, NULL, MAP_NOT_OURS},
    };
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < LENGTH(cases); i++) {
            arena_reset(&arena);
            struct map_frame f = ask(m, cases[i].app, cases[i].release, cases[i].file, cases[i].id);
            if (f.cause != cases[i].cause)
                printf("%s of %s: %s\n", cases[i].file, cases[i].release, map_cause_names[f.cause]);
            CHECK_INT(f.cause, cases[i].cause);
            CHECK_STR(f.source, str_of(cases[i].source));
            CHECK_STR(f.name, f.cause == MAP_RESOLVED ? S("pay") : S(""));
        }
        maps_close(m); /* and the same from disk */
        m = open_maps();
    }
    maps_close(m);
}

TEST(uploading_again_replaces_and_removing_removes)
{
    struct maps *m = open_maps();
    struct maps_stats before, after;
    maps_get_stats(m, &before);
    CHECK(put(m, 1, "2", "assets/main.js", NULL, "newer.ts") == 0);
    maps_get_stats(m, &after);
    CHECK_INT(after.files, before.files);
    CHECK_STR(ask(m, 1, "2", "https://a/assets/main.js", NULL).source, S("newer.ts"));
    CHECK_INT(maps_remove(m, 1, S("2"), S("other/main.js")), 1);
    CHECK_STR(ask(m, 1, "2", "https://a/main.js", NULL).source, S("newer.ts"));
    CHECK_INT(maps_remove(m, 1, S("2"), (str){0}), 1);
    CHECK_INT(ask(m, 1, "2", "https://a/assets/main.js", NULL).cause, MAP_NO_MAPS);
    CHECK(maps_any(m, 1) && maps_any(m, 2));
    CHECK_INT(maps_remove(m, 2, (str){0}, (str){0}), 1);
    CHECK(maps_any(m, 1) && !maps_any(m, 2));
    maps_close(m);
}

TEST(a_file_that_was_damaged_on_disk_is_told_and_not_believed)
{
    struct maps *m = open_maps();
    struct err e;
    char **names, path[400];
    size_t n;
    CHECK(put(m, 7, "1", "a.js", NULL, "a.ts") == 0);
    maps_close(m);
    CHECK(dir_list(folder, &names, &n, &e) == 0 && n > 0);
    snprintf(path, sizeof path, "%s/%s", folder, names[n - 1]);
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && pwrite(fd, "\xff", 1, lseek(fd, 0, SEEK_END) - 30) == 1);
    close(fd);
    m = open_maps();
    CHECK_INT(ask(m, 7, "1", "https://a/a.js", NULL).cause, MAP_DAMAGED);
    maps_close(m);
    CHECK(truncate(path, 100) == 0);
    m = open_maps(); /* says so and goes on */
    CHECK_INT(ask(m, 7, "1", "https://a/a.js", NULL).cause, MAP_NO_MAPS);
    CHECK(put(m, 7, "1", "a.js", NULL, "a.ts") == 0);
    CHECK_INT(ask(m, 7, "1", "https://a/a.js", NULL).cause, MAP_RESOLVED);
    maps_close(m);
    dir_list_free(names, n);
}

TEST(minified_names_become_those_of_their_declaration_or_caller)
{
    struct maps *m = open_maps();
    struct arena a = {0};
    struct map_proof proof;
    struct err e;
    /* p is declared in column 9; it is called by its name in column 30; the place of the error is column 13 */
    str map = S("{\"version\":3,\"sources\":[\"a.ts\"],\"names\":[\"pay\"],\"mappings\":\"SAAAA,IAAI,iBAAAA\"}");
    struct map_new with = {
        .app = 3, .release = S("1"), .path = S("a.js"), .map = map, .minified = S("function p(){throw 1};void 0;p()")};
    struct map_new without = {.app = 3, .release = S("2"), .path = S("a.js"), .map = map};
    CHECK(maps_put(m, &with, &a, &proof, &e) == 0 && maps_put(m, &without, &a, &proof, &e) == 0);
    for (int i = 0; i < 2; i++) {
        struct map_frame f[] = {{.function = S("p"), .file = S("https://x/a.js"), .line = 1, .column = 14},
                                {.function = S(""), .file = S("https://x/a.js"), .line = 1, .column = 31}};
        CHECK_INT(maps_resolve(m, 3, i ? S("2") : S("1"), f, 2, false, &a), 2);
        CHECK_STR(f[0].name, S("pay"));
        CHECK_STR(f[1].name, S(""));
        f[1].column = 32; /* not where the name stands: nothing is said */
        CHECK_INT(maps_resolve(m, 3, i ? S("2") : S("1"), f, 2, false, &a), 2);
        CHECK_STR(f[0].name, i ? S("") : S("pay"));
        f[0].function = S("Cart.checkout");
        CHECK_INT(maps_resolve(m, 3, i ? S("2") : S("1"), f, 1, false, &a), 1);
        CHECK_STR(f[0].name, S("checkout"));
    }
    maps_close(m);
    arena_done(&a);
}

UNIT_MAIN
