/* base/limits.h - every ceiling in one table. What the contract makes configurable starts from here. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#define LIMIT_BODY (32u << 20)      /* bytes of a request as sent */
#define LIMIT_DECODED (64u << 20)   /* bytes after Content-Encoding */
#define LIMIT_EVENT (1u << 20)      /* bytes of one event as sent, and as stored */
#define LIMIT_FIELDS 1000u          /* fields of one event after flattening */
#define LIMIT_DEPTH 32u             /* nesting of one event */
#define LIMIT_EVENTS 100000u        /* events of one request */
#define LIMIT_ERRORS 100u           /* errors told in one reply */
#define LIMIT_NAME 256u             /* bytes of a field name after flattening */
#define LIMIT_EVENT_ID 256u         /* bytes of event_id */
#define LIMIT_APP 64u               /* bytes of an app's name */
#define LIMIT_QUERY 8192u           /* bytes of a query's text */
#define LIMIT_QUERY_NODES 1000u     /* nodes of a parsed filter */
#define LIMIT_QUERY_DEPTH 64u       /* open groups and negations */
#define LIMIT_REGEX 1000u           /* bytes of a regular expression */
#define LIMIT_GROUPS 100000u        /* groups of one count */
#define LIMIT_RESULT (64u << 20)    /* bytes one query may hold */
#define LIMIT_UNIQ_EXACT 4096u      /* different values of one `uniq` that are told apart; past it: a sketch */
#define LIMIT_TAIL (2u << 20)       /* bytes that wait for one who follows a tail; an event and its frame fit */
#define LIMIT_TAIL_WAIT (32u << 20) /* bytes of accepted events that wait for the thread of the tail */
#define LIMIT_STREAM (1u << 20)     /* bytes of a streamed answer that wait for its reader */
#define LIMIT_TAILS 200u            /* that follow at once */
#define LIMIT_CONTEXT 1000u         /* events before and after a hit of `context` */
#define LIMIT_CONTEXT_HITS 1000u    /* hits that one `context` looks around */
#define LIMIT_IDEMPOTENCY_KEY 256u  /* bytes of an Idempotency-Key */
#define LIMIT_INFLIGHT (192u << 20) /* bytes of all requests between first byte and answer */
#define LIMIT_ANSWERS (128u << 20)  /* bytes of answers that wait for slow readers, before queries are refused */
#define LIMIT_UNSYNCED (64u << 20)  /* bytes that wait for the journal's sync */
#define LIMIT_BEACON (64u << 10)    /* body of POST /b */
#define LIMIT_API (1u << 20)        /* body of any other POST, PATCH, PUT */
#define LIMIT_CONNECTIONS 12000u
#define LIMIT_CONNECTIONS_PER_IP 11000u /* loopback tests hold 10,000 */

#define JOURNAL_FILE_BYTES (64u << 20)
#define DISK_RESERVE (64ull << 20) /* below this much free space writes are refused */

#endif
