/* SPDX-License-Identifier: BSD-3-Clause */
/* What the dense head needs of rows of numbers, and the burst that measures the machine. */
#ifndef PHENOSCALE_ROWS_H
#define PHENOSCALE_ROWS_H

#include "product.h"

#define DOT_ROWS 4

/* Some rows of x, `step` apart, times one row of weights: added to y.  A row has sixteen partial
 * sums of its own, added pairwise, whatever is beside it. */
INLINE void
dots(const int m, const float *weight, const float *x, int64_t step, int64_t n, float *y,
     int64_t y_step)
{
    vec sum[DOT_ROWS][VECS];
    int64_t k = 0;

    UNROLL for (int i = 0; i < m; i++)
        UNROLL for (int u = 0; u < VECS; u++)
            sum[i][u] = v_all(0);
    for (; k + BLOCK <= n; k += BLOCK)
        UNROLL for (int u = 0; u < VECS; u++) {
            vec w = v_load(weight + k + u * VEC_LANES);
            UNROLL for (int i = 0; i < m; i++)
                sum[i][u] = v_fma(v_load(x + i * step + k + u * VEC_LANES), w, sum[i][u]);
        }
    for (int i = 0; i < m; i++) {
        float part[BLOCK];
        for (int u = 0; u < VECS; u++)
            v_store(part + u * VEC_LANES, sum[i][u]);
        for (int64_t rest = k; rest < n; rest++)
            part[rest - k] += x[i * step + rest] * weight[rest];
        for (int half = BLOCK / 2; half > 0; half /= 2)
            for (int lane = 0; lane < half; lane++)
                part[lane] += part[lane + half];
        y[i * y_step] += part[0];
    }
}

static void
rows_dots(int64_t rows, const float *weight, const float *x, int64_t step, int64_t n, float *y,
          int64_t y_step)
{
    int64_t i = 0;

    for (; i + DOT_ROWS <= rows; i += DOT_ROWS)
        dots(DOT_ROWS, weight, x + i * step, step, n, y + i * y_step, y_step);
    for (; i < rows; i++)
        dots(1, weight, x + i * step, step, n, y + i * y_step, y_step);
}

/* y += factor x */
static void
rows_add(int64_t n, float factor, const float *x, float *y)
{
    int64_t i = 0;

    for (; i + VEC_LANES <= n; i += VEC_LANES)
        v_store(y + i, v_fma(v_all(factor), v_load(x + i), v_load(y + i)));
    for (; i < n; i++)
        y[i] += factor * x[i];
}

#define OUTER_ROWS 4
#if VEC_LANES == 16
#define OUTER_VECS 4
#else
#define OUTER_VECS 2 /* all sums stay in registers */
#endif

INLINE void
outer(const int m, const int vecs, int64_t rows, const float *d, int64_t d_step, const float *x,
      int64_t x_step, float *out, int64_t out_step)
{
    vec sum[OUTER_ROWS][OUTER_VECS];

    UNROLL for (int j = 0; j < m; j++)
        UNROLL for (int u = 0; u < vecs; u++)
            sum[j][u] = v_all(0);
    for (int64_t i = 0; i < rows; i++, d += d_step, x += x_step)
        UNROLL for (int u = 0; u < vecs; u++) {
            vec at = v_load(x + u * VEC_LANES);
            UNROLL for (int j = 0; j < m; j++)
                sum[j][u] = v_fma(v_all(d[j]), at, sum[j][u]);
        }
    UNROLL for (int j = 0; j < m; j++)
        UNROLL for (int u = 0; u < vecs; u++)
            v_store(out + j * out_step + u * VEC_LANES, sum[j][u]);
}

INLINE void
outer_rows(const int m, int64_t rows, const float *d, int64_t d_step, const float *x,
           int64_t x_step, int64_t n, float *out, int64_t out_step)
{
    int64_t k = 0;

    for (; k + OUTER_VECS * VEC_LANES <= n; k += OUTER_VECS * VEC_LANES)
        outer(m, OUTER_VECS, rows, d, d_step, x + k, x_step, out + k, out_step);
    for (; k + VEC_LANES <= n; k += VEC_LANES)
        outer(m, 1, rows, d, d_step, x + k, x_step, out + k, out_step);
    for (; k < n; k++)
        for (int j = 0; j < m; j++) {
            float sum = 0;
            for (int64_t i = 0; i < rows; i++)
                sum += d[i * d_step + j] * x[i * x_step + k];
            out[j * out_step + k] = sum;
        }
}

static void
rows_outer(int64_t rows, int64_t m, const float *d, int64_t d_step, const float *x, int64_t x_step,
           int64_t n, float *out, int64_t out_step)
{
    int64_t j = 0;

    for (; j + OUTER_ROWS <= m; j += OUTER_ROWS)
        outer_rows(OUTER_ROWS, rows, d + j, d_step, x, x_step, n, out + j * out_step, out_step);
    for (; j < m; j++)
        outer_rows(1, rows, d + j, d_step, x, x_step, n, out + j * out_step, out_step);
}

/* Multiply-adds on numbers that stay in registers and the first-level cache, ROWS x 16 at a time;
 * as many in all as `rounds` products of (16, 1) and (1, 16). */
static float
rows_burn(int64_t rounds)
{
    float b[BLOCK], c[ROWS * BLOCK], total = 0;
    vec sum[ROWS][VECS];

    for (int i = 0; i < BLOCK; i++)
        b[i] = 1e-3f * (float)i;
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int u = 0; u < VECS; u++)
            sum[i][u] = v_all(1e-3f * (float)i);
    for (int64_t k = 0; k < rounds * BLOCK / ROWS; k++)
        UNROLL for (int i = 0; i < ROWS; i++)
            UNROLL for (int u = 0; u < VECS; u++)
                sum[i][u] = v_fma(sum[i][u], v_all(0.999f), v_load(b + u * VEC_LANES));
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int u = 0; u < VECS; u++)
            v_store(c + (i * VECS + u) * VEC_LANES, sum[i][u]);
    for (int i = 0; i < ROWS * BLOCK; i++)
        total += c[i];
    return total;
}
#endif
