/* SPDX-License-Identifier: BSD-3-Clause */
/* An image within the library: opened by image.c, decoded by blocks.c. */
#ifndef PHENOSCALE_IMAGE_H
#define PHENOSCALE_IMAGE_H

#include "pages.h"
#include "phenoscale.h"
#include "samples.h"

struct ps_image {
    ps_image_info info;
    ps_pages file;
    struct tiff *tiff;
    const ps_samples *kind;
    int bits;                 /* of a sample, as the file has it */
    int64_t block_w, block_h; /* a block is a tile, or a strip of whole rows */
    int64_t per_pixel;        /* samples of a pixel in a block: 1 when planar */
    int64_t row_bytes;        /* of a block */
    uint16_t codec;
    int is_tiled, is_mapped, is_guessed, is_estimated; /* by a palette; lengths */
    unsigned char map[256];
    char complaint[200]; /* libtiff's last, of the current call */
    char path[];
};

/* The status of what failed, its sentence with the file's name; that of the disk goes before. */
int ps_image_fault(const ps_image *self, int status);

#endif
