/* web/embed.c - a tool of the build: files of web/ as C, plain and gzipped.
 *
 * usage: embed OUT.c FILE...    web/app/X is served as /app/X, web/beacon/X as /X. --squeeze FILE prints it as it is served.
 *
 * What other people's pages load, web/beacon/X.js, is squeezed: comments and spaces go, and the names that its comments list behind
 * "short:" become one letter each. They are the file's own variables and never names of fields. This is no parser of JavaScript: it
 * knows strings, regular expressions by what stands before them, and line ends that a statement may need; there are no templates. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const char *const types[][2] = {{".html", "text/html; charset=utf-8"},
                                       {".css", "text/css; charset=utf-8"},
                                       {".js", "text/javascript; charset=utf-8"},
                                       {".svg", "image/svg+xml"}};

static const char *type_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static void die(const char *what, const char *path)
{
    fprintf(stderr, "embed: %s '%s'\n", what, path);
    exit(1);
}

static unsigned char *read_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    size_t n = 0, cap = 1 << 20;
    unsigned char *p = calloc(cap, 1);
    if (!f || !p)
        die("cannot read", path);
    for (size_t got; (got = fread(p + n, 1, cap - n, f)) > 0;)
        if ((n += got) == cap)
            die("larger than 1 MiB:", path);
    fclose(f);
    *ret_n = n;
    return p;
}

/* ---- squeezing ---- */
struct squeeze {
    const char *p; /* the source; a NUL ends it */
    char *out;
    size_t n;
    char names[64][32]; /* to be short, and as which letter */
    char letters[64];
    int names_n;
};

