/* SPDX-License-Identifier: BSD-3-Clause */
/* Compressions of TIFF files: see codecs.c. */
#ifndef PHENOSCALE_CODECS_H
#define PHENOSCALE_CODECS_H

#include "phenoscale.h"

/* expansion: most decoded bytes a byte of file may stand for; 0: known by name, not read */
typedef struct {
    uint16_t code;
    const char *name;
    int64_t expansion;
} ps_codec;

const ps_codec *ps_codec_find(uint16_t code); /* one of no expansion where it is unknown */
/* Whether `bytes` of file may stand for an image of samples of so many bits. */
int ps_codec_check(const ps_codec *self, const ps_image_info *info, int bits, int64_t bytes);

#endif
