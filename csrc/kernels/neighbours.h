/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of planes and their neighbours, for the measures of a field: patterns, grains, focus, blur.
 * As in planes.h, the same bits everywhere. */
#ifndef PHENOSCALE_NEIGHBOURS_H
#define PHENOSCALE_NEIGHBOURS_H

#include "planes.h"

/* ---- local binary patterns ----------------------------------------------------------------- */

#define PATTERNS 10
#define PATTERN_RUN 1024 /* pixels at a time: at most 127 of the shortest vectors of bytes */

typedef int8_t bytes __attribute__((vector_size(4 * VEC_LANES), aligned(1), may_alias));

/* Adds how many bytes are of each bin; the bytes after them, up to 64, are overwritten. */
static void
count_bins(int64_t n, int8_t *bins, int64_t *count)
{
    bytes found[PATTERNS] = {{0}};

    for (int64_t x = n; x % 64; x++)
        bins[x] = PATTERNS;
    for (int64_t x = 0; x < n; x += sizeof(bytes)) {
        bytes these = *(const bytes *)(bins + x);
        UNROLL for (int bin = 0; bin < PATTERNS; bin++)
            found[bin] -= these == (int8_t)bin;
    }
    for (int bin = 0; bin < PATTERNS; bin++)
        for (size_t k = 0; k < sizeof(bytes); k++)
            count[bin] += found[bin][k];
}

/* Of pixels 1 .. n - 2 of the middle row: which of the eight neighbours are at least as bright, a
 * circle of bits.  With two changes around the circle or none, bin k has those of k bright
 * neighbours; the last bin has all others. */
