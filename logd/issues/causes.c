/* issues/causes.c - what caused an issue, as an issue: the innermost exception of a chain has a fingerprint of its own, that
 * of the issue it makes where it is not caught and wrapped. A row of `issue_cause` says which fingerprint, and its title,
 * since there may be no such issue. */
#include "base/hash.h"
#include "base/str.h"
#include "issues/learned.h"
#include "issues/private.h"

enum { CAUSES_MAX = 20 /* of an issue, the first ones */ };

int cause_note(struct issues *is, struct row *r, const struct fingerprint *cause, struct err *e)
{
    uint64_t hash = hash_str(str_of(cause->id)) | 1;
    if (hash == r->cause || strcmp(cause->id, r->id) == 0)
        return 0;
    sqlite3_stmt *st = db_stmt(is->db, "INSERT OR IGNORE INTO issue_cause(issue, cause, title) SELECT ?1, ?2, ?3"
                                       " WHERE (SELECT count(*) FROM issue_cause WHERE issue = ?1) < ?4");
    db_bind_str(st, 1, str_of(r->id));
    db_bind_str(st, 2, str_of(cause->id));
    db_bind_str(st, 3, str_of(cause->title));
    sqlite3_bind_int(st, 4, CAUSES_MAX);
    r->cause = hash;
    return db_run(is->db, st, e);
}

/* Rows of issues are one after people merged them, and under another id after the miner joined them. */
#define OF_GROUP "(c.issue = ?1 OR c.issue IN (SELECT id FROM issue WHERE merged_into = ?1))"
const char causes_of_issue[] =
    "SELECT DISTINCT coalesce(r.merged_into, r.id, c.cause), coalesce(r.title, c.title), r.id IS NOT NULL"
    " FROM issue_cause AS c LEFT JOIN issue AS r"
    " ON r.id = coalesce((SELECT into_id FROM issue_alias WHERE id = c.cause), c.cause)"
    " WHERE " OF_GROUP " AND coalesce(r.merged_into, r.id, c.cause) != ?1 LIMIT ?2";
const char issues_of_cause[] =
    "WITH mine(id) AS (SELECT ?1 UNION SELECT id FROM issue WHERE merged_into = ?1)"
    " SELECT DISTINCT root.id, root.title, 1 FROM issue_cause AS c JOIN issue AS r ON r.id = c.issue"
    " JOIN issue AS root ON root.id = coalesce(r.merged_into, r.id)"
    " WHERE (c.cause IN mine OR c.cause IN (SELECT id FROM issue_alias WHERE into_id IN mine)) AND root.id != ?1 LIMIT ?2";
const char issues_of_same_cause[] =
    "SELECT DISTINCT root.id, root.title, 1 FROM issue_cause AS c JOIN issue_cause AS o ON o.cause = c.cause"
    " JOIN issue AS r ON r.id = o.issue JOIN issue AS root ON root.id = coalesce(r.merged_into, r.id)"
    " WHERE " OF_GROUP " AND root.id != ?1 LIMIT ?2";
