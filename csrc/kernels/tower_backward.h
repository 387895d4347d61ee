/* SPDX-License-Identifier: BSD-3-Clause */
/* A strip of a tower, backward: exact, and only where a gradient can be.
 *
 * A window's maximum passes its gradient to one pixel of layer 3 (per channel), so the gradient of
 * layer 2 is 0 but for the 5x5 pixels around it, that of layer 1 but for 9x9.  Both are kept as
 * marks on tiles; everything below runs over marked tiles only, 16 at a time, in order:
 *
 *   maxima   --mark 5x5--> tiles of layer 2 --mark 2x2 tiles--> tiles of layer 1
 *   maxima   --scatter g * taps--> da2
 *   layer 1: pixels -> a1 again
 *   layer 2: a1 -> v -> a2 again;  dz2 = da2 where a2 > 0;  D = A' dz2 A
 *            du2 += v (x) D;   da1 += B' (u2 D) B
 *   maxima:  dtaps += g * a2
 *   layer 1: dz1 = da1 where a1 > 0;  D = A' dz1 A;  du1 += v1 (x) D
 *
 * Nothing is kept from forward but the place of each maximum: both maps are computed again, for
 * marked tiles, by forward's own code, so that the ReLUs' masks are forward's to the bit.  Strips
 * overlap in the marked tiles around their edges; a gradient is linear in its maxima, so each
 * strip carries those of its own.
 *
 * Measured as in tower_forward.h, ms: 50 at scale 0, where oneDNN's dense backward takes 690.
 * Pixels of a band read once in place of four times, and marked tiles reached through lists of
 * places in place of copies side by side, made it 50 from 64. */
#ifndef PHENOSCALE_TOWER_BACKWARD_H
#define PHENOSCALE_TOWER_BACKWARD_H

#include "tower_forward.h"
#include "tower_marks.h"

/* ---- layer 2 -------------------------------------------------------------------------------- */

/* A' along x: a row of z -> m (8 points apart). */
INLINE void
rows_from_points_back(const float *z, int64_t tiles, float *m, ptrdiff_t m_point)
{
    for (int64_t t = 0; t < tiles; t++, z += TILE * BLOCK, m += BLOCK)
        for (int at = 0; at < BLOCK; at += VEC_LANES) {
            vec y[4], d[8];
            UNROLL for (int x = 0; x < 4; x++)
                y[x] = v_load(z + x * BLOCK + at);
            from_points_back(y, d);
            UNROLL for (int j = 0; j < 8; j++)
                v_store(m + j * m_point + at, d[j]);
        }
}

/* dz = da where a > 0, its sum to the bias, and A' along y in place of z. */
INLINE void
masked_columns_back(const float *a, const float *da, float *dbias, float *z)
{
    for (int at = 0; at < TILE * BLOCK; at += VEC_LANES) {
        vec y[4], d[8], sum = v_load(dbias + at % BLOCK);
        UNROLL for (int k = 0; k < 4; k++) {
            y[k] = v_keep_positive(v_load(da + k * TILE * BLOCK + at),
                                   v_load(a + k * TILE * BLOCK + at));
            sum = sum + y[k];
        }
        v_store(dbias + at % BLOCK, sum);
        from_points_back(y, d);
        UNROLL for (int i = 0; i < 8; i++)
            v_store(z + i * Z_ROW + at, d[i]);
    }
}

/* B' along x: m (8 points) -> a row of w, 8 columns a tile. */
INLINE void
rows_to_points_back(const float *m, int64_t tiles, float *w)
{
    for (int64_t t = 0; t < tiles; t++, m += BLOCK, w += 8 * BLOCK)
        for (int at = 0; at < BLOCK; at += VEC_LANES) {
            vec o[8], d[8];
            UNROLL for (int j = 0; j < 8; j++)
                o[j] = v_load(m + j * V_POINT + at);
            to_points_back(o, d);
            UNROLL for (int j = 0; j < 8; j++)
                v_store(w + j * BLOCK + at, d[j]);
        }
}

/* B' along y: 4 columns of w, added to a tile and the one below it. */
INLINE void
columns_to_points_back(const float *w, float *upper, float *lower)
{
    for (int at = 0; at < TILE * BLOCK; at += VEC_LANES) {
        vec o[8], d[8];
        UNROLL for (int i = 0; i < 8; i++)
            o[i] = v_load(w + i * W_ROW + at);
        to_points_back(o, d);
        UNROLL for (int y = 0; y < 4; y++) {
            float *to = upper + y * TILE * BLOCK + at;
            v_store(to, v_load(to) + d[y]);
            to = lower + y * TILE * BLOCK + at;
            v_store(to, v_load(to) + d[y + 4]);
        }
    }
}