#define PATTERN_ROW(SUFFIX, TYPE, WORD)                                                           \
    typedef TYPE SUFFIX##_vec __attribute__((vector_size(4 * VEC_LANES), aligned(1), may_alias)); \
    typedef WORD SUFFIX##_is __attribute__((vector_size(4 * VEC_LANES), aligned(1), may_alias));  \
    enum { SUFFIX##_LANES = sizeof(SUFFIX##_vec) / sizeof(TYPE) };                                \
                                                                                                  \
    /* Kinds of as many pixels as a vector holds. */                                              \
    INLINE void                                                                                   \
    kinds_of_##SUFFIX(const TYPE *u, const TYPE *m, const TYPE *d, int8_t *bins)                  \
    {                                                                                             \
        typedef int8_t few __attribute__((vector_size(SUFFIX##_LANES), aligned(1), may_alias));   \
        const TYPE *around[8] = {u - 1, u, u + 1, m + 1, d + 1, d, d - 1, m - 1};                 \
        SUFFIX##_vec middle = *(const SUFFIX##_vec *)m;                                           \
        SUFFIX##_is last = *(const SUFFIX##_vec *)around[7] >= middle, sum = {0}, turns = {0};    \
        UNROLL for (int k = 0; k < 8; k++) {                                                      \
            SUFFIX##_is is = *(const SUFFIX##_vec *)around[k] >= middle;                          \
            sum -= is;                                                                            \
            turns -= is ^ last;                                                                   \
            last = is;                                                                            \
        }                                                                                         \
        SUFFIX##_is other = turns > 2, kind = (~other & sum) | (other & (PATTERNS - 1));          \
        *(few *)bins = __builtin_convertvector(kind, few);                                        \
    }                                                                                             \
                                                                                                  \
    static void plane_patterns_##SUFFIX(int64_t n, const void *above, const void *middle,         \
                                        const void *below, int64_t *count)                        \
    {                                                                                             \
        const TYPE *u = above, *m = middle, *d = below;                                           \
        int8_t bins[PATTERN_RUN + 64];                                                            \
        for (int64_t from = 1; from < n - 1; from += PATTERN_RUN) {                               \
            int64_t end = from + PATTERN_RUN < n - 1 ? from + PATTERN_RUN : n - 1, x = from;      \
            for (; x + SUFFIX##_LANES <= end; x += SUFFIX##_LANES)                                \
                kinds_of_##SUFFIX(u + x, m + x, d + x, bins + x - from);                          \
            if (x < end) { /* the rest of the row, and what is beside it */                       \
                TYPE rest[3][SUFFIX##_LANES + 2] = {{0}};                                         \
                size_t held = (size_t)(end - x + 2) * sizeof(TYPE);                              \
                __builtin_memcpy(rest[0], u + x - 1, held);                                       \
                __builtin_memcpy(rest[1], m + x - 1, held);                                       \
                __builtin_memcpy(rest[2], d + x - 1, held);                                       \
                kinds_of_##SUFFIX(rest[0] + 1, rest[1] + 1, rest[2] + 1, bins + x - from);        \
            }                                                                                     \
            count_bins(end - from, bins, count);                                                  \
        }                                                                                         \
    }
PATTERN_ROW(levels, uint16_t, int16_t)
PATTERN_ROW(floats, float, int32_t)

/* ---- grains --------------------------------------------------------------------------------- */

typedef float sizes __attribute__((vector_size(4 * PS_SIZES), aligned(4), may_alias));
typedef int32_t sizes_bits __attribute__((vector_size(4 * PS_SIZES), aligned(4), may_alias));
#if VEC_LANES >= 8
#define LARGER(a, b) (sizes)_mm256_max_ps(a, b)
#define SMALLER(a, b) (sizes)_mm256_min_ps(a, b)
#else
#define CHOOSE(is, a, b) (sizes)(((is) & (sizes_bits)(a)) | (~(is) & (sizes_bits)(b)))
#define LARGER(a, b) CHOOSE((a) > (b), a, b)
#define SMALLER(a, b) CHOOSE((a) < (b), a, b)
#endif

/* Where some rows stand that rise together, each a pixel behind the one before it. */
typedef struct {
    int64_t w, step;
    const float *most, *beside;
    float *row;
    sizes before[PS_RISING];     /* what each row's last pixel became */
    sizes_bits risen[PS_RISING];
} rising;

/* Row k at its pixel number i - k. */
INLINE void
rise_pixel(rising *self, int k, int64_t i)
{
    int64_t x = self->step > 0 ? i - k : self->w - 1 - (i - k), row = k * self->step * self->w;
    sizes *at = (sizes *)(self->row + (row + x) * PS_SIZES), own = *at;
    sizes near = k ? self->before[k - 1] : *(const sizes *)(self->beside + x * PS_SIZES);
    sizes top = self->most[row + x] - (sizes){0};

    near = LARGER(own, near);
    near = LARGER(near, self->before[k]); /* the next pixel waits from here on only */
    *at = self->before[k] = SMALLER(near, top);
    self->risen[k] |= (sizes_bits)*at ^ (sizes_bits)own;
}

INLINE int
rise(const int rows, int64_t w, int64_t step, const float *most, const float *beside, float *row)
{
    rising self = {.w = w, .step = step, .most = most, .beside = beside, .row = row};
    int64_t full = w > rows - 1 ? w : rows - 1;
    int any = 0;

    for (int64_t i = 0; i < w + rows - 1; i++)
        if (i >= rows - 1 && i < full) {
            UNROLL for (int k = rows - 1; k >= 0; k--) /* before[k - 1] is of the step before */
                rise_pixel(&self, k, i);
        } else {
            for (int k = rows - 1; k >= 0; k--)
                if (i - k >= 0 && i - k < w)
                    rise_pixel(&self, k, i);
        }
    for (int k = 0; k < rows; k++)
        for (int size = 0; size < PS_SIZES; size++)
            any |= (self.risen[k][size] != 0) << k;
    return any;
}

/* Rows of all sizes, (w, PS_SIZES), in the order of `step`: each pixel rises to that in the row
 * before, the first row's to `beside`, and to the pixel before, but not over `most` (w). */
static int
plane_rise(int rows, int64_t w, int64_t step, const float *most, const float *beside, float *row)
{
    return rows == PS_RISING ? rise(PS_RISING, w, step, most, beside, row)
                             : rise(1, w, step, most, beside, row);
}

/* A row eroded by a cross: the least of a pixel, its neighbours, and those above and below. */
static void
plane_erode(int64_t n, const float *above, const float *row, const float *below, float *out)
{
    float *restrict to = out;

    for (int64_t x = 0; x < n; x++) {
        float least = above[x] < below[x] ? above[x] : below[x];
        to[x] = least < row[x] ? least : row[x];
    }
    for (int64_t x = 1; x < n; x++)
        to[x] = row[x - 1] < to[x] ? row[x - 1] : to[x];
    for (int64_t x = 0; x + 1 < n; x++)
        to[x] = row[x + 1] < to[x] ? row[x + 1] : to[x];
}

/* ---- focus ---------------------------------------------------------------------------------- */

/* Sum of squares of four times a pixel less its neighbours, pixels 1 .. n - 2 of the middle row. */
static double
plane_laplacian(int64_t n, const uint16_t *up, const uint16_t *at, const uint16_t *down)
{
    enum { N = 2048 };
    float value[N];
    double sum = 0;

    for (int64_t from = 1; from < n - 1; from += N) {
        int64_t count = n - 1 - from < N ? n - 1 - from : N;
        for (int64_t i = 0; i < count; i++) {
            const uint16_t *m = at + from + i;
            value[i] = (float)(4 * m[0] - m[-1] - m[1] - up[from + i] - down[from + i]);
        }
        sum += plane_dot(count, value, value);
    }
    return sum;
}

/* ---- blur ----------------------------------------------------------------------------------- */

/* out[x] = taps[0] in[0][x] + sum over i of taps[i] (in[-i][x] + in[i][x]), in the order of i; rows
 * by pointer. */
static void
plane_blur(int64_t n, int64_t reach, const float *taps, const float *const *in, float *out)
{
    int64_t x = 0;

    for (; x + VEC_LANES <= n; x += VEC_LANES) {
        vec sum = taps[0] * v_load(in[0] + x);
        for (int64_t i = 1; i <= reach; i++)
            sum += taps[i] * (v_load(in[-i] + x) + v_load(in[i] + x));
        v_store(out + x, sum);
    }
    for (; x < n; x++) {
        float sum = taps[0] * in[0][x];
        for (int64_t i = 1; i <= reach; i++)
            sum += taps[i] * (in[-i][x] + in[i][x]);
        out[x] = sum;
    }
}
#endif
