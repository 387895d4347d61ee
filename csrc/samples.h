/* SPDX-License-Identifier: BSD-3-Clause */
/* What the numbers of a TIFF may be: see samples.c. */
#ifndef PHENOSCALE_SAMPLES_H
#define PHENOSCALE_SAMPLES_H

#include "phenoscale.h"

/* One kind of sample. */
typedef struct {
    int format, first_bits, last_bits; /* SampleFormat and BitsPerSample of the file */
    const char *native;                /* the type that holds it exactly, by NumPy's name, */
    int bytes;                         /* and its size */
    ps_dtype dtype;                    /* the library's type for it; rounded where it must be */
    /* as ps_samples_take; NULL: they lie there as such */
    void (*unpack)(const unsigned char *row, int bits, int64_t first, int64_t stride, int64_t n,
                   void *native);
    void (*to_float)(int64_t n, const void *native, float *out);
} ps_samples;

const ps_samples *ps_samples_find(int format, int bits); /* NULL: not read */
const char *ps_samples_format(int format);               /* in words */

/* n samples of a row of a block, every stride-th from `first` on -> native ones side by side. */
void ps_samples_take(const ps_samples *self, int bits, int64_t first, int64_t stride, int64_t n,
                     const unsigned char *row, unsigned char *native);
/* Of a palette that is a linear gray ramp, the gray of each of its 2^bits indices; else 0. */
int ps_samples_gray_map(int bits, const uint16_t *red, const uint16_t *green,
                        const uint16_t *blue, unsigned char *map);
/* n native samples at the end of n `wide` ones -> these, from the start of the same memory on;
 * native samples that are wider than `wide` lie elsewhere. */
void ps_samples_widen(const ps_samples *self, ps_dtype wide, int64_t n, const void *native,
                      void *pixels);
/* Whether signed samples are counts of `dtype`, of their own width, where none is negative. */
int ps_samples_narrow(const ps_samples *self, ps_dtype dtype);
int ps_samples_check_counts(const ps_samples *self, int64_t n, const void *native);
/* Of n native samples, those that are no finite 32-bit number. */
int64_t ps_samples_not_finite(const ps_samples *self, int64_t n, const void *native);

#endif
