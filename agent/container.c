#include "agent/container.h"

#include "base/file.h"

#include <jansson.h>

#define LOOK_EVERY (10 * USEC_PER_SEC)
#define CONFIG_MAX (4u << 20) /* of config.v2.json */

void container_init(struct container *c)
{
    *c = (struct container){.path = ""};
    buf_init(&c->texts, 64 << 10);
}

void container_done(struct container *c) { buf_done(&c->texts); }

/* Copies the text behind what is there; views stay, as there is room for it. */
static str keep(struct container *c, const char *text)
{
    size_t at = c->texts.n;
    str s = str_head(str_of(text), 1000);
    buf_str(&c->texts, s);
    return str_n(c->texts.p + at, s.n);
}

/* Without the name it is known by the twelve digits that docker prints. */
static void look_at_docker(struct container *c, str id)
{
    char path[PATH_MAX];
    struct buf b = BUF_INIT(CONFIG_MAX);
    struct err e;
    const char *file = strrchr(c->path, '/');
    c->name = str_head(id, 12);
    buf_reset(&c->texts);
    (void)buf_room(&c->texts, 4096);
    int n = snprintf(path, sizeof path, "%.*s/config.v2.json", (int)(file - c->path), c->path);
    if (n >= (int)sizeof path || file_read(path, CONFIG_MAX, &b, &e) < 0) {
        buf_done(&b);
        return;
    }
    json_t *j = json_loadb(b.p ? b.p : "", b.n, 0, NULL);
    const char *name = json_string_value(json_object_get(j, "Name"));
    const char *image = json_string_value(json_object_get(json_object_get(j, "Config"), "Image"));
    if (name && name[name[0] == '/'])
        c->name = keep(c, name + (name[0] == '/'));
    if (image)
        c->image = keep(c, image);
    json_decref(j);
    buf_done(&b);
}

/* POD_NAMESPACE_CONTAINER-ID.log */
static void read_link_name(struct container *c, str file)
{
    str rest = file, pod = str_cut(&rest, '_'), namespace = str_cut(&rest, '_');
    size_t n = rest.n;
    while (n > 0 && rest.p[n - 1] != '-')
        n--;
    if (n < 2)
        return;
    c->pod = pod;
    c->namespace = namespace;
    c->name = str_head(rest, n - 1);
}

void container_look(struct container *c, const char *path, usec now)
{
    if (strcmp(c->path, path) == 0 && now - c->looked < LOOK_EVERY && now >= c->looked)
        return;
    c->name = c->image = c->pod = c->namespace = (str){NULL, 0};
    c->looked = now;
    snprintf(c->path, sizeof c->path, "%s", path);
    str p = str_of(c->path), file = {NULL, 0}, before = file, folder = file;
    for (str rest = p; rest.p;) {
        folder = before;
        before = file;
        file = str_cut(&rest, '/');
    }
    if (str_find(p, S("/containers/")) >= 0 && str_ends(file, S("-json.log"))) {
        look_at_docker(c, before);
    } else if (str_find(p, S("/pods/")) >= 0 && folder.n && str_chr(folder, '_') > 0) {
        c->name = before;
        c->namespace = str_cut(&folder, '_');
        c->pod = str_cut(&folder, '_');
    } else if (str_ends(before, S("containers"))) {
        read_link_name(c, file);
    }
}
