/* `logd-agent test FILE`: what each line would become, without a server. */
#include "agent/run.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

#include <fnmatch.h>
#include <unistd.h>

#define FILE_MAX (256u << 20)

static const struct source_config *source_of(const struct agent_config *c, const char *file)
{
    for (size_t i = 0; i < c->sources_n; i++)
        for (size_t k = 0; k < c->sources[i].files_n; k++)
            if (strcmp(c->sources[i].files[k], file) == 0 ||
                fnmatch(c->sources[i].files[k], file, FNM_PATHNAME | FNM_PERIOD) == 0)
                return &c->sources[i];
    return NULL;
}

static void print_events(struct shaper *s, const char *file, struct buf *out)
{
    uint32_t lines;
    buf_reset(out);
    while (shaper_event(s, file, clock_now(), out, &lines))
        if (out->n) {
            fwrite(out->p, 1, out->n, stdout);
            buf_reset(out);
        }
}

int run_test(const struct agent_config *c, const char *file, struct err *e)
{
    char host[256] = "localhost";
    struct buf text = BUF_INIT(FILE_MAX), out = BUF_INIT(8u << 20);
    const struct source_config *source = source_of(c, file);
    struct shaper *s = NULL;
    int rc = source ? file_read(file, FILE_MAX, &text, e)
                    : err_set(e, ERR_INPUT, "'%s': no source of the config names it", file);
    if (rc == 0) {
        (void)gethostname(host, sizeof host - 1);
        struct shape shape = source->shape;
        shape.host = host;
        s = shaper_new(&shape, e);
        rc = s ? 0 : -1;
    }
    str rest = rc == 0 ? buf_view(&text) : (str){NULL, 0};
    enum text_width w = s ? shaper_width(s, rest) : TEXT_BYTES;
    while (rest.n) {
        uint64_t at = (uint64_t)(rest.p - text.p);
        ptrdiff_t end = text_end(w, rest);
        str line = end < 0 ? rest : str_head(rest, (size_t)end);
        rest = str_skip(rest, end < 0 ? rest.n : (size_t)end + text_unit(w));
        bool cut = line.n > JOIN_BYTES;
        shaper_line(s, shaper_text(s, w, str_head(line, JOIN_BYTES)), at, cut);
        print_events(s, file, &out);
    }
    if (s) {
        shaper_end(s);
        print_events(s, file, &out);
    }
    shaper_free(s);
    buf_done(&text);
    buf_done(&out);
    return rc;
}
