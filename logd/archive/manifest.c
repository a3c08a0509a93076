#include "archive/manifest.h"
#include "base/hash.h"
#include "base/str.h"

#include <jansson.h>

enum { FORMAT = 1 };
static const char *const kind_names[] = {"events", "journal", "state"};

void manifest_done(struct manifest *m)
{
    while (m->n)
        manifest_remove(m, m->n - 1);
    free(m->objects);
    *m = (struct manifest){0};
}

struct object *manifest_add(struct manifest *m, const char *name, enum object_kind kind)
{
    if (m->n == m->cap)
        m->objects = xrealloc(m->objects, (m->cap = m->cap ? m->cap * 2 : 64) * sizeof *m->objects);
    struct object *o = &m->objects[m->n++];
    *o = (struct object){.name = xstrdup(name), .kind = kind};
    return o;
}

void manifest_remove(struct manifest *m, size_t i)
{
    free(m->objects[i].name);
    free(m->objects[i].target);
    m->n--;
    memmove(&m->objects[i], &m->objects[i + 1], (m->n - i) * sizeof *m->objects);
}

static uint64_t number(json_t *o, const char *key) { return (uint64_t)json_integer_value(json_object_get(o, key)); }

static int read_object(struct manifest *m, json_t *o, struct err *e)
{
    const char *name = json_string_value(json_object_get(o, "name")),
               *kind = json_string_value(json_object_get(o, "kind"));
    const char *sha = json_string_value(json_object_get(o, "sha256")),
               *target = json_string_value(json_object_get(o, "target"));
    size_t k = 0;
    while (kind && k < LENGTH(kind_names) && strcmp(kind, kind_names[k]) != 0)
        k++;
    if (!name || !kind || k == LENGTH(kind_names) || !sha || strlen(sha) != 64)
        return err_set(e, ERR_CORRUPT, "the manifest lists an object without name, kind or sha256");
    if (k == OBJECT_STATE && !target)
        return err_set(e, ERR_CORRUPT, "the manifest lists state \"%.80s\" without its target", name);
    struct object *x = manifest_add(m, name, (enum object_kind)k);
    memcpy(x->sha256, sha, 65);
    x->bytes = number(o, "bytes");
    x->first = number(o, "first");
    x->last = number(o, "last");
    x->events = number(o, "events");
    x->file = number(o, "file");
    x->offset = number(o, "offset");
    x->raw = number(o, "raw");
    x->target = target ? xstrdup(target) : NULL;
    return 0;
}

int manifest_read(struct manifest *m, str json, struct err *e)
{
    json_error_t where;
    json_t *o = json_loadb(json.p ? json.p : "", json.n, JSON_REJECT_DUPLICATES, &where), *x;
    const char *lineage = json_string_value(json_object_get(o, "lineage"));
    size_t i;
    int rc = 0;
    if (!o || !lineage || strlen(lineage) != 32)
        rc = err_set(e, ERR_CORRUPT, "manifest.json is damaged: %s", o ? "it names no lineage" : where.text);
    else if (number(o, "format") != FORMAT)
        rc = err_set(e, ERR_CORRUPT, "manifest.json was written by a newer logd (format %llu)",
                     (unsigned long long)number(o, "format"));
    if (rc == 0) {
        memcpy(m->lineage, lineage, 33);
        m->generation = number(o, "generation");
        m->position = number(o, "position");
        json_array_foreach(json_object_get(o, "objects"), i, x) if (rc == 0) rc = read_object(m, x, e);
    }
    json_decref(o);
    return rc;
}

void manifest_print(const struct manifest *m, struct buf *out)
{
    buf_printf(out, "{\"format\":%d,\"lineage\":\"%s\",\"generation\":%llu,\"position\":%llu,\"objects\":[", FORMAT,
               m->lineage, (unsigned long long)m->generation, (unsigned long long)m->position);
    for (size_t i = 0; i < m->n; i++) {
        const struct object *x = &m->objects[i];
        buf_str(out, i ? S(",\n{\"name\":") : S("\n{\"name\":"));
        buf_json(out, str_of(x->name));
        buf_printf(out, ",\"kind\":\"%s\",\"bytes\":%llu,\"sha256\":\"%s\",\"first\":%llu,\"last\":%llu",
                   kind_names[x->kind], (unsigned long long)x->bytes, x->sha256, (unsigned long long)x->first,
                   (unsigned long long)x->last);
        if (x->events)
            buf_printf(out, ",\"events\":%llu", (unsigned long long)x->events);
        if (x->kind == OBJECT_JOURNAL)
            buf_printf(out, ",\"file\":%llu,\"offset\":%llu,\"raw\":%llu", (unsigned long long)x->file,
                       (unsigned long long)x->offset, (unsigned long long)x->raw);
        if (x->target) {
            buf_lit(out, ",\"target\":");
            buf_json(out, str_of(x->target));
        }
        buf_byte(out, '}');
    }
    buf_lit(out, "\n]}\n");
}

const struct object *manifest_target(const struct manifest *m, const char *target)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->objects[i].kind == OBJECT_STATE && strcmp(m->objects[i].target, target) == 0)
            return &m->objects[i];
    return NULL;
}

int object_check(const struct object *o, str body, struct err *e)
{
    uint8_t sha[32];
    struct buf hex = BUF_INIT(64);
    sha256(body, sha);
    buf_hex(&hex, sha, 32);
    bool same = memcmp(hex.p, o->sha256, 64) == 0;
    buf_done(&hex);
    if (same)
        return 0;
    return err_set(e, ERR_CORRUPT, "'%s' is damaged: %zu bytes, the manifest says %llu, and the SHA-256 differs",
                   o->name, body.n, (unsigned long long)o->bytes);
}
