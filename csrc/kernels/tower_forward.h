/* SPDX-License-Identifier: BSD-3-Clause */
/* A strip of a tower, forward, without a full-size map:
 *
 *   rows of pixels -> layer 1 -> ring of 2 rows of tiles -> layer 2 -> ring -> layer 3 -> maxima
 *
 * Maps are kept as tiles of 4x4 pixels of 16 channels.  Each layer's tiles begin 2 pixels before
 * the next one's, so that tile (r, c) of a layer reads exactly four tiles of the layer before it:
 *
 *        layer 1, from -4          layer 2, from -2            layer 3, from 0
 *      +-----+-----+-----+
 *      |     |     |     |          +-----+-----+
 *      +-----+-----+-----+          |     |     |               +-----+
 *      |     |     |     |    ->    +-----+-----+       ->      |     |
 *      +-----+-----+-----+          |     |     |               +-----+
 *      |     |     |     |          +-----+-----+
 *      +-----+-----+-----+
 *
 * Within a run of 16 tiles of one row (winograd.h has the matrices):
 *
 *   tiles --B along y--> w (8, columns) --B along x--> v (8 at a time, tiles)
 *     --product with u--> m (8, tiles) --A along x--> z (8, columns) --A along y--> tiles
 *
 * Only w and z leave the first-level cache.
 *
 * Measured on one core (Zen 4, AVX-512), scale 0 of 1024 x 1280 x 3, ms: the three layers and the
 * maxima 95, of which 45 are the product of layers 2 and 3, at the peak rate of multiply-adds; the
 * same layers through oneDNN take 340.  Runs of 8 or 32 tiles in place of 16: within 3 %. */
#ifndef PHENOSCALE_TOWER_FORWARD_H
#define PHENOSCALE_TOWER_FORWARD_H

#include "tower_first.h"

#define W_ROW ((RUN * 8 + 1) * BLOCK) /* w: (blocks, 8, 8 columns of each tile) */

/* Floating-point operations a tile and block of outputs costs: products, then transforms (20 one-
 * dimensional ones to the points, of a block of inputs; 12 back). */
#define FIRST_TILE(tower) (2 * 64 * (tower)->in * BLOCK + 12 * 22 * BLOCK)
#define LATER_TILE(tower) ((tower)->blocks * 2 * 64 * BLOCK * BLOCK + (12 * 40 + 12 * 22) * BLOCK)

/* ---- the steps of one run ------------------------------------------------------------------- */

/* B along y: the 4 columns of one tile over those of the tile below it -> w (8 rows apart). */
INLINE void
columns_to_points(const float *upper, const float *lower, float *w)
{
    for (int at = 0; at < TILE * BLOCK; at += VEC_LANES) {
        vec d[8], o[8];
        UNROLL for (int y = 0; y < 4; y++) {
            d[y] = v_load(upper + y * TILE * BLOCK + at);
            d[y + 4] = v_load(lower + y * TILE * BLOCK + at);
        }
        to_points(d, o);
        UNROLL for (int i = 0; i < 8; i++)
            v_store(w + i * W_ROW + at, o[i]);
    }
}

/* B along x: row w of one block of channels, tiles `step` columns apart -> v (8 points apart). */
INLINE void
rows_to_points(const float *w, int64_t tiles, const int step, float *v, ptrdiff_t v_point)
{
    for (int64_t t = 0; t < tiles; t++, w += step * BLOCK, v += BLOCK)
        for (int at = 0; at < BLOCK; at += VEC_LANES) {
            vec d[8], o[8];
            UNROLL for (int j = 0; j < 8; j++)
                d[j] = v_load(w + j * BLOCK + at);
            to_points(d, o);
            UNROLL for (int j = 0; j < 8; j++)
                v_store(v + j * v_point + at, o[j]);
        }
}

/* A along y: 8 rows of z, one tile -> its 16 pixels. */
INLINE void
columns_from_points(const float *z, float *tile)
{
    for (int at = 0; at < TILE * BLOCK; at += VEC_LANES) {
        vec d[8], y[4];
        UNROLL for (int i = 0; i < 8; i++)
            d[i] = v_load(z + i * Z_ROW + at);
        from_points(d, y);
        UNROLL for (int k = 0; k < 4; k++)
            v_store(tile + k * TILE * BLOCK + at, y[k]);
    }
}

/* Layers 2 and 3: w -> v -> m -> z of all blocks of outputs, for tiles `step` columns apart.
 * v_points: 8 keeps only the row at hand, 64 all of v. */
