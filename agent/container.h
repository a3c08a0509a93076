/* agent/container.h - whose log a file is, when a container's.
 *
 *   /var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log                   Kubernetes, by its runtime (CRI)
 *   /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log                the same, by links
 *   /var/lib/docker/containers/ID/ID-json.log                         docker: the name stands in config.v2.json beside it
 *
 * Owner   one thread. It remembers the last path, and looks again after some seconds: containers are renamed. */
#ifndef AGENT_CONTAINER_H
#define AGENT_CONTAINER_H

#include "base/buf.h"
#include "base/str.h"

struct container { /* views are of `path` and `texts`; absent: not known */
    str name, image, pod, namespace;
    char path[PATH_MAX];
    struct buf texts;
    usec looked;
};
void container_init(struct container *c);
void container_done(struct container *c);
void container_look(struct container *c, const char *path, usec now);

#endif
