/* agent/config.h - what the agent is told: a YAML file, and the command line, which wins.
 *
 *   servers: [https://logs.example.com]
 *   key: {file: /etc/logd-agent/key}       or {env: NAME}, or the key itself
 *   state: /var/lib/logd-agent
 *   tls: {ca: F, cert: F, key: F}          the server's authority; our own certificate
 *   proxy: http://proxy.example:3128       or socks5h://; without it what the environment says
 *   rate: 1MiB                             bytes a second at most, before they are compressed
 *   spool: 256MiB                          what each input that is no file may leave waiting on disk
 *   host: {every: 10s, units: [nginx.service]}     metrics of the machine, which units run
 *   syslog: /run/logd-agent/log            a socket for syslog(3)
 *   journald: {units: [nginx.service], since: 1d, directory: /var/log/journal}     or true
 *   exec: [{name: queue, command: mailq -q, every: 1m}]    lines that a command prints
 *   alarm: {to: ops@example.com, after: 10m}       a mail when no server takes anything; smtp: from:
 *   sources:
 *   - files: [/var/log/nginx/access.log]   patterns
 *     format: access                       auto
 *     pattern: '(?<ip>\S+) (?<message>.*)'     fields by a regular expression
 *     encoding: utf-16                     or windows-1252, ...; UTF-8, and UTF-16 with a mark at its start
 *     join: none                           auto; or `starts:` or `goes_on:` with a regular expression
 *     timezone: Europe/Amsterdam           of times that name none; that of the machine
 *     add: {env: prod}                     fields, where a line has none of that name
 *     rename: {remote_addr: ip}
 *     keep: level >= warn                  the filter language; what does not match is left out
 *     drop: http.path:/healthz             what matches is left out
 *     sample: 10                           of what is below warn one of so many is sent
 *
 * An unknown key is an error with file, line, column and the nearest known name.
 *
 * Owner   whoever loaded it; immutable. */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include "agent/journald.h"
#include "agent/shape.h"

struct source_config {
    char **files; /* patterns */
    size_t files_n;
    struct shape shape; /* its pattern and zone belong to the config; host is left NULL */
    char *pattern, *input, *encoding;
    struct zone *zone;
};
struct exec_config {
    char *name, *command;
    usec every, timeout; /* 1 min, 1 min */
};
struct agent_config {
    char **servers;
    size_t servers_n;
    char *key, *state;             /* NULL: not given */
    char *ca, *tls_cert, *tls_key; /* files; NULL: not given */
    char *proxy;                   /* NULL: what the environment says */
    uint64_t rate;                 /* bytes a second, 0: as fast as it goes */
    uint64_t spool;                /* bytes, of each input; 256 MiB */
    bool standard_input;           /* read it too */
    usec host_every;               /* 0: no metrics */
    char **host_units;
    size_t host_units_n;
    char *syslog; /* path of the socket; NULL: none */
    struct journald_config journald;
    struct exec_config *execs;
    size_t execs_n;
    struct {
        char **to;
        size_t to_n; /* 0: no mail */
        char *smtp;  /* smtp://127.0.0.1:25 */
        char *from;  /* NULL: logd-agent@ this host */
        usec after;  /* 10 min */
    } alarm;
    struct source_config *sources;
    size_t sources_n;
};
/* `file` NULL: nothing was said. ERR_INPUT "FILE:LINE:COLUMN: …". */
int agent_config_load(const char *file, struct agent_config **ret, struct err *e) MUST_CHECK;
/* One more source of those files, of the machine's zone, with all else as it comes; valid until the next is added. */
struct source_config *agent_config_add(struct agent_config *c, char *const *files, size_t n);
void agent_config_free(struct agent_config *c); /* NULL is fine */

#endif