INLINE void
convolve(const ps_tower *tower, const float *u, int64_t tiles, const int step, int v_points,
         ps_tower_work *work)
{
    int64_t n = tower->blocks;

    for (int i = 0; i < 8; i++) {
        float *v = work->v + (v_points == 64 ? i * 8 * n * V_POINT : 0);
        for (int64_t in = 0; in < n; in++)
            rows_to_points(work->w + (in * 8 + i) * W_ROW, tiles, step, v + in * V_POINT,
                           n * V_POINT);
        for (int64_t out = 0; out < n; out++) {
            for (int j = 0; j < 8; j++) {
                factors f = {.a = v + j * n * V_POINT, .a_part = V_POINT, .k = BLOCK, .parts = n,
                             .b = u + ((i * 8 + j) * n + out) * n * BLOCK * BLOCK,
                             .b_part = BLOCK * BLOCK};
                product(tiles, REGULAR, BLOCK, 1, &f, work->m + j * V_POINT, 0);
            }
            rows_from_points(work->m, tiles, work->z + (out * 8 + i) * Z_ROW);
        }
    }
}

/* ---- a strip -------------------------------------------------------------------------------- */

/* The run of tiles [t, t + run) of the next layer, of which upper and lower are the rows of tiles
 * it reads: -> z. */
static void
later_run(const ps_tower *tower, const float *u, const float *upper, const float *lower,
          int64_t tiles_read, int64_t t, int64_t run, ps_tower_work *work)
{
    for (int64_t in = 0; in < tower->blocks; in++)
        for (int64_t i = 0; i <= run; i++) {
            int64_t at = (in * tiles_read + t + i) * TILE_FLOATS;
            columns_to_points(upper + at, lower + at, work->w + in * 8 * W_ROW + i * TILE * BLOCK);
        }
    convolve(tower, u, run, TILE, 8, work);
}

/* Maxima of windows of 4 pixels and more: the tile lies within one window. */
INLINE void
pool_tile(const float *tile, int64_t place, int64_t window, float *best, int32_t *where)
{
    int at_most = 1;

    for (int at = 0; at < BLOCK; at += VEC_LANES) {
        vec most = v_load(tile + at), check = v_all(0);
        UNROLL for (int i = 0; i < 16; i++) {
            vec value = v_load(tile + i * BLOCK + at);
            most = v_max(most, value);
            check = check + value; /* NaN if any value is */
        }
        at_most &= v_all_at_most(most + (check - check), v_load(best + at));
    }
    if (at_most)
        return;
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < BLOCK; k++) {
            float value = tile[i * BLOCK + k];
            int wins = value > best[k] || (value != value && best[k] == best[k]);
            best[k] = wins ? value : best[k];
            where[k] = wins ? (int32_t)(place + i / TILE * window + i % TILE) : where[k];
        }
}

/* Windows of 1 and 2 pixels: several to a tile; some of its pixels may lie in none. */
static void
pool_pixels(const float *tile, int64_t window, int64_t rows, int64_t columns, int64_t next_row,
            int64_t next, float *best, int32_t *where)
{
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < columns; x++)
            for (int64_t k = 0; k < BLOCK; k++) {
                int64_t at = y / window * next_row + x / window * next + k;
                float value = tile[(y * TILE + x) * BLOCK + k];
                if (value > best[at] || (value != value && best[at] == best[at])) {
                    best[at] = value;
                    where[at] = (int32_t)(y % window * window + x % window);
                }
            }
}

/* Rows of maxima are complete: bias, ReLU, and out of the tower. */
static void
write_maxima(const ps_tower *tower, const ps_tower_strip *strip, int64_t row, int64_t rows,
             const ps_tower_work *work)
{
    int64_t out_w = tower->w / tower->window, padded = tower->blocks * BLOCK;

    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < strip->windows_w; x++) {
            const float *best = work->best + (y * strip->windows_w + x) * padded;
            const int32_t *where = work->where + (y * strip->windows_w + x) * padded;
            int64_t at = ((row + y) * out_w + strip->window_x + x) * tower->c;
            for (int64_t k = 0; k < tower->c; k++) {
                float value = best[k] + tower->bias[2][k];
                strip->out[at + k] = value <= 0 ? 0 : value;
                if (strip->index)
                    strip->index[at + k] = where[k];
            }
        }
}

