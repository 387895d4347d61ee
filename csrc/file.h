/* SPDX-License-Identifier: BSD-3-Clause */
/* A file that is read: see file.c. */
#ifndef PHENOSCALE_FILE_H
#define PHENOSCALE_FILE_H

#include <stdint.h>
#include <time.h>

typedef struct {
    const char *path; /* borrowed */
    int fd, is_open;
    int fault;      /* errno of a read that failed to the last; 0: none has */
    int is_cut;     /* it has fewer bytes than when it was opened */
    int64_t bytes;
    int64_t at;     /* for those who read on from where they are */
    struct timespec changed;
} ps_file;

/* Into a *self that is all zero. */
int ps_file_open(ps_file *self, const char *path);
/* Bytes read, fewer where the file ends or does not let itself be read: then fault is set. */
int64_t ps_file_read(ps_file *self, int64_t at, int64_t n, void *bytes);
/* The status of what failed: that of the disk where a read has failed, with its own sentence. */
int ps_file_blame(const ps_file *self, int status);
void ps_file_close(ps_file *self);

#endif
