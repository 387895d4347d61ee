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
#include <stdlib.h>
#include <string.h>

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

typedef uint32_t greys[GREYS][GREYS];

/* Greys as CellProfiler has them: the level's share of the type's range, of 255, rounded. */
static void
take_greys(const ps_channel *in, uint8_t *grey)
{
    uint8_t of_level[PS_LEVELS];

    for (int level = in->min; level <= in->max; level++) {
        double value = rint((in->base + in->step * level) * (GREYS - 1));
        of_level[level] = (uint8_t)(value < 0 ? 0 : value > GREYS - 1 ? GREYS - 1 : value);
    }
    for (int64_t i = 0; i < in->h * in->w; i++)
        grey[i] = of_level[in->level[i]];
}

/* pairs[d][g][k]: how often a pixel of grey g has one of grey k in direction d. */
static void
count_pairs(int64_t h, int64_t w, const uint8_t *grey, greys *pairs)
{
    for (int64_t y = 0; y < h; y++) {
        const uint8_t *row = grey + y * w, *down = row + DISTANCE * w;
        int is_last = y + DISTANCE >= h;
        for (int64_t x = 0; x + DISTANCE < w && is_last; x++)
            pairs[0][row[x]][row[x + DISTANCE]]++;
        for (int64_t x = 0; x < DISTANCE && !is_last; x++) {
            pairs[2][row[x]][down[x]]++;
            pairs[2][row[w - 1 - x]][down[w - 1 - x]]++;
        }
        for (int64_t x = 0; x + DISTANCE < w && !is_last; x++) {
            pairs[0][row[x]][row[x + DISTANCE]]++;
            pairs[1][row[x]][down[x + DISTANCE]]++;
            pairs[3][row[x + DISTANCE]][down[x]]++;
            if (x >= DISTANCE)
                pairs[2][row[x]][down[x]]++;
        }
    }
}

static void
features(const uint32_t (*pairs)[GREYS], double *out)
{
    double total = 0, mean = 0, square = 0, product = 0, contrast = 0, entropy = 0;

    for (int i = 0; i < GREYS; i++)
        for (int j = 0; j <= i; j++) {
            double n = pairs[i][j] + (double)pairs[j][i];
            if (n == 0)
                continue;
            double both = i == j ? n : 2 * n; /* (i, j) and (j, i) */
            total += both;
            mean += both * (i + j) / 2.0;
            square += both * (i * i + j * j) / 2.0;
            product += both * i * j;
            contrast += both * (i - j) * (i - j);
            entropy += both * log2(n);
        }
    mean /= total;
    double variance = square / total - mean * mean;
    out[0] = contrast / total;
    out[1] = variance > 1e-12 * mean * mean ? (product / total - mean * mean) / variance : 1;
    out[2] = log2(total) - entropy / total;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    const ps_channel *in = &field->channels[a];
    uint8_t *grey = NULL;
    greys *pairs = NULL;

    (void)b;
    for (int k = 0; k < DIRECTIONS * FEATURES; k++)
        out[k] = NAN;
    if (in->h <= DISTANCE || in->w <= DISTANCE)
        goto out;
    TRY(ps_array(&grey, in->h * in->w, 1));
    TRY(ps_array_zeroed(&pairs, DIRECTIONS, sizeof *pairs));
    take_greys(in, grey);
    count_pairs(in->h, in->w, grey, pairs);
    for (int d = 0; d < DIRECTIONS; d++)
        features((const uint32_t (*)[GREYS])pairs[d], out + d * FEATURES);
out:
    free(grey);
    free(pairs);
    return ret;
}

const ps_measure_group ps_group_texture = {OF_CHANNEL, DIRECTIONS * FEATURES, rows, run};
