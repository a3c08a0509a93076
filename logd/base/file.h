/* base/file.h - files and folders with errors that name them. Any thread. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

int write_all(int fd, str s) MUST_CHECK;                                                /* errno on -1 */
int pread_all(int fd, void *p, size_t n, uint64_t offset, size_t *ret_n) MUST_CHECK;    /* short only at EOF */
int file_read(const char *path, size_t max, struct buf *out, struct err *e) MUST_CHECK; /* adds to out */
/* All or nothing under a crash: tmp, write, fsync, rename, fsync of the folder. */
int file_replace(int dirfd, const char *name, str body, mode_t mode, struct err *e) MUST_CHECK;
int dir_make(const char *path, struct err *e) MUST_CHECK; /* with parents, 0750; there already is fine */
int dir_sync(const char *path, struct err *e) MUST_CHECK;
int dir_open(const char *path, struct err *e) MUST_CHECK; /* O_DIRECTORY fd, or -1 */
int disk_free(const char *path, uint64_t *ret_free, uint64_t *ret_total, struct err *e) MUST_CHECK;
/* Names in the folder (not . and ..) in byte order, malloc'ed array of malloc'ed names. */
int dir_list(const char *path, char ***ret_names, size_t *ret_n, struct err *e) MUST_CHECK;
void dir_list_free(char **names, size_t n);
/* Takes the advisory lock of the file, creating it; the fd holds it. -1 with ERR_FULL when another process has it. */
int file_lock(const char *path, struct err *e) MUST_CHECK;

struct sockaddr_un;
/* The address of a Unix socket, however long its path: a long one leads through its folder's descriptor, *ret_fd, which
 * stays open as long as the address is used (-1: none was needed). */
int unix_address(const char *path, struct sockaddr_un *ret, int *ret_fd, struct err *e) MUST_CHECK;

#endif