/* Tile `t` of layer 3, from z, into the maxima; (y, x) is its first pixel within the strip. */
static void
pool(const ps_tower *tower, const ps_tower_strip *strip, int64_t block, const float *z, int64_t y,
     int64_t x, ps_tower_work *work)
{
    int64_t window = tower->window, next = tower->blocks * BLOCK;
    int64_t at = x / window * next + block * BLOCK;
    float tile[TILE_FLOATS];

    columns_from_points(z, tile);
    if (window >= TILE) {
        pool_tile(tile, y % window * window + x % window, window, work->best + at,
                  work->where + at);
        return;
    }
    int64_t rows = strip->windows_h * window - y, columns = strip->windows_w * window - x;
    pool_pixels(tile, window, rows < TILE ? rows : TILE, columns < TILE ? columns : TILE,
                strip->windows_w * next, next, work->best + at, work->where + at);
}

static void
clear_maxima(ps_tower_work *work, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        work->best[i] = -__builtin_inff();
    memset(work->where, 0, (size_t)n * sizeof *work->where);
}

static void
last_row(const ps_tower *tower, const ps_tower_strip *strip, const float *upper,
         const float *lower, int64_t tiles, int64_t row, ps_tower_work *work)
{
    int64_t window = tower->window, rows = window < TILE ? TILE / window : 1;
    int64_t y = row * TILE;

    if (y % window == 0)
        clear_maxima(work, rows * strip->windows_w * tower->blocks * BLOCK);
    for (int64_t t = 0; t < tiles; t += RUN) {
        int64_t run = tiles - t < RUN ? tiles - t : RUN;
        later_run(tower, tower->u[1], upper, lower, tiles + 1, t, run, work);
        for (int64_t block = 0; block < tower->blocks; block++)
            for (int64_t i = 0; i < run; i++)
                pool(tower, strip, block, work->z + block * 8 * Z_ROW + i * TILE * BLOCK, y,
                     (t + i) * TILE, work);
    }
    if ((y + TILE) % window == 0 || window < TILE) {
        int64_t first = y / window, left = strip->windows_h - first;
        write_maxima(tower, strip, strip->window_y + first, rows < left ? rows : left, work);
    }
}

static void
tower_forward(const ps_tower *tower, ps_tower_strip *strip, ps_tower_work *work)
{
    int64_t ty = ps_tower_tiles(strip->windows_h, tower->window);
    int64_t tx = ps_tower_tiles(strip->windows_w, tower->window);
    int64_t top = strip->window_y * tower->window, left = strip->window_x * tower->window;
    int64_t row1 = tower->blocks * (tx + 2) * TILE_FLOATS;
    int64_t row2 = tower->blocks * (tx + 1) * TILE_FLOATS;
    pixel_rows rows = {.ring = 8, .width = 4 * ps_tower_padded(tx + 2)};

    read_rows(tower, strip, &rows, top - 6, 4, left - 6, work->rows);
    for (int64_t r = 0; r < ty + 2; r++) { /* row r of layer 1, r - 1 of layer 2, r - 2 of 3 */
        float *ring1[2] = {work->ring[0] + ((r + 1) & 1) * row1, work->ring[0] + (r & 1) * row1};
        float *ring2[2] = {work->ring[1] + (r & 1) * row2, work->ring[1] + ((r + 1) & 1) * row2};
        int64_t y = top + (r - 1) * TILE;

        read_rows(tower, strip, &rows, y + 2, 4, left - 6, work->rows);
        first_points(tower, &rows, tx + 2, y - 2, work);
        first_row(tower, tx + 2, y, left - 4, ring1[1], work);
        if (r < 1)
            continue;
        y -= 2;
        for (int64_t t = 0; t < tx + 1; t += RUN) {
            int64_t run = tx + 1 - t < RUN ? tx + 1 - t : RUN;
            later_run(tower, tower->u[0], ring1[0], ring1[1], tx + 2, t, run, work);
            for (int64_t block = 0; block < tower->blocks; block++)
                for (int64_t i = 0; i < run; i++) {
                    float *tile = ring2[1] + (block * (tx + 1) + t + i) * TILE_FLOATS;
                    columns_to_relu(work->z + block * 8 * Z_ROW + i * TILE * BLOCK,
                                    tower->bias[1] + block * BLOCK, tile);
                    clear_outside(tower, y, left - 2 + (t + i) * TILE, tile);
                }
        }
        if (r >= 2)
            last_row(tower, strip, ring2[0], ring2[1], tx, r - 2, work);
    }
    strip->executed += tower->blocks * ((ty + 2) * (tx + 2) * FIRST_TILE(tower) +
                                        ((ty + 1) * (tx + 1) + ty * tx) * LATER_TILE(tower));
}
#endif
