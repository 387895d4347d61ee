/* SPDX-License-Identifier: BSD-3-Clause */
/* The first layer of a tower: from pixels, of few channels, to tiles.
 *
 * With 1 to 8 channels a vector of 16 channels would be mostly empty, so B is applied with pixels
 * and then tiles as lanes:
 *
 *   rows of pixels --B along y, lanes 16 neighbours--> rows at 8 points
 *     --dealt to four phases, x = 4 tile + phase--> lanes are tiles
 *     --B along x--> v1 (runs of 16 tiles, 64 points, in, 16 tiles)
 *
 * and v1's numbers are then factors of the product, as those of v are. */
#ifndef PHENOSCALE_TOWER_FIRST_H
#define PHENOSCALE_TOWER_FIRST_H

#include <string.h>

#include "kernels.h"
#include "product.h"
#include "winograd.h"

#define RUN PS_TOWER_RUN
#define V_POINT ((RUN + 1) * BLOCK)         /* m: (points, tiles), a line apart from the next */
#define Z_ROW ((RUN * TILE + 1) * BLOCK)    /* z: (8, 4 columns of each tile) */

/* ---- from m to tiles: the same for all layers ----------------------------------------------- */

/* A along x: m (8 points) -> one row of z. */
INLINE void
rows_from_points(const float *m, int64_t tiles, float *z)
{
    for (int64_t t = 0; t < tiles; t++, m += BLOCK, z += TILE * BLOCK)
        for (int at = 0; at < BLOCK; at += VEC_LANES) {
            vec d[8], y[4];
            UNROLL for (int j = 0; j < 8; j++)
                d[j] = v_load(m + j * V_POINT + at);
            from_points(d, y);
            UNROLL for (int x = 0; x < 4; x++)
                v_store(z + x * BLOCK + at, y[x]);
        }
}

/* A along y, bias, ReLU: 8 rows of z -> the 16 pixels of a tile.  A NaN passes and is seen. */
INLINE void
columns_to_relu(const float *z, const float *bias, float *tile)
{
    for (int at = 0; at < TILE * BLOCK; at += VEC_LANES) {
        vec d[8], y[4], b = v_load(bias + at % BLOCK);
        UNROLL for (int i = 0; i < 8; i++)
            d[i] = v_load(z + i * Z_ROW + at);
        from_points(d, y);
        UNROLL for (int k = 0; k < 4; k++)
            v_store(tile + k * TILE * BLOCK + at, v_max(v_all(0), y[k] + b));
    }
}

/* What of a tile at pixel (y, x) lies outside of the map is 0: the padding of the next layer. */
static void
clear_outside(const ps_tower *tower, int64_t y, int64_t x, float *tile)
{
    if (y >= 0 && x >= 0 && y + TILE <= tower->h && x + TILE <= tower->w)
        return;
    for (int64_t i = 0; i < TILE * TILE; i++) {
        int64_t at_y = y + i / TILE, at_x = x + i % TILE;
        if (at_y < 0 || at_x < 0 || at_y >= tower->h || at_x >= tower->w)
            memset(tile + i * BLOCK, 0, BLOCK * sizeof *tile);
    }
}

/* ---- pixels -> v1 --------------------------------------------------------------------------- */

/* The rows of pixels at hand: row y in place y mod `ring`, a power of two. */
typedef struct {
    int64_t ring, width;
} pixel_rows;

static void
read_rows(const ps_tower *tower, const ps_tower_strip *strip, const pixel_rows *rows,
          int64_t first, int64_t n, int64_t x, float *to)
{
    for (int64_t k = 0; k < tower->in; k++)
        for (int64_t y = first; y < first + n; y++)
            strip->read(strip->source, k, y, x, rows->width,
                        to + (k * rows->ring + (y & (rows->ring - 1))) * rows->width);
}

/* Every second number of a and b, the even or the odd ones. */
INLINE vec
half_of(vec a, vec b, const int odd)
{
    vec_mask pick;

    UNROLL for (int i = 0; i < VEC_LANES; i++)
        pick[i] = 2 * i + odd;
    return __builtin_shuffle(a, b, pick);
}

