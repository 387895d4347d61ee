/* SPDX-License-Identifier: BSD-3-Clause */
/* The small matrix product that all of a tower comes down to, at one of the 64 points:
 *
 *     c (m, 16) (+)= a (m, k) b (k, 16)
 *
 *   forward           tiles x outputs  =   (tiles x inputs) (inputs x outputs)
 *   gradient of u     inputs x outputs +=  (inputs x tiles) (tiles x outputs)
 *   gradient of v     tiles x inputs   =   (tiles x outputs) (outputs x inputs)
 *
 * Rows of c stay in registers, ROWS at a time; b comes by whole vectors, a number by number.  Each
 * number of c is one sum over k in order, so that it does not depend on what is beside it.
 *
 * a's number (row, k) lies at row * a_row + k * a_k; where tiles are picked from many, their places
 * stand in a list, of rows (ROWS_LISTED) or of k (K_LISTED). */
#ifndef PHENOSCALE_PRODUCT_H
#define PHENOSCALE_PRODUCT_H

#include <stddef.h>

#include "vec.h"

/* As many as registers allow, and as general registers allow where each row has a place. */
#if VEC_LANES == 16
#define ROWS 16
#define LISTED_ROWS 8
#elif VEC_LANES == 8
#define ROWS 6
#define LISTED_ROWS 4
#else
#define ROWS 2
#define LISTED_ROWS 2
#endif

enum { REGULAR, ROWS_LISTED, K_LISTED };

typedef struct {
    const float *a, *b;
    const int32_t *list;
    int64_t k, parts;          /* k numbers in each of so many parts */
    ptrdiff_t a_part, b_part;  /* from one part to the next */
} factors;

INLINE void
product_rows(const int m, const int kind, const ptrdiff_t a_row, const ptrdiff_t a_k,
             const factors *f, int64_t first, float *c, const int adds)
{
    vec sum[ROWS][VECS];
    ptrdiff_t row_at[ROWS];

    c += first * BLOCK;
    UNROLL for (int i = 0; i < m; i++) {
        row_at[i] = kind == ROWS_LISTED ? f->list[first + i] : i * a_row;
        UNROLL for (int u = 0; u < VECS; u++)
            sum[i][u] = adds ? v_load(c + i * BLOCK + u * VEC_LANES) : v_all(0);
    }
    for (int64_t part = 0; part < f->parts; part++) {
        const float *a = f->a + part * f->a_part, *b = f->b + part * f->b_part;
        a += kind == ROWS_LISTED ? 0 : first * a_row;
        for (int64_t k = 0; k < f->k; k++, b += BLOCK) {
            const float *at = a + (kind == K_LISTED ? f->list[k] : k * a_k);
            vec row[VECS];
            UNROLL for (int u = 0; u < VECS; u++)
                row[u] = v_load(b + u * VEC_LANES);
            UNROLL for (int i = 0; i < m; i++) {
                vec factor = v_all(at[row_at[i]]);
                UNROLL for (int u = 0; u < VECS; u++)
                    sum[i][u] = v_fma(factor, row[u], sum[i][u]);
            }
        }
    }
    UNROLL for (int i = 0; i < m; i++)
        UNROLL for (int u = 0; u < VECS; u++)
            v_store(c + i * BLOCK + u * VEC_LANES, sum[i][u]);
}

/* m rows of c; kind, a_row, a_k and adds are constants where this is called. */
INLINE void
product(int64_t m, const int kind, const ptrdiff_t a_row, const ptrdiff_t a_k, const factors *f,
        float *c, const int adds)
{
    const int most = kind == ROWS_LISTED ? LISTED_ROWS : ROWS;
    int64_t i = 0;

#define STEP(rows)                                    \
    for (; (rows) <= most && i + (rows) <= m; i += (rows)) \
        product_rows(rows, kind, a_row, a_k, f, i, c, adds)
    STEP(ROWS);
    STEP(LISTED_ROWS);
    STEP(4);
    STEP(3);
    STEP(2);
    STEP(1);
#undef STEP
}
#endif
