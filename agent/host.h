/* agent/host.h - what a machine is doing, as events of the names that rules know.
 *
 *   type=host.metrics  host.cpu_pct host.load1 host.load5 host.load15 host.mem_total_bytes host.mem_available_pct
 *                      host.swap_used_pct host.files_open host.net_rx_bytes_s host.net_tx_bytes_s host.disk_read_bytes_s
 *                      host.disk_write_bytes_s host.oom_kills (since the last one) host.uptime_s
 *   type=host.disk     host.disk.mount host.disk.device host.disk.free_pct host.disk.free_bytes host.disk.free_inodes_pct,
 *                      an event for each file system on a device
 *   type=host.unit     unit host.unit_up (1, 0), an event for each unit of systemd that is asked for
 *
 * Rates and shares are those since the last sample; the first one has none. From /proc and statvfs.
 *
 * Owner   one thread. Time is passed in. */
#ifndef AGENT_HOST_H
#define AGENT_HOST_H

#include "base/buf.h"

struct host;
/* `units` are borrowed. */
struct host *host_new(char *const *units, size_t n);
void host_free(struct host *h); /* NULL is fine */
/* Appends whole JSON lines. */
void host_sample(struct host *h, usec now, struct buf *out);

#endif