/* 4 vectors of neighbours -> the 4 phases of as many tiles as a vector has lanes. */
INLINE void
deal(const vec line[4], float *to, int64_t phase)
{
    vec even0 = half_of(line[0], line[1], 0), odd0 = half_of(line[0], line[1], 1);
    vec even1 = half_of(line[2], line[3], 0), odd1 = half_of(line[2], line[3], 1);

    v_store(to, half_of(even0, even1, 0));
    v_store(to + phase, half_of(odd0, odd1, 0));
    v_store(to + 2 * phase, half_of(even0, even1, 1));
    v_store(to + 3 * phase, half_of(odd0, odd1, 1));
}

/* B along y of one channel, dealt: phases (8, 4, padded tiles). */
static void
phases_of(const pixel_rows *rows, const float *pixels, int64_t y, int64_t padded, float *phases)
{
    const float *row[8];
    vec line[8][4];

    for (int i = 0; i < 8; i++)
        row[i] = pixels + ((y + i) & (rows->ring - 1)) * rows->width;
    for (int64_t x = 0; x < rows->width; x += 4 * VEC_LANES) {
        UNROLL for (int part = 0; part < 4; part++) {
            vec d[8], o[8];
            UNROLL for (int i = 0; i < 8; i++)
                d[i] = v_load(row[i] + x + part * VEC_LANES);
            to_points(d, o);
            UNROLL for (int i = 0; i < 8; i++)
                line[i][part] = o[i];
        }
        UNROLL for (int i = 0; i < 8; i++)
            deal(line[i], phases + i * 4 * padded + x / 4, padded);
    }
}

/* v1 of one row of tiles whose pixels begin at row y. */
static void
first_points(const ps_tower *tower, const pixel_rows *rows, int64_t tiles, int64_t y,
             ps_tower_work *work)
{
    int64_t padded = rows->width / 4, in = tower->in;

    for (int64_t k = 0; k < in; k++) {
        phases_of(rows, work->rows + k * rows->ring * rows->width, y, padded, work->phases);
        for (int64_t t = 0; t < tiles; t += BLOCK)
            for (int i = 0; i < 8; i++)
                for (int at = 0; at < BLOCK; at += VEC_LANES) {
                    const float *from = work->phases + i * 4 * padded + t + at;
                    float *to = work->v1 + (t * 64 + i * 8 * BLOCK) * in + k * BLOCK + at;
                    vec d[8], o[8];
                    UNROLL for (int j = 0; j < 4; j++) {
                        d[j] = v_load(from + j * padded);
                        d[j + 4] = v_load(from + j * padded + 1);
                    }
                    to_points(d, o);
                    UNROLL for (int j = 0; j < 8; j++)
                        v_store(to + j * BLOCK * in, o[j]);
                }
    }
}

/* ---- v1 -> tiles ---------------------------------------------------------------------------- */

/* z of one block of outputs: of tiles side by side, or of those whose places in v1 are listed. */
INLINE void
first_convolve(const ps_tower *tower, const int kind, const float *v1, const int32_t *list,
               int64_t out, int64_t tiles, ps_tower_work *work)
{
    int64_t in = tower->in;

    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 8; j++) {
            int64_t p = i * 8 + j;
            factors f = {.a = v1 + p * in * BLOCK, .list = list, .k = in, .parts = 1,
                         .b = tower->u1 + (p * tower->blocks + out) * in * BLOCK};
            product(tiles, kind, 1, BLOCK, &f, work->m + j * V_POINT, 0);
        }
        rows_from_points(work->m, tiles, work->z + i * Z_ROW);
    }
}

/* A row of tiles at pixel (y, x): (blocks, tiles) of them to `out`. */
static void
first_row(const ps_tower *tower, int64_t tiles, int64_t y, int64_t x, float *out,
          ps_tower_work *work)
{
    for (int64_t t = 0; t < tiles; t += RUN) {
        int64_t run = tiles - t < RUN ? tiles - t : RUN;
        for (int64_t block = 0; block < tower->blocks; block++) {
            first_convolve(tower, REGULAR, work->v1 + t * 64 * tower->in, NULL, block, run, work);
            for (int64_t i = 0; i < run; i++) {
                float *tile = out + (block * tiles + t + i) * TILE_FLOATS;
                columns_to_relu(work->z + i * TILE * BLOCK, tower->bias[0] + block * BLOCK, tile);
                clear_outside(tower, y, x + (t + i) * TILE, tile);
            }
        }
    }
}
#endif