/* Forward again for up to 16 marked tiles: a2, with all of v kept; then dz2, on its way in z. */
static void
second_again(const ps_tower *tower, const band *b,
             const int32_t *list, int64_t tiles, ps_tower_work *work)
{
    int64_t n1 = (b->ty + 2) * (b->tx + 2), n2 = (b->ty + 1) * (b->tx + 1), wide = b->tx + 2;

    for (int64_t block = 0; block < tower->blocks; block++)
        for (int64_t t = 0; t < tiles; t++) {
            int64_t y = list[t] / (b->tx + 1), x = list[t] % (b->tx + 1);
            const float *from = work->map[A1] + (block * n1 + y * wide + x) * TILE_FLOATS;
            float *w = work->w + block * 8 * W_ROW + t * 8 * BLOCK;
            columns_to_points(from, from + wide * TILE_FLOATS, w);
            columns_to_points(from + TILE_FLOATS, from + (wide + 1) * TILE_FLOATS,
                              w + TILE * BLOCK);
        }
    convolve(tower, tower->u[0], tiles, 8, 64, work);
    for (int64_t block = 0; block < tower->blocks; block++)
        for (int64_t t = 0; t < tiles; t++) {
            int64_t at = (block * n2 + list[t]) * TILE_FLOATS;
            float *z = work->z + block * 8 * Z_ROW + t * TILE * BLOCK, *a2 = work->map[A2] + at;
            columns_to_relu(z, tower->bias[1] + block * BLOCK, a2);
            clear_outside(tower, b->top - 2 + list[t] / (b->tx + 1) * TILE,
                          b->left - 2 + list[t] % (b->tx + 1) * TILE, a2);
            masked_columns_back(a2, work->map[DA2] + at, work->dbias[1] + block * BLOCK, z);
        }
}

/* From z: du2, and the gradient by a1, at the points, in place of w. */
static void
second_products(const ps_tower *tower, int64_t tiles,
                ps_tower_work *work)
{
    int64_t n = tower->blocks, area = BLOCK * BLOCK;
    float *dm = work->m + 8 * V_POINT; /* (8, blocks, tiles) */

    for (int i = 0; i < 8; i++) {
        const float *v = work->v + i * 8 * n * V_POINT;
        for (int64_t out = 0; out < n; out++)
            rows_from_points_back(work->z + (out * 8 + i) * Z_ROW, tiles, dm + out * V_POINT,
                                  n * V_POINT);
        for (int j = 0; j < 8; j++)
            for (int64_t out = 0; out < n; out++)
                for (int64_t in = 0; in < n; in++) {
                    factors f = {.a = v + (j * n + in) * V_POINT, .k = tiles, .parts = 1,
                                 .b = dm + (j * n + out) * V_POINT};
                    product(BLOCK, REGULAR, 1, BLOCK, &f,
                            work->du2 + (((i * 8 + j) * n + out) * n + in) * area, 1);
                }
        for (int64_t in = 0; in < n; in++) {
            for (int j = 0; j < 8; j++) {
                factors f = {.a = dm + j * n * V_POINT, .a_part = V_POINT, .k = BLOCK, .parts = n,
                             .b = tower->back + ((i * 8 + j) * n + in) * n * area,
                             .b_part = area};
                product(tiles, REGULAR, BLOCK, 1, &f, work->m + j * V_POINT, 0);
            }
            rows_to_points_back(work->m, tiles, work->w + (in * 8 + i) * W_ROW);
        }
    }
}

static void
second_layer(const ps_tower *tower, const band *b, int64_t count,
             ps_tower_work *work)
{
    int64_t n1 = (b->ty + 2) * (b->tx + 2), wide = b->tx + 2;

    for (int64_t first = 0; first < count; first += RUN) {
        int64_t tiles = count - first < RUN ? count - first : RUN;
        const int32_t *list = work->list[1] + first;
        second_again(tower, b, list, tiles, work);
        second_products(tower, tiles, work);
        for (int64_t block = 0; block < tower->blocks; block++)
            for (int64_t t = 0; t < tiles; t++) {
                int64_t y = list[t] / (b->tx + 1), x = list[t] % (b->tx + 1);
                float *to = work->map[DA1] + (block * n1 + y * wide + x) * TILE_FLOATS;
                const float *w = work->w + block * 8 * W_ROW + t * 8 * BLOCK;
                columns_to_points_back(w, to, to + wide * TILE_FLOATS);
                columns_to_points_back(w + TILE * BLOCK, to + TILE_FLOATS,
                                       to + (wide + 1) * TILE_FLOATS);
            }
    }
}

/* ---- layer 1 -------------------------------------------------------------------------------- */

/* a1 again for up to 16 tiles of a row; `places` are theirs in v1. */
static void
first_again(const ps_tower *tower, const band *b, const int32_t *list, const int32_t *places,
            int64_t tiles, ps_tower_work *work)
{
    int64_t n1 = (b->ty + 2) * (b->tx + 2);

    for (int64_t block = 0; block < tower->blocks; block++) {
        first_convolve(tower, ROWS_LISTED, work->v1, places, block, tiles, work);
        for (int64_t t = 0; t < tiles; t++) {
            float *a1 = work->map[A1] + (block * n1 + list[t]) * TILE_FLOATS;
            columns_to_relu(work->z + t * TILE * BLOCK, tower->bias[0] + block * BLOCK, a1);
            clear_outside(tower, b->top - 4 + list[t] / (b->tx + 2) * TILE,
                          b->left - 4 + list[t] % (b->tx + 2) * TILE, a1);
        }
    }
}

