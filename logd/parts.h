/* parts.h - the parts of one running server, as main.c introduces them to each other.
 *
 * Pointers are set before the threads start and stay until they have stopped; `config` is swapped whole on SIGHUP and
 * old ones are kept until exit, so a reader never holds a freed one. */
#ifndef PARTS_H
#define PARTS_H

#include "base/config.h"
#include <stdatomic.h>

struct parts {
    const struct config *_Atomic config;
    struct auth *auth;
    struct journal *journal;
    struct store *store;
    struct fold *fold;       /* NULL in an offline command */
    struct archive *archive; /* NULL: not configured */
    struct mailer *mailer;   /* NULL: not configured */
    struct statsd *statsd;   /* NULL: not configured */
    struct tail *tail;
    struct secrets *secrets;   /* of unique counts; NULL in an offline command */
    const char *fold_unshared; /* SQL that makes a copy of fold.db fit to leave the machine */
    struct maps *maps;         /* source maps */
    struct http *http;
    char *_Atomic url;       /* as people reach it; set once, when the port is known */
    _Atomic usec last_stamp; /* batch_stamp */
    uint8_t id_key[16];      /* of event_id hashes */
    usec started;            /* clock_now() */
    _Atomic bool stopping;
    bool test_clock; /* --test-clock: POST /debug/clock moves time */
    char fatal[400]; /* why the server stops, "" while it does not */
};

#endif
