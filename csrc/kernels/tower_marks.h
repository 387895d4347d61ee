/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the gradient of a strip's maxima can be: tiles of layers 1 and 2 are marked and listed; and
 * the third layer's own part, which is a sum over maxima alone:
 *
 *     da2[5x5 around] += g * taps,     dtaps += g * a2[5x5 around] */
#ifndef PHENOSCALE_TOWER_MARKS_H
#define PHENOSCALE_TOWER_MARKS_H

#include "tower_first.h"

/* Some rows of windows of a strip, as tiles: ty x tx of layer 3, one more each way of layer 2, two
 * of layer 1. */
typedef struct {
    int64_t row, rows;    /* windows, within the strip */
    int64_t top, left;    /* first pixel */
    int64_t ty, tx;
    pixel_rows pixels;    /* all of the band's */
} band;

enum { A1, DA1, A2, DA2 };

/* ---- maxima --------------------------------------------------------------------------------- */

/* Call `each` for every live maximum: its pixel in the band, channel, gradient. */
#define FOR_MAXIMA(EACH)                                                                        \
    for (int64_t wy = 0; wy < b->rows; wy++)                                                    \
        for (int64_t wx = 0; wx < strip->windows_w; wx++) {                                     \
            int64_t at = ((strip->window_y + b->row + wy) * (tower->w / tower->window) +        \
                          strip->window_x + wx) * tower->c;                                     \
            for (int64_t k = 0; k < tower->c; k++)                                              \
                if (strip->out[at + k] > 0) {                                                   \
                    int64_t place = strip->index[at + k];                                       \
                    int64_t y = wy * tower->window + place / tower->window;                     \
                    int64_t x = wx * tower->window + place % tower->window;                     \
                    EACH;                                                                       \
                }                                                                               \
        }

/* Places of the 5x5 pixels of layer 2 that pixel (y, x) of layer 3 reads, in a map of tiles. */
INLINE void
patch(const band *b, int64_t y, int64_t x, int64_t at[25])
{
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++)
            at[i * 5 + j] = (((y + i) / TILE * (b->tx + 1) + (x + j) / TILE) * TILE * TILE +
                             (y + i) % TILE * TILE + (x + j) % TILE) * BLOCK;
}

static void
mark(const band *b, int64_t y, int64_t x, unsigned char *touched)
{
    unsigned char *row = touched + y / TILE * (b->tx + 1);
    unsigned char *below = touched + (y + 4) / TILE * (b->tx + 1);

    row[x / TILE] = row[(x + 4) / TILE] = below[x / TILE] = below[(x + 4) / TILE] = 1;
}

/* da2 += g * taps */
static void
scatter(const ps_tower *tower, const band *b, int64_t y, int64_t x, int64_t k, float g,
        float *map)
{
    int64_t at[25], size = (b->ty + 1) * (b->tx + 1) * TILE_FLOATS, n = tower->blocks;
    const float *taps = tower->taps + k * 25 * n * BLOCK;

    patch(b, y, x, at);
    for (int64_t block = 0; block < n; block++)
        for (int i = 0; i < 25; i++)
            for (int u = 0; u < BLOCK; u += VEC_LANES) {
                float *to = map + block * size + at[i] + u;
                v_store(to, v_fma(v_all(g), v_load(taps + (i * n + block) * BLOCK + u),
                                  v_load(to)));
            }
}

/* dtaps += g * a2 */
static void
gather(const ps_tower *tower, const band *b, int64_t y, int64_t x, float g, const float *map,
       float *dtaps)
{
    int64_t at[25], size = (b->ty + 1) * (b->tx + 1) * TILE_FLOATS, n = tower->blocks;

    patch(b, y, x, at);
    for (int64_t block = 0; block < n; block++)
        for (int i = 0; i < 25; i++)
            for (int u = 0; u < BLOCK; u += VEC_LANES) {
                float *to = dtaps + (i * n + block) * BLOCK + u;
                v_store(to, v_fma(v_all(g), v_load(map + block * size + at[i] + u), v_load(to)));
            }
}

/* ---- marked tiles --------------------------------------------------------------------------- */

/* Numbers of the marked tiles among n, and their gradients set to 0. */
static int64_t
list_marked(const ps_tower *tower, const unsigned char *touched, int64_t n, float *gradient,
            int32_t *list)
{
    int64_t found = 0;

    for (int64_t i = 0; i < n; i++) {
        if (!touched[i])
            continue;
        list[found++] = (int32_t)i;
        for (int64_t block = 0; block < tower->blocks && gradient; block++)
            memset(gradient + (block * n + i) * TILE_FLOATS, 0, TILE_FLOATS * sizeof *gradient);
    }
    return found;
}

static void
mark_layers(const ps_tower *tower, ps_tower_strip *strip, const band *b,
            ps_tower_work *work, int64_t count[2])
{
    unsigned char *touched1 = work->touched[0], *touched2 = work->touched[1];
    int64_t n1 = (b->ty + 2) * (b->tx + 2), n2 = (b->ty + 1) * (b->tx + 1);

    memset(touched1, 0, (size_t)n1);
    memset(touched2, 0, (size_t)n2);
    FOR_MAXIMA(mark(b, y, x, touched2))
    for (int64_t y = 0; y < b->ty + 1; y++)
        for (int64_t x = 0; x < b->tx + 1; x++)
            if (touched2[y * (b->tx + 1) + x]) {
                unsigned char *to = touched1 + y * (b->tx + 2) + x;
                to[0] = to[1] = to[b->tx + 2] = to[b->tx + 3] = 1;
            }
    count[0] = list_marked(tower, touched1, n1, work->map[DA1], work->list[0]);
    count[1] = list_marked(tower, touched2, n2, work->map[DA2], work->list[1]);
}
#endif
