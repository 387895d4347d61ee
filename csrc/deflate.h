/* SPDX-License-Identifier: BSD-3-Clause */
/* The checksum of strips and tiles of Deflate: see deflate.c. */
#ifndef PHENOSCALE_DEFLATE_H
#define PHENOSCALE_DEFLATE_H

#include "file.h"

/* A block in its file, and decoded. */
typedef struct {
    uint64_t at, bytes;  /* in the file */
    int is_mirrored;     /* the bits of each byte: FillOrder 2 */
    uint64_t predictor;  /* 1 or 0: none; 2: differences of samples; 3: of bytes of floats */
    int is_swapped;      /* the bytes of each sample, where they are not packed */
    int bits;            /* of a sample */
    int64_t per_pixel;   /* samples */
    int64_t row_bytes, rows;
    int64_t block_rows; /* of a whole block: some writers fill up the last */
    const unsigned char *pixels; /* decoded: (rows, row_bytes) */
} ps_deflated;

/* PS_BAD_IMAGE unless the block has the checksum of what it was made of. */
int ps_deflate_check(const ps_deflated *self, ps_file *file);

#endif
