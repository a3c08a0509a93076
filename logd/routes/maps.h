/* routes/maps.h - what the two ways of uploading source maps share. */
#ifndef ROUTES_MAPS_H
#define ROUTES_MAPS_H

#include "routes/http.h"

/* The app whose maps r may change; 0: refused, the reply is set. */
uint32_t maps_app(struct request *r);
struct bundle_put {
    size_t taken, refused;
    struct buf maps, errors; /* JSON objects with commas between */
    char first[500];         /* the first refusal: "PATH: why" */
};
/* Every map of the bundle. -1: it is none, or holds no map. bundle_put_done in any case. */
int bundle_put(struct request *r, uint32_t app, str release, str bytes, struct bundle_put *ret,
               struct err *e) MUST_CHECK;
void bundle_put_done(struct bundle_put *p);

#endif
