/* SPDX-License-Identifier: BSD-3-Clause */
/* Haralick's texture (Haralick 1973) in four directions: which levels of grey lie side by side.
 *
 * Names and numbers are those of CellProfiler's MeasureTexture of whole images: 256 levels of the
 * range of the pixels' type, pairs of pixels at 3 pixels' distance, both ways:
 *
 *   00: to the right    01: down to the right    02: down    03: down to the left
 *
 * Coarser ones are of means over 2x2 and 4x4 pixels, of all four directions together. */
#include "measures.h"

#include <math.h>
#include <string.h>

#define GREYS 256
#define DISTANCE 3
#define DIRECTIONS 4
#define FEATURES 3
#define COARSE 2 /* octaves of means: 6 and 12 pixels' distance */
#define SMALL "the field is too small for pairs of pixels at this distance"
/* Turned, a direction becomes another; flipped, 01 becomes 03. */
#define DIRECTION(d, same)                                  \
    {"Texture_Contrast_{0}_3_" #d "_256", same, SMALL},     \
        {"Texture_Correlation_{0}_3_" #d "_256", same, SMALL}, \
        {"Texture_Entropy_{0}_3_" #d "_256", same, SMALL}
#define DISTANT(pixels)                                     \
    {"CoarseTexture_Contrast_{0}_" #pixels, PLACE, SMALL},  \
        {"CoarseTexture_Correlation_{0}_" #pixels, PLACE, SMALL}, \
        {"CoarseTexture_Entropy_{0}_" #pixels, PLACE, SMALL}

static const ps_measure_row rows[] = {DIRECTION(00, FLIP), DIRECTION(01, 0),
                                      DIRECTION(02, FLIP), DIRECTION(03, 0)};
static const ps_measure_row coarse_rows[] = {DISTANT(6), DISTANT(12)};

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

/* Levels, or means of them, and what makes greys of a row. */
typedef struct {
    int64_t h, w;
    const void *pixels;
    size_t bytes; /* of a pixel */
    void (*greys)(int64_t n, const void *level, double base, double step, uint8_t *grey);
} plane;

/* Rows are made grey as they come; ring: the last of them, (DISTANCE + 1, w). */
static void
count_pairs(const ps_channel *in, const plane *of, uint8_t *ring, counts pairs)
{
    int64_t w = of->w;

    for (int64_t y = -DISTANCE; y < of->h; y++) {
        int64_t below = y + DISTANCE, x = 0;
        const uint8_t *row = ring + (y + DISTANCE + 1) % (DISTANCE + 1) * w;
        uint8_t *down = below < of->h ? ring + (below + DISTANCE + 1) % (DISTANCE + 1) * w : NULL;
        if (down)
            of->greys(w, (const char *)of->pixels + below * w * (int64_t)of->bytes, in->base,
                      in->step, down);
        for (; y >= 0 && x < w; x++) {
            for (; down && x >= DISTANCE && x + DISTANCE < w; x++)
                count_pixel(pairs, row, down, x, 1, 1);
            count_pixel(pairs, row, down, x, x >= DISTANCE, x + DISTANCE < w);
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
    int is_flat = variance <= 1e-12 * mean * mean;

    out[0] = self->contrast / self->total; /* no pair: NaN, of all three */
    out[1] = is_flat ? 1 : (self->product / self->total - mean * mean) / variance;
    out[2] = log2(self->total) - self->entropy / self->total;
}

/* Greys that a channel has, the least and the largest. */
static void
find_range(const ps_measured *field, const ps_channel *in, uint8_t *range)
{
    const uint16_t ends[2] = {(uint16_t)in->min, (uint16_t)in->max};

    field->kernels->greys_levels(2, ends, in->base, in->step, range);
}

/* Sums of each direction, or of all together, in the first; all 0 where no pair is. */
static int
sum_pairs(const ps_measured *field, const ps_channel *in, const plane *of, int is_pooled,
          sums *sum)
{
    int ret = PS_OK;
    counts *pairs = NULL;
    uint8_t *ring = NULL, range[2];

    TRY(ps_space_take(field->space, &ring, (DISTANCE + 1) * of->w, 1));
    TRY(ps_space_take(field->space, &pairs, 1, sizeof *pairs));
    find_range(field, in, range);
    memset((*pairs)[range[0]], 0, (size_t)(range[1] - range[0] + 1) * sizeof (*pairs)[0]);
    count_pairs(in, of, ring, *pairs);
    for (int i = range[0]; i <= range[1]; i++)
        for (int j = range[0]; j <= i; j++) {
            const uint32_t *one = (*pairs)[i] + DIRECTIONS * j;
            const uint32_t *other = (*pairs)[j] + DIRECTIONS * i;
            uint32_t n[DIRECTIONS];
            for (int d = 0; d < DIRECTIONS; d++)
                n[d] = one[d] + other[d];
            for (int d = 1; d < DIRECTIONS && is_pooled; n[d++] = 0)
                n[0] += n[d];
            for (int d = 0; d < DIRECTIONS; d++)
                if (n[d])
                    add(&sum[d], i, j, n[d]);
        }
out:
    return ret;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    const ps_channel *in = &field->channels[a];
    const plane of = {in->h, in->w, in->level, sizeof *in->level,
                      in->is_counts ? field->kernels->greys_counts : field->kernels->greys_levels};
    sums sum[DIRECTIONS] = {{0}};

    (void)b;
    if (of.h > DISTANCE && of.w > DISTANCE)
        TRY(sum_pairs(field, in, &of, 0, sum));
    for (int d = 0; d < DIRECTIONS; d++)
        features(&sum[d], out + d * FEATURES);
out:
    return ret;
}

static int
run_coarse(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    const ps_channel *in = &field->channels[a];

    (void)b;
    for (int octave = 0; octave < COARSE; octave++) {
        const plane of = {in->h >> (octave + 1), in->w >> (octave + 1), in->half[octave],
                          sizeof(float), field->kernels->greys_means};
        sums sum[DIRECTIONS] = {{0}};
        if (of.h > DISTANCE && of.w > DISTANCE)
            TRY(sum_pairs(field, in, &of, 1, sum));
        features(&sum[0], out + octave * FEATURES);
    }
out:
    return ret;
}

const ps_measure_group ps_group_texture = {OF_CHANNEL, DIRECTIONS * FEATURES, rows, run};
const ps_measure_group ps_group_coarse_texture = {OF_CHANNEL, COARSE * FEATURES, coarse_rows,
                                                  run_coarse};
