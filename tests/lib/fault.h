/* tests/lib/fault.h - one call of a recording made by fault.c: this, then the name, then the data. */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

#include <stdint.h>

enum {
    FAULT_OPEN,     /* name: absolute path; flags as given */
    FAULT_WRITE,    /* data at offset */
    FAULT_SYNC,     /* of a file or a folder */
    FAULT_TRUNCATE, /* to offset bytes */
    FAULT_RENAME,   /* name to data */
    FAULT_UNLINK,   /* name */
    FAULT_READ,     /* recorded when it was told to fail */
    FAULT_CLOSE,
    FAULT_OUTPUT, /* data written to standard output */
    FAULT_OPS
};
struct fault_op {
    uint8_t op, failed, hit, zero; /* failed: it said no; hit: because it was told to, or took half */
    int32_t fd;
    uint32_t flags, name_n;
    uint64_t offset, size; /* size: bytes of data */
};

#endif
