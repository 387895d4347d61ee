/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of planes, for the measures of a field.  Sums have sixteen parts, whatever the instruction
 * set, and nothing is fused, so that their bits are the same everywhere. */
#ifndef PHENOSCALE_PLANES_H
#define PHENOSCALE_PLANES_H

#include "vec.h"

typedef struct {
    vec part[VECS];
} lanes;

INLINE double
lanes_sum(const lanes *self)
{
    float part[BLOCK];
    double sum = 0;

    for (int u = 0; u < VECS; u++)
        v_store(part + u * VEC_LANES, self->part[u]);
    for (int lane = 0; lane < BLOCK; lane++)
        sum += part[lane];
    return sum;
}

/* ---- Haar's wavelet ------------------------------------------------------------------------ */

/* Rows a, b (2 n) -> means over 2x2, and of the four their slopes along x, y, and both. */
#define HALVE(SUFFIX, TYPE)                                                                  \
    static void plane_halve_##SUFFIX(int64_t n, const void *row, const void *next, float *mean, \
                                     float *detail)                                          \
    {                                                                                        \
        const TYPE *restrict a = row, *restrict b = next;                                    \
        float *restrict m = mean, *restrict x = detail, *restrict y = x + n, *restrict z = y + n; \
        for (int64_t i = 0; i < n; i++) {                                                    \
            float p = a[2 * i], q = a[2 * i + 1], r = b[2 * i], s = b[2 * i + 1];            \
            m[i] = (p + q + r + s) * 0.25f;                                                  \
            x[i] = (p - q + r - s) * 0.25f;                                                  \
            y[i] = (p + q - r - s) * 0.25f;                                                  \
            z[i] = (p - q - r + s) * 0.25f;                                                  \
        }                                                                                    \
    }
HALVE(levels, uint16_t)
HALVE(floats, float)

/* Sums of a^2 and a^4. */
static void
plane_powers(int64_t n, const float *a, double *squares, double *fourths)
{
    lanes two = {0}, four = {0};
    int64_t i = 0;
    double rest[2] = {0, 0};

    for (; i + BLOCK <= n; i += BLOCK)
        UNROLL for (int u = 0; u < VECS; u++) {
            vec square = v_load(a + i + u * VEC_LANES);
            square *= square;
            two.part[u] += square;
            four.part[u] += square * square;
        }
    for (; i < n; i++) {
        rest[0] += (double)a[i] * a[i];
        rest[1] += (double)a[i] * a[i] * a[i] * a[i];
    }
    *squares += lanes_sum(&two) + rest[0];
    *fourths += lanes_sum(&four) + rest[1];
}

static double
plane_dot(int64_t n, const float *a, const float *b)
{
    lanes sum = {0};
    int64_t i = 0;
    double rest = 0;

    for (; i + BLOCK <= n; i += BLOCK)
        UNROLL for (int u = 0; u < VECS; u++)
            sum.part[u] += v_load(a + i + u * VEC_LANES) * v_load(b + i + u * VEC_LANES);
    for (; i < n; i++)
        rest += (double)a[i] * b[i];
    return lanes_sum(&sum) + rest;
}

/* ---- transforms ----------------------------------------------------------------------------- */

INLINE void
transform(const int m, const int vecs, int64_t positions, const float *a, int64_t a_step,
          const float *wave, int64_t n, float *out, int64_t out_step)
{
    vec sum[4][4];

    UNROLL for (int j = 0; j < m; j++)
        UNROLL for (int u = 0; u < vecs; u++)
            sum[j][u] = v_all(0);
    for (int64_t i = 0; i < positions; i++, wave += n)
        UNROLL for (int u = 0; u < vecs; u++) {
            vec at = v_load(wave + u * VEC_LANES);
            UNROLL for (int j = 0; j < m; j++)
                sum[j][u] = v_fma(v_all(a[j * a_step + i]), at, sum[j][u]);
        }
    UNROLL for (int j = 0; j < m; j++)
        UNROLL for (int u = 0; u < vecs; u++)
            v_store(out + j * out_step + u * VEC_LANES, sum[j][u]);
}

/* out[j, k] = sum over positions i of a[j, i] wave[i, k], of n k, a multiple of 16. */
static void
plane_transform(int64_t positions, int64_t m, const float *a, int64_t a_step, const float *wave,
                int64_t n, float *out, int64_t out_step)
{
    for (int64_t j = 0, rows = 4; j < m; j += rows) {
        const float *from = a + j * a_step;
        int64_t k = 0;
        rows = m - j < 4 ? 1 : 4;
        for (; k + 4 * VEC_LANES <= n && rows == 4; k += 4 * VEC_LANES)
            transform(4, 4, positions, from, a_step, wave + k, n, out + j * out_step + k, out_step);
        for (; k < n && rows == 4; k += VEC_LANES)
            transform(4, 1, positions, from, a_step, wave + k, n, out + j * out_step + k, out_step);
        for (; k < n; k += VEC_LANES)
            transform(1, 1, positions, from, a_step, wave + k, n, out + j * out_step + k, out_step);
    }
}

/* Pixels x, n - x, n/2 - x and n/2 + x, less the mean, put together as a cosine or a sine of an
 * even or an odd frequency has them: out has four parts, `step` apart; of x in [from, end). */
