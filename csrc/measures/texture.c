/* SPDX-License-Identifier: BSD-3-Clause */
/* Haralick's texture (Haralick 1973) in four directions: which levels of grey lie side by side.
 *
 * Names and numbers are those of CellProfiler's MeasureTexture of whole images: 256 levels of the
 * range of the pixels' type, pairs of pixels at 3 pixels' distance, both ways:
 *
 *   00: to the right    01: down to the right    02: down    03: down to the left
 */
#include "measures.h"

#include <math.h>

#define GREYS 256
#define DISTANCE 3
#define DIRECTIONS 4
#define FEATURES 3
#define SMALL "the field is too small for pairs of pixels at this distance"
/* Turned, a direction becomes another; flipped, 01 becomes 03. */
#define DIRECTION(d, same)                                  \
    {"Texture_Contrast_{0}_3_" #d "_256", same, SMALL},     \
        {"Texture_Correlation_{0}_3_" #d "_256", same, SMALL}, \
        {"Texture_Entropy_{0}_3_" #d "_256", same, SMALL}

static const ps_measure_row rows[] = {DIRECTION(00, FLIP), DIRECTION(01, 0),
                                      DIRECTION(02, FLIP), DIRECTION(03, 0)};

/* How often a pixel of grey g has one of grey k in direction d: [g][DIRECTIONS * k + d].  What rows
 * are longer than that keeps those of like greys apart in the cache. */
#define LINE 16
typedef uint32_t counts[GREYS][GREYS * DIRECTIONS + LINE];

/* A pixel's pairs to the right and, unless that row is NULL, down. */
static inline void
count_pixel(counts pairs, const uint8_t *row, const uint8_t *down, int64_t x, int has_left,
            int has_right)
{
    uint32_t *of = pairs[row[x]];

    if (has_right)
        of[DIRECTIONS * row[x + DISTANCE]]++;
    if (!down)
        return;
    if (has_right)
        of[DIRECTIONS * down[x + DISTANCE] + 1]++;
    of[DIRECTIONS * down[x] + 2]++;
    if (has_left)
        of[DIRECTIONS * down[x - DISTANCE] + 3]++;
}

/* Neighbours often are of one grey: they are counted apart. */
static void
count_pairs(int64_t h, int64_t w, const uint8_t *grey, counts pairs[2])
{
    for (int64_t y = 0; y < h; y++) {
        const uint8_t *row = grey + y * w, *down = y + DISTANCE < h ? row + DISTANCE * w : NULL;
        for (int64_t x = 0; x < w; x++) {
            for (; down && x >= DISTANCE && x + 1 + DISTANCE < w; x += 2) {
                count_pixel(pairs[0], row, down, x, 1, 1);
                count_pixel(pairs[1], row, down, x + 1, 1, 1);
            }
            count_pixel(pairs[0], row, down, x, x >= DISTANCE, x + DISTANCE < w);
        }
    }
}

/* Sums over the pairs of greys of one direction. */
typedef struct {
    double total, mean, square, product, contrast, entropy;
} sums;

static void
add(sums *self, int i, int j, double n)
{
    double both = i == j ? n : 2 * n; /* (i, j) and (j, i) */

    self->total += both;
    self->mean += both * (i + j) / 2.0;
    self->square += both * (i * i + j * j) / 2.0;
    self->product += both * i * j;
    self->contrast += both * (i - j) * (i - j);
    self->entropy += both * log2(n);
}

static void
features(const sums *self, double *out)
{
    double mean = self->mean / self->total, variance = self->square / self->total - mean * mean;

    out[0] = self->contrast / self->total;
    out[1] = variance > 1e-12 * mean * mean
                 ? (self->product / self->total - mean * mean) / variance : 1;
    out[2] = log2(self->total) - self->entropy / self->total;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    const ps_channel *in = &field->channels[a];
    uint8_t *grey = NULL;
    counts *pairs = NULL;
    sums of[DIRECTIONS] = {{0}};

    (void)b;
    for (int k = 0; k < DIRECTIONS * FEATURES; k++)
        out[k] = NAN;
    if (in->h <= DISTANCE || in->w <= DISTANCE)
        goto out;
    TRY(ps_space_take(field->space, &grey, in->h * in->w, 1));
    TRY(ps_space_take_zeroed(field->space, &pairs, 2, sizeof *pairs));
    field->kernels->greys_levels(in->h * in->w, in->level, in->base, in->step, grey);
    count_pairs(in->h, in->w, grey, pairs);
    for (int i = 0; i < GREYS; i++)
        for (int j = 0; j <= i; j++)
            for (int d = 0; d < DIRECTIONS; d++) {
                uint32_t n = pairs[0][i][DIRECTIONS * j + d] + pairs[0][j][DIRECTIONS * i + d] +
                             pairs[1][i][DIRECTIONS * j + d] + pairs[1][j][DIRECTIONS * i + d];
                if (n)
                    add(&of[d], i, j, n);
            }
    for (int d = 0; d < DIRECTIONS; d++)
        features(&of[d], out + d * FEATURES);
out:
    return ret;
}

const ps_measure_group ps_group_texture = {OF_CHANNEL, DIRECTIONS * FEATURES, rows, run};