/* du1 from the same tiles. */
static void
first_products(const ps_tower *tower, const band *b,
               const int32_t *list, const int32_t *places, int64_t tiles, ps_tower_work *work)
{
    int64_t n1 = (b->ty + 2) * (b->tx + 2), in = tower->in;

    for (int64_t block = 0; block < tower->blocks; block++) {
        for (int64_t t = 0; t < tiles; t++) {
            int64_t at = (block * n1 + list[t]) * TILE_FLOATS;
            masked_columns_back(work->map[A1] + at, work->map[DA1] + at,
                                work->dbias[0] + block * BLOCK, work->z + t * TILE * BLOCK);
        }
        for (int i = 0; i < 8; i++) {
            rows_from_points_back(work->z + i * Z_ROW, tiles, work->m, V_POINT);
            for (int j = 0; j < 8; j++) {
                int64_t p = i * 8 + j;
                factors f = {.a = work->v1 + p * in * BLOCK, .list = places, .k = tiles,
                             .parts = 1, .b = work->m + j * V_POINT};
                product(in, K_LISTED, BLOCK, 0, &f,
                        work->du1 + (p * tower->blocks + block) * in * BLOCK, 1);
            }
        }
    }
}

/* Marked tiles of layer 1, row by row: a1 again, or (after layer 2) the gradient by u1. */
static void
first_layer(const ps_tower *tower, const band *b, int64_t count, int is_gradient,
            ps_tower_work *work)
{
    int64_t wide = b->tx + 2, at = 0;
    int32_t places[RUN];

    for (int64_t row = 0; row < b->ty + 2; row++) {
        int64_t end = at;
        while (end < count && work->list[0][end] / wide == row)
            end++;
        if (end > at)
            first_points(tower, &b->pixels, wide, b->top - 6 + row * TILE, work);
        for (; at < end; at += RUN) {
            int64_t tiles = end - at < RUN ? end - at : RUN;
            const int32_t *list = work->list[0] + at;
            for (int64_t t = 0; t < tiles; t++) {
                int64_t x = list[t] - row * wide;
                places[t] = (int32_t)(x / BLOCK * BLOCK * 64 * tower->in + x % BLOCK);
            }
            if (is_gradient)
                first_products(tower, b, list, places, tiles, work);
            else
                first_again(tower, b, list, places, tiles, work);
        }
        at = end;
    }
}

/* ---- a strip -------------------------------------------------------------------------------- */

static void
tower_backward(const ps_tower *tower, ps_tower_strip *strip, ps_tower_work *work, float *grad)
{
    int64_t window = tower->window, count[2];
    int64_t rows = window < PS_TOWER_BAND ? PS_TOWER_BAND / window : 1;
    int64_t n = tower->blocks, padded = n * BLOCK;

    memset(work->du1, 0, (size_t)(64 * tower->in * padded) * sizeof(float));
    memset(work->du2, 0, (size_t)(64 * padded * padded) * sizeof(float));
    memset(work->dtaps, 0, (size_t)(tower->c * 25 * padded) * sizeof(float));
    for (int i = 0; i < 3; i++)
        memset(work->dbias[i], 0, (size_t)padded * sizeof(float));
    for (int64_t row = 0; row < strip->windows_h; row += rows) {
        band one = {.row = row, .left = strip->window_x * window,
                    .top = (strip->window_y + row) * window};
        const band *b = &one;

        one.rows = strip->windows_h - row < rows ? strip->windows_h - row : rows;
        one.ty = ps_tower_tiles(one.rows, window);
        one.tx = ps_tower_tiles(strip->windows_w, window);
        one.pixels = (pixel_rows){.ring = work->band_rows,
                                  .width = 4 * ps_tower_padded(one.tx + 2)};
        mark_layers(tower, strip, b, work, count);
        read_rows(tower, strip, &one.pixels, one.top - 6, 4 * (one.ty + 3), one.left - 6,
                  work->rows);
        FOR_MAXIMA(scatter(tower, b, y, x, k, strip->diff_out[at + k], work->map[DA2]);
                   work->dbias[2][k] += strip->diff_out[at + k])
        first_layer(tower, b, count[0], 0, work);
        second_layer(tower, b, count[1], work);
        FOR_MAXIMA(gather(tower, b, y, x, strip->diff_out[at + k], work->map[A2],
                          work->dtaps + k * 25 * padded))
        first_layer(tower, b, count[0], 1, work);
        strip->executed += count[0] * n * (2 * FIRST_TILE(tower)) +
                           count[1] * n * (2 * LATER_TILE(tower) + 2 * n * 64 * 256);
    }
    tower_gradients(tower, work, grad);
}
#endif