static void
plane_fold(int64_t from, int64_t end, const uint16_t *row, int64_t n, float mean, float *out,
           int64_t step)
{
    const uint16_t *near = row, *far = row + n, *before = row + n / 2, *after = row + n / 2;
    float *restrict even = out, *restrict odd = out + step, *restrict even_sine = out + 2 * step;
    float *restrict odd_sine = out + 3 * step;

    for (int64_t x = from; x < end; x++) {
        float a = near[x] - mean, b = far[-x] - mean, c = before[-x] - mean, d = after[x] - mean;
        even[x] = (a + b) + (c + d);
        odd[x] = (a + b) - (c + d);
        even_sine[x] = (a - b) - (c - d);
        odd_sine[x] = (a - b) + (c - d);
    }
}

/* ---- two channels -------------------------------------------------------------------------- */

/* A block of pixels of which those marked count; ranks are looked up where any is in both. */
INLINE void
pair_block(const uint16_t *a, const uint16_t *b, const int32_t *is_in, const ps_two *about,
           lanes *sums)
{
    UNROLL for (int u = 0; u < VECS; u++, a += VEC_LANES, b += VEC_LANES) {
        vec_mask in;
        __builtin_memcpy(&in, is_in + u * VEC_LANES, sizeof in);
        vec p = v_levels(a), q = v_levels(b);
        vec_mask both = (p > about->cut[0]) & (q > about->cut[1]) & in;
        sums[0].part[u] += (vec)((vec_mask)(p - about->mean[0]) & in) * (q - about->mean[1]);
        vec one = (vec)(both & (vec_mask)v_all(1));
        if (v_all_at_most(one, v_all(0)))
            continue;
        float far[VEC_LANES];
        for (int k = 0; k < VEC_LANES; k++)
            far[k] = about->rank[0][a[k]] - about->rank[1][b[k]];
        vec w = v_load(far);
        w = 1 - v_max(w, -w) * about->per_rank;
        vec x = (vec)(both & (vec_mask)(p + about->base[0]));
        vec y = (vec)(both & (vec_mask)(q + about->base[1]));
        const vec add[PS_TWO_SUMS] = {v_all(0), x * y, x * x, y * y, x * w, y * w, x, y};
        UNROLL for (int k = 1; k < PS_TWO_SUMS; k++)
            sums[k].part[u] += add[k];
    }
}

/* Adds the sums of kernels.h: of pixels of a, b with a > cut_a and b > cut_b ("both"). */
static void
plane_pair(int64_t n, const uint16_t *a, const uint16_t *b, const ps_two *about, double *sums)
{
    enum { N = 2048 }; /* pixels, after which sums go on in double */
    int32_t all[BLOCK], some[BLOCK];

    for (int k = 0; k < BLOCK; k++) {
        all[k] = -1;
        some[k] = k < n % BLOCK ? -1 : 0;
    }
    for (int64_t from = 0; from < n; from += N) {
        lanes part[PS_TWO_SUMS] = {{{{0}}}};
        int64_t end = from + N < n ? from + N : n, i = from;
        for (; i + BLOCK <= end; i += BLOCK)
            pair_block(a + i, b + i, all, about, part);
        if (i < end) {
            uint16_t rest[2][BLOCK] = {{0}};
            __builtin_memcpy(rest[0], a + i, (size_t)(end - i) * sizeof *a);
            __builtin_memcpy(rest[1], b + i, (size_t)(end - i) * sizeof *b);
            pair_block(rest[0], rest[1], some, about, part);
        }
        for (int k = 0; k < PS_TWO_SUMS; k++)
            sums[k] += lanes_sum(&part[k]);
    }
}

/* ---- columns, greys ------------------------------------------------------------------------- */

/* Adds a row to the sums of its columns, and its squares. */
static void
plane_columns(int64_t n, const uint16_t *row, uint32_t *restrict sum, uint64_t *restrict squares)
{
    for (int64_t x = 0; x < n; x++) {
        uint32_t level = row[x]; /* its square has 32 bits */
        sum[x] += level;
        squares[x] += level * level;
    }
}

/* Levels -> greys, 0 to 255: base + step * level, of 1, to the nearest, halves to even.  NEAREST:
 * above it a REAL has no halves. */
#define GREYS_OF(SUFFIX, TYPE, REAL, NEAREST)                                                 \
    static void plane_greys_##SUFFIX(int64_t n, const void *levels, double base, double step, \
                                     uint8_t *grey)                                           \
    {                                                                                         \
        const TYPE *restrict in = levels;                                                     \
        const REAL from = (REAL)base, by = (REAL)step;                                        \
        for (int64_t i = 0; i < n; i++) {                                                     \
            REAL value = (from + by * (REAL)in[i]) * 255 + NEAREST - NEAREST;                 \
            grey[i] = (uint8_t)(int32_t)(value < 0 ? 0 : value > 255 ? 255 : value);          \
        }                                                                                     \
    }
GREYS_OF(counts, uint16_t, float, 0x1.8p23f) /* 8 or 16 bits: no count is near a half */
GREYS_OF(levels, uint16_t, double, 0x1.8p52)
GREYS_OF(means, float, float, 0x1.8p23f)
#endif
