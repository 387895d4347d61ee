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

/* ---- local binary patterns ----------------------------------------------------------------- */

#define PATTERNS 10

/* Of pixels 1 .. n - 2 of the middle row: which of the eight neighbours are at least as bright, a
 * circle of bits.  With two changes around the circle or none, bin k has those of k bright
 * neighbours; the last bin has all others. */
#define PATTERN_ROW(SUFFIX, TYPE, WORD)                                                         \
    static void plane_patterns_##SUFFIX(int64_t n, const void *above, const void *middle,       \
                                        const void *below, int64_t *count)                      \
    {                                                                                           \
        const TYPE *restrict u = above, *restrict m = middle, *restrict d = below;              \
        uint8_t bins[512];                                                                      \
        for (int64_t from = 1; from < n - 1; from += 512) {                                     \
            int64_t end = from + 512 < n - 1 ? from + 512 : n - 1;                              \
            for (int64_t x = from; x < end; x++) {                                              \
                TYPE c = m[x];                                                                  \
                WORD b0 = u[x - 1] >= c, b1 = u[x] >= c, b2 = u[x + 1] >= c, b3 = m[x + 1] >= c; \
                WORD b4 = d[x + 1] >= c, b5 = d[x] >= c, b6 = d[x - 1] >= c, b7 = m[x - 1] >= c; \
                WORD sum = (WORD)(b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7);                       \
                WORD turns = (WORD)((b0 ^ b1) + (b1 ^ b2) + (b2 ^ b3) + (b3 ^ b4) + (b4 ^ b5) + \
                                    (b5 ^ b6) + (b6 ^ b7) + (b7 ^ b0));                         \
                bins[x - from] = (uint8_t)(turns <= 2 ? sum : PATTERNS - 1);                    \
            }                                                                                   \
            for (int bin = 0; bin < PATTERNS; bin++) {                                          \
                int32_t found = 0;                                                              \
                for (int64_t x = 0; x < end - from; x++)                                        \
                    found += bins[x] == bin;                                                    \
                count[bin] += found;                                                            \
            }                                                                                   \
        }                                                                                       \
    }
PATTERN_ROW(levels, uint16_t, uint16_t)
PATTERN_ROW(floats, float, uint32_t)

/* ---- two channels -------------------------------------------------------------------------- */

/* Adds the sums of kernels.h: of pixels of rows a, b with a > cut_a and b > cut_b ("both"). */
static void
plane_pair(int64_t n, const uint16_t *a, const uint16_t *b, const ps_two *about, double *sums)
{
    enum { N = 256 };
    float x[N], y[N], dx[N], dy[N], w[N];

    for (int64_t from = 0; from < n; from += N) {
        int64_t count = n - from < N ? n - from : N;
        for (int64_t i = 0; i < count; i++) {
            float p = a[from + i], q = b[from + i];
            float ranks = about->rank[0][a[from + i]] - about->rank[1][b[from + i]];
            int both = (p > about->cut[0]) & (q > about->cut[1]);
            dx[i] = p - about->mean[0];
            dy[i] = q - about->mean[1];
            x[i] = both ? p + about->base[0] : 0;
            y[i] = both ? q + about->base[1] : 0;
            w[i] = 1 - (ranks < 0 ? -ranks : ranks) * about->per_rank;
        }
        sums[0] += plane_dot(count, dx, dy);
        sums[1] += plane_dot(count, x, y);
        sums[2] += plane_dot(count, x, x);
        sums[3] += plane_dot(count, y, y);
        sums[4] += plane_dot(count, x, w);
        sums[5] += plane_dot(count, y, w);
        for (int64_t i = 0; i < count; i++)
            w[i] = 1;
        sums[6] += plane_dot(count, x, w);
        sums[7] += plane_dot(count, y, w);
    }
}

/* ---- grains --------------------------------------------------------------------------------- */

typedef float sizes __attribute__((vector_size(4 * PS_SIZES), aligned(4), may_alias));
typedef int32_t sizes_mask __attribute__((vector_size(4 * PS_SIZES), aligned(4), may_alias));
#define CHOOSE(is, a, b) (sizes)(((is) & (sizes_mask)(a)) | (~(is) & (sizes_mask)(b)))
#define LARGER(a, b) CHOOSE((a) > (b), a, b)
#define SMALLER(a, b) CHOOSE((a) < (b), a, b)

/* A row of all sizes, (w, PS_SIZES), rises to its neighbours, the row beside it and each pixel to
 * the one before, in the order of `step`, but not over `most` (w); whether any did. */
static int
plane_rise(int64_t w, int64_t step, const float *most, const float *beside, float *row)
{
    sizes before = {0};
    sizes_mask risen = {0};
    int32_t any = 0;

    for (int64_t i = 0, x = step > 0 ? 0 : w - 1; i < w; i++, x += step) {
        sizes *at = (sizes *)(row + x * PS_SIZES), top = most[x] - (sizes){0};
        sizes near = *(const sizes *)(beside + x * PS_SIZES), next = LARGER(near, before);
        next = SMALLER(next, top);
        next = LARGER(next, *at);
        risen |= (sizes_mask)next ^ (sizes_mask)*at;
        *at = before = next;
    }
    for (int k = 0; k < PS_SIZES; k++)
        any |= risen[k];
    return any != 0;
}

/* ---- focus ---------------------------------------------------------------------------------- */

/* Sum of squares of four times a pixel less its neighbours, pixels 1 .. n - 2 of the middle row. */
static double
plane_laplacian(int64_t n, const uint16_t *up, const uint16_t *at, const uint16_t *down)
{
    enum { N = 256 };
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
#endif
