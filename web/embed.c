/* web/embed.c - a tool of the build: files of web/ as C, plain and gzipped.
 *
 * usage: embed OUT.c FILE...    web/app/X is served as /app/X, web/beacon/X as /X. */
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
    unsigned char *p = malloc(cap);
    if (!f || !p)
        die("cannot read", path);
    for (size_t got; (got = fread(p + n, 1, cap - n, f)) > 0;)
        if ((n += got) == cap)
            die("larger than 1 MiB:", path);
    fclose(f);
    *ret_n = n;
    return p;
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

int main(int argc, char **argv)
{
    FILE *out = argc > 2 ? fopen(argv[1], "w") : NULL;
    if (!out)
        die("usage: embed OUT.c FILE..., cannot write", argc > 1 ? argv[1] : "");
    size_t *sizes = calloc((size_t)argc * 2, sizeof *sizes);
    unsigned long *sums = calloc((size_t)argc, sizeof *sums);
    fprintf(out, "#include \"web/files.h\"\n");
    for (int i = 2; i < argc; i++) {
        unsigned char *p = read_file(argv[i], &sizes[2 * i]), *gz = gzip(p, sizes[2 * i], &sizes[2 * i + 1]);
        sums[i] = crc32(adler32(1, p, (unsigned)sizes[2 * i]), p, (unsigned)sizes[2 * i]);
        if (strstr(argv[i], "beacon/b.js") && sizes[2 * i + 1] > 2000)
            die("over 2,000 bytes gzipped:", argv[i]);
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