static bool is_name(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$'; }
static bool is_one_of(const char *set, char c) { return c && strchr(set, c); }
static char last(const struct squeeze *q) { return q->n ? q->out[q->n - 1] : '\n'; }

/* Is there a name of one letter like this in the source? */
static bool letter_used(const char *source, char letter)
{
    for (const char *p = source; (p = strchr(p, letter)); p++)
        if (!is_name(p[1]) && (p == source || !is_name(p[-1])))
            return true;
    return false;
}

static void read_names(struct squeeze *q, const char *path)
{
    const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZbcdghijklmpquwxyz", *line = q->p;
    for (; (line = strstr(line, "// short:")); line += 9) {
        const char *p = line + 9;
        int n = 0;
        for (char name[32]; sscanf(p, "%*[ ]%31[A-Za-z_]%n", name, &n) == 1; p += n) {
            while (*letters && letter_used(q->p, *letters))
                letters++;
            if (!*letters || q->names_n == 64)
                die("too many short names in", path);
            strcpy(q->names[q->names_n], name);
            q->letters[q->names_n++] = *letters++;
        }
    }
}

static void put_name(struct squeeze *q)
{
    size_t n = strspn(q->p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$");
    bool field = (last(q) == '.' && q->out[q->n - 2] != '.') || /* but ...rest */
                 (is_one_of("{,", last(q)) && q->p[n] == ':');
    for (int i = 0; i < q->names_n && !field; i++)
        if (strlen(q->names[i]) == n && strncmp(q->names[i], q->p, n) == 0) {
            q->out[q->n++] = q->letters[i];
            q->p += n;
            return;
        }
    memcpy(q->out + q->n, q->p, n);
    q->n += n;
    q->p += n;
}

/* 'text' or /regex/, up to its end on the same line. */
static void put_quoted(struct squeeze *q, const char *path)
{
    char end = *q->p;
    bool class = false;
    do {
        class = end == '/' && (*q->p == '[' || (class && *q->p != ']'));
        if (*q->p == '\\')
            q->out[q->n++] = *q->p++;
        if (!*q->p || *q->p == '\n')
            die("a text or regular expression without end in", path);
        q->out[q->n++] = *q->p++;
    } while (*q->p != end || class);
    q->out[q->n++] = *q->p++;
}

/* Spaces, comments and line ends: nothing, or the one character that must stay. */
static void put_space(struct squeeze *q)
{
    bool newline = false;
    while (isspace((unsigned char)*q->p) || (q->p[0] == '/' && q->p[1] == '/'))
        if (*q->p == '/')
            q->p += strcspn(q->p, "\n");
        else
            newline |= *q->p++ == '\n';
    char before = last(q), after = *q->p;
    if (newline && !is_one_of("{([,;:?&|=>\n", before) && !is_one_of("})],.:?&|", after))
        q->out[q->n++] = '\n';
    else if ((is_name(before) && is_name(after)) || (is_one_of("+-", before) && before == after))
        q->out[q->n++] = ' ';
}

static unsigned char *squeeze(const unsigned char *source, size_t n, size_t *ret_n, const char *path)
{
    struct squeeze q = {.p = (const char *)source, .out = malloc(n + 1)};
    if (!q.out || strlen(q.p) != n || strchr(q.p, '`'))
        die("cannot squeeze", path);
    read_names(&q, path);
    while (*q.p)
        if (isspace((unsigned char)*q.p) || (q.p[0] == '/' && q.p[1] == '/'))
            put_space(&q);
        else if (is_name(*q.p))
            put_name(&q);
        else if (*q.p == '\'' || (*q.p == '/' && is_one_of("(,=:[!&|?{;>\n", last(&q))))
            put_quoted(&q, path);
        else
            q.out[q.n++] = *q.p++;
    *ret_n = q.n;
    return (unsigned char *)q.out;
}

static unsigned char *gzip(const unsigned char *p, size_t n, size_t *ret_n)
{
    z_stream z = {0};
    size_t cap = n + n / 100 + 1024;
    unsigned char *out = malloc(cap);
    if (!out || deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        die("cannot gzip", "");
    z.next_in = (unsigned char *)p;
    z.avail_in = (unsigned)n;
    z.next_out = out;
    z.avail_out = (unsigned)cap;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        die("cannot gzip", "");
    *ret_n = z.total_out;
    deflateEnd(&z);
    return out;
}

static void print_bytes(FILE *out, const char *name, int i, const unsigned char *p, size_t n)
{
    fprintf(out, "static const unsigned char %s%d[] = {", name, i);
    for (size_t k = 0; k < n; k++)
        fprintf(out, "%s%u,", k % 24 ? "" : "\n", p[k]);
    fprintf(out, "0};\n");
}

/* What may be heavy for nobody's page. */
static const struct {
    const char *name;
    size_t most;
} limits[] = {{"web/beacon/b.js", 2000}, {"web/beacon/vitals.js", 600}};

static unsigned char *load(const char *path, size_t *ret_n, unsigned char **ret_gz, size_t *ret_gz_n)
{
    unsigned char *p = read_file(path, ret_n);
    const char *dot = strrchr(path, '.');
    if (strncmp(path, "web/beacon/", 11) == 0 && dot && strcmp(dot, ".js") == 0) {
        unsigned char *whole = p;
        p = squeeze(whole, *ret_n, ret_n, path);
        free(whole);
    }
    *ret_gz = gzip(p, *ret_n, ret_gz_n);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (strcmp(path, limits[i].name) == 0 && *ret_gz_n > limits[i].most) {
            fprintf(stderr, "embed: %s is %zu bytes gzipped, expected at most %zu\n", path, *ret_gz_n, limits[i].most);
            exit(1);
        }
    return p;
}

int main(int argc, char **argv)
{
    size_t n, gz_n;
    unsigned char *gz;
    if (argc == 3 && strcmp(argv[1], "--squeeze") == 0) {
        unsigned char *p = load(argv[2], &n, &gz, &gz_n);
        return fwrite(p, 1, n, stdout) == n ? 0 : 1;
    }
    FILE *out = argc > 2 ? fopen(argv[1], "w") : NULL;
    if (!out)
        die("usage: embed OUT.c FILE..., cannot write", argc > 1 ? argv[1] : "");
    size_t *sizes = calloc((size_t)argc * 2, sizeof *sizes);
    unsigned long *sums = calloc((size_t)argc, sizeof *sums);
    fprintf(out, "#include \"web/files.h\"\n");
    for (int i = 2; i < argc; i++) {
        unsigned char *p = load(argv[i], &sizes[2 * i], &gz, &sizes[2 * i + 1]);
        sums[i] = crc32(adler32(1, p, (unsigned)sizes[2 * i]), p, (unsigned)sizes[2 * i]);
        print_bytes(out, "plain", i, p, sizes[2 * i]);
        print_bytes(out, "gz", i, gz, sizes[2 * i + 1]);
        free(p);
        free(gz);
    }
    fprintf(out, "const struct web_file web_files[] = {\n");
    for (int i = 2; i < argc; i++) {
        const char *path = argv[i] + strlen("web");
        if (strncmp(path, "/beacon", 7) == 0)
            path += 7;
        fprintf(out, "{\"%s\", \"%s\", \"\\\"%zx-%08lx\\\"\", plain%d, gz%d, %zu, %zu},\n", path, type_of(path),
                sizes[2 * i], sums[i], i, i, sizes[2 * i], sizes[2 * i + 1]);
    }
    fprintf(out, "};\nconst size_t web_files_n = %d;\n", argc - 2);
    return fclose(out) == 0 ? 0 : 1;
}
