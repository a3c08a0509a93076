/* routes/resources.h - the handlers that routes.c lists, by file. What they answer stands in the contract. */
#ifndef ROUTES_RESOURCES_H
#define ROUTES_RESOURCES_H

#include "routes/http.h"

/* events.c */
void post_events(struct request *r);
void any_heartbeat(struct request *r); /* heartbeat.c */
/* agents.c */
void post_agents(struct request *r);
void get_agents(struct request *r);
void agents_metrics(struct buf *b);
/* beacon.c */
void post_beacon(struct request *r);
void post_reports(struct request *r);
/* query.c */
void get_query(struct request *r);
void get_tail(struct request *r);
void get_histogram(struct request *r);
void get_facets(struct request *r);
void get_fields(struct request *r);
void get_event(struct request *r);
void get_event_context(struct request *r);
/* issues.c */
void get_issues(struct request *r);
void get_issue(struct request *r);
void patch_issue(struct request *r);
void patch_issues(struct request *r);
void post_issue_comment(struct request *r);
void post_issues_merge(struct request *r);
void post_issue_split(struct request *r);
/* regroup.c */
void get_issues_regroup(struct request *r);
void post_issues_regroup(struct request *r);
/* alerts.c */
void get_incidents(struct request *r);
void get_incident(struct request *r);
void post_incident(struct request *r);
void get_silences(struct request *r);
void post_silence(struct request *r);
void delete_silence(struct request *r);
void get_rules(struct request *r);
void post_bounce(struct request *r); /* bounces.c */
/* rules.c */
void get_rule(struct request *r);
void put_rule(struct request *r);
void delete_rule(struct request *r);
/* links.c */
void get_link(struct request *r);
void post_link(struct request *r);
void get_fewer(struct request *r);
void post_fewer(struct request *r);
/* stats.c */
void post_stats(struct request *r);
void get_stats_names(struct request *r);
void get_stats(struct request *r);
struct stats_query;
void stats_answer(struct request *r, struct stats_query *q); /* by, from and to are the request's */
/* shares.c */
void post_share(struct request *r);
void get_shares(struct request *r);
void delete_share(struct request *r);
void get_shared(struct request *r);
void get_shared_stat(struct request *r);
char *url_of(struct request *r); /* admin.c: as people reach us */
/* ops.c */
void get_archive(struct request *r);
void post_archive_ship(struct request *r);
void post_archive_verify(struct request *r);
void post_mail_test(struct request *r);
void post_debug_seal(struct request *r);
void post_debug_clock(struct request *r);

/* maps.c */
void post_maps(struct request *r);
void get_maps(struct request *r);
void delete_maps(struct request *r);
/* sentry.c */
void post_sentry_envelope(struct request *r);
void post_sentry_store(struct request *r);

/* sentry-maps.c */
void get_chunk_upload(struct request *r);
void post_chunk_upload(struct request *r);
void post_assemble(struct request *r);
void put_release(struct request *r);

/* static.c */
void get_page(struct request *r);
void get_file(struct request *r);
void get_reporter(struct request *r);
/* state.c */
void get_health(struct request *r);
void get_metrics(struct request *r);
void stats_metrics(struct request *r); /* adds to get_metrics' answer */
void metrics_as_open(struct buf *b);   /* Prometheus' text becomes OpenMetrics */
void get_status(struct request *r);

/* admin.c */
void get_apps(struct request *r);
void post_app(struct request *r);
void delete_app(struct request *r);
void get_keys(struct request *r);
void post_key(struct request *r);
void delete_key(struct request *r);
void get_users(struct request *r);
void post_user(struct request *r);
void post_user_password(struct request *r);
void delete_user(struct request *r);

/* login.c */
void post_login(struct request *r);
void post_logout(struct request *r);
void get_me(struct request *r);
void post_my_password(struct request *r);
void post_first(struct request *r);

#endif
