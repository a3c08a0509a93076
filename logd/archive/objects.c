#include "archive/objects.h"
#include "base/file.h"
#include "base/http-client.h"
#include "base/str.h"

#include <errno.h>
#include <unistd.h>

struct objects {
    char *dir;  /* file:// */
    char *base; /* s3://: "https://endpoint/bucket/prefix/", encoded */
    char *region, *access_key, *secret_key;
    struct http_client *http;
    struct http_answer answer;
};

static bool name_fits(const char *name)
{
    return name[0] && name[0] != '/' && !strstr(name, "..") &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=/-") == strlen(name);
}

static int open_s3(struct objects *o, const struct config *c, str rest, struct err *e)
{
    str bucket = str_cut(&rest, '/');
    struct buf b = BUF_INIT(4096);
    if (!bucket.n)
        return err_set(e, ERR_INPUT, "archive.url: expected s3://bucket/prefix");
    if (!c->archive.access_key || !c->archive.secret_key)
        return err_set(e, ERR_INPUT, "archive: an s3:// url needs access_key and secret_key");
    o->region = xstrdup(c->archive.region ? c->archive.region : "us-east-1");
    o->access_key = xstrdup(c->archive.access_key);
    o->secret_key = xstrdup(c->archive.secret_key);
    if (c->archive.endpoint)
        buf_str(&b, str_of(c->archive.endpoint));
    else
        buf_printf(&b, "https://s3.%s.amazonaws.com", o->region);
    while (b.n && b.p[b.n - 1] == '/')
        b.n--;
    buf_byte(&b, '/');
    buf_url(&b, bucket, false);
    buf_byte(&b, '/');
    while (rest.n && rest.p[rest.n - 1] == '/')
        rest.n--;
    if (rest.n) {
        buf_url(&b, rest, true);
        buf_byte(&b, '/');
    }
    o->base = buf_take(&b, NULL);
    o->http = http_client_new();
    return 0;
}

int objects_open(const struct config *c, const char *url, struct objects **ret, struct err *e)
{
    struct objects *o = xcalloc(1, sizeof *o);
    str u = str_of(url);
    int rc = 0;
    if (str_starts(u, S("file://")) && u.n > 8 && u.p[7] == '/') {
        o->dir = xstrdup(url + 7); /* made by the first put: who only reads creates nothing */
    } else if (str_starts(u, S("s3://"))) {
        rc = open_s3(o, c, str_skip(u, 5), e);
    } else {
        rc = err_set(e, ERR_INPUT, "archive url: expected file:///dir or s3://bucket/prefix, got \"%.80s\"", url);
    }
    if (rc < 0) {
        objects_close(o);
        return -1;
    }
    *ret = o;
    return 0;
}

void objects_close(struct objects *o)
{
    if (!o)
        return;
    http_client_free(o->http);
    http_answer_done(&o->answer);
    free(o->dir);
    free(o->base);
    free(o->region);
    free(o->access_key);
    free(o->secret_key);
    free(o);
}

/* ---- a folder ---- */
static int file_put(struct objects *o, const char *name, str body, struct err *e)
{
    const char *slash = strrchr(name, '/');
    struct buf path = BUF_INIT(PATH_MAX);
    buf_printf(&path, "%s/%.*s%c", o->dir, slash ? (int)(slash - name) : 0, name, '\0');
    int fd = -1, rc = dir_make(path.p, e);
    if (rc == 0)
        fd = dir_open(path.p, e);
    rc = fd < 0 ? -1 : file_replace(fd, slash ? slash + 1 : name, body, 0640, e);
    if (fd >= 0)
        close(fd);
    buf_done(&path);
    return rc;
}

static int file_get(struct objects *o, const char *name, struct buf *out, struct err *e)
{
    struct buf path = BUF_INIT(PATH_MAX);
    buf_printf(&path, "%s/%s%c", o->dir, name, '\0');
    int rc = file_read(path.p, out->max, out, e);
    if (rc < 0 && e->sys == ENOENT)
        rc = err_set(e, ERR_GONE, "'%s' is not there", path.p);
    buf_done(&path);
    return rc;
}

static int file_delete(struct objects *o, const char *name, struct err *e)
{
    struct buf path = BUF_INIT(PATH_MAX);
    buf_printf(&path, "%s/%s%c", o->dir, name, '\0');
    int rc = unlink(path.p) < 0 && errno != ENOENT ? err_sys(e, "remove '%s'", path.p) : 0;
    buf_done(&path);
    return rc;
}

/* ---- S3 ---- */
/* "<Code>NoSuchBucket</Code>" of an S3 error. */
static str s3_code(str body)
{
    ptrdiff_t from = str_find(body, S("<Code>"));
    if (from < 0)
        return S("");
    body = str_skip(body, (size_t)from + 6);
    ptrdiff_t to = str_chr(body, '<');
    return str_head(body, to < 0 ? 0 : (size_t)to);
}

static int s3_call(struct objects *o, const char *method, const char *name, str body, size_t max, struct err *e)
{
    struct buf url = BUF_INIT(8192);
    static const char *const headers[] = {"Content-Type: application/octet-stream"};
    buf_str(&url, str_of(o->base));
    buf_url(&url, str_of(name), true); /* '=' is encoded: what is signed is what is sent */
    buf_byte(&url, '\0');
    struct http_call call = {.method = method,
                             .url = url.p,
                             .body = body,
                             .max = max,
                             .headers = headers,
                             .headers_n = body.p ? LENGTH(headers) : 0,
                             .s3 = {o->region, o->access_key, o->secret_key}};
    int rc = http_do(o->http, &call, &o->answer, e);
    buf_done(&url);
    if (rc < 0)
        return -1;
    if (o->answer.status == 404 && strcmp(method, "PUT") != 0 &&
        !str_eq(s3_code(buf_view(&o->answer.body)), S("NoSuchBucket")))
        return err_set(e, ERR_GONE, "'%s' is not there", name);
    if (o->answer.status < 200 || o->answer.status > 299)
        return err_set(e, ERR_REMOTE, "%s %s: the server answered %ld %.*s", method, name, o->answer.status,
                       STR_ARG(str_head(s3_code(buf_view(&o->answer.body)), 100)));
    return 0;
}

int objects_put(struct objects *o, const char *name, str body, struct err *e)
{
    assert(name_fits(name));
    return o->dir ? file_put(o, name, body, e) : s3_call(o, "PUT", name, body, 0, e);
}

int objects_get(struct objects *o, const char *name, struct buf *out, struct err *e)
{
    if (!name_fits(name))
        return err_set(e, ERR_CORRUPT, "the manifest names an object that cannot be: \"%.80s\"", name);
    if (o->dir)
        return file_get(o, name, out, e);
    if (s3_call(o, "GET", name, (str){0}, out->max, e) < 0)
        return -1;
    buf_str(out, buf_view(&o->answer.body));
    return out->full ? err_set(e, ERR_FULL, "'%s' is larger than %zu bytes", name, out->max) : 0;
}

int objects_delete(struct objects *o, const char *name, struct err *e)
{
    assert(name_fits(name));
    if (o->dir)
        return file_delete(o, name, e);
    int rc = s3_call(o, "DELETE", name, (str){0}, 0, e);
    return rc < 0 && e->kind == ERR_GONE ? 0 : rc;
}
