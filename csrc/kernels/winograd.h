/* SPDX-License-Identifier: BSD-3-Clause */
/* Winograd's convolution F(4x4, 5x5): a 5x5 filter over an 8x8 tile gives 4x4 outputs with 64
 * multiplications in place of 400.  (Winograd 1980; Lavin, Gray 2016, arXiv 1509.09308.)
 *
 * In one dimension, y[i] = sum_k x[i + k] g[k] for 4 outputs is a product of polynomials known by
 * its values at 8 points p = 0, 1, -1, 2, -2, 1/2, -1/2, infinity (Toom, Cook):
 *
 *     y = A ((G g) * (B x))           * by element
 *
 *     A (4, 8): powers       A[i][p] = p^i;  the last column is 1 in the last row
 *     G (8, 5): powers       G[p][k] = s_p p^k,  s = 1, -2/9, -2/9, 1/90, 1/90, 32/45, 32/45;
 *                            the last row is 1 in the last column
 *     B (8, 8): row p holds the coefficients of the product over the other points q of (x - q),
 *               scaled so that A, G, B belong together:
 *
 *       1   0    -21/4   0      21/4   0    -1   0
 *       0   1     1    -17/4   -17/4   1     1   0
 *       0  -1     1     17/4   -17/4  -1     1   0
 *       0   1/2   1/4   -5/2    -5/4   2     1   0
 *       0  -1/2   1/4    5/2    -5/4  -2     1   0
 *       0   2     4     -5/2    -5     1/2   1   0
 *       0  -2     4      5/2    -5    -1/2   1   0
 *       0  -1     0     21/4     0   -21/4   0   1
 *
 * In two dimensions each matrix is applied along y, then along x.  Training needs the transposes:
 * with D = A' dy A and V = B x B',  dU += V (x) D over channels, dx = B' (U D) B, dg = G' dU G.
 * These points and no more: 6x6 outputs would save another 30 % of the multiplications and cost
 * ten times the rounding error (1.7e-5 of the maximum; this one 2e-6). */
#ifndef PHENOSCALE_WINOGRAD_H
#define PHENOSCALE_WINOGRAD_H

#include "vec.h"

#define POINTS 8
#define TILE 4
#define TILE_FLOATS (TILE * TILE * BLOCK)

/* o = B d */
INLINE void
to_points(const vec d[8], vec o[8])
{
    vec e = v_fma(v_all(-4.25f), d[4], d[2] + d[6]), f = v_fma(v_all(-4.25f), d[3], d[1] + d[5]);
    o[0] = v_fma(v_all(5.25f), d[4] - d[2], d[0] - d[6]);
    o[7] = v_fma(v_all(5.25f), d[3] - d[5], d[7] - d[1]);
    o[1] = e + f;
    o[2] = e - f;
    e = v_fma(v_all(0.25f), d[2], v_fma(v_all(-1.25f), d[4], d[6]));
    f = v_fma(v_all(4), d[5], v_fma(v_all(-5), d[3], d[1]));
    o[3] = v_fma(v_all(0.5f), f, e);
    o[4] = v_fma(v_all(-0.5f), f, e);
    e = v_fma(v_all(4), d[2], v_fma(v_all(-5), d[4], d[6]));
    f = v_fma(v_all(4), d[1], v_fma(v_all(-5), d[3], d[5]));
    o[5] = v_fma(v_all(0.5f), f, e);
    o[6] = v_fma(v_all(-0.5f), f, e);
}

/* d = B' o */
INLINE void
to_points_back(const vec o[8], vec d[8])
{
    vec s1 = o[1] + o[2], d1 = o[1] - o[2], s3 = o[3] + o[4], d3 = o[3] - o[4];
    vec s5 = o[5] + o[6], d5 = o[5] - o[6];
    vec s13 = s1 + s3;

    d[0] = o[0];
    d[7] = o[7];
    d[6] = (s13 + s5) - o[0];
    d[1] = v_fma(v_all(0.5f), d3, v_fma(v_all(2), d5, d1 - o[7]));
    d[5] = v_fma(v_all(2), d3, v_fma(v_all(0.5f), d5, v_fma(v_all(-5.25f), o[7], d1)));
    d[3] = v_fma(v_all(-2.5f), d3 + d5, v_fma(v_all(-4.25f), d1, v_all(5.25f) * o[7]));
    d[2] = v_fma(v_all(0.25f), s3, v_fma(v_all(4), s5, v_fma(v_all(-5.25f), o[0], s1)));
    d[4] = v_fma(v_all(-1.25f), s3,
                 v_fma(v_all(-5), s5, v_fma(v_all(-4.25f), s1, v_all(5.25f) * o[0])));
}

/* y = A m */
INLINE void
from_points(const vec m[8], vec y[4])
{
    vec s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    vec s3 = m[5] + m[6], d3 = m[5] - m[6];

    y[0] = (m[0] + s1) + (s2 + s3);
    y[1] = v_fma(v_all(2), d2, v_fma(v_all(0.5f), d3, d1));
    y[2] = v_fma(v_all(4), s2, v_fma(v_all(0.25f), s3, s1));
    y[3] = v_fma(v_all(8), d2, v_fma(v_all(0.125f), d3, d1 + m[7]));
}

/* m = A' y */
INLINE void
from_points_back(const vec y[4], vec m[8])
{
    vec e = y[0] + y[2], f = y[1] + y[3];

    m[0] = y[0];
    m[7] = y[3];
    m[1] = e + f;
    m[2] = e - f;
    e = v_fma(v_all(4), y[2], y[0]);
    f = v_fma(v_all(4), y[3], y[1]);
    m[3] = v_fma(v_all(2), f, e);
    m[4] = v_fma(v_all(-2), f, e);
    e = v_fma(v_all(0.25f), y[2], y[0]);
    f = v_fma(v_all(0.25f), y[3], y[1]);
    m[5] = v_fma(v_all(0.5f), f, e);
    m[6] = v_fma(v_all(-0.5f), f, e);
}
#endif
