/* web/files.h - the web page and the browser reporter, embedded by the build (web/embed.c). Constant; any thread. */
#ifndef WEB_FILES_H
#define WEB_FILES_H

#include <stddef.h>

struct web_file {
    const char *path; /* "/app/app.js", "/b.js" */
    const char *type; /* content type */
    const char *etag; /* with its quotes */
    const unsigned char *bytes, *gz;
    size_t n, gz_n;
};
extern const struct web_file web_files[];
extern const size_t web_files_n;

#endif
