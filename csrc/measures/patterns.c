/* SPDX-License-Identifier: BSD-3-Clause */
/* Rotation-invariant local binary patterns (Ojala 2002) at 1, 2 and 4 pixels: the share of pixels
 * of each kind of neighbourhood.
 *
 * A pixel's eight neighbours make a circle of bits, at least as bright or not.  Kinds 0 to 8 are
 * those whose circle changes twice at most, by the number of bright ones: 0 a bright spot, 8 a
 * dark one or flat, 4 an edge.  The rest is all other circles. */
#include "measures.h"

#include <math.h>

#define KINDS 10
#define SCALES 3
#define SMALL "the field is too small for this scale"
#define ONE(scale, kind) {"Patterns_" #scale "_" #kind "_{0}", LIGHT | PLACE, SMALL}
#define SCALE(k)                                                                               \
    ONE(k, 0), ONE(k, 1), ONE(k, 2), ONE(k, 3), ONE(k, 4), ONE(k, 5), ONE(k, 6), ONE(k, 7),    \
        ONE(k, 8), ONE(k, Other)

static const ps_measure_row rows[] = {SCALE(1), SCALE(2), SCALE(4)};

typedef void (*pattern_function)(int64_t n, const void *above, const void *middle,
                                 const void *below, int64_t *count);

static void
one_scale(pattern_function pattern, const char *plane, size_t pixel, int64_t h, int64_t w,
          double *out)
{
    int64_t count[KINDS] = {0}, total = (h - 2) * (w - 2);
    int64_t row = w * (int64_t)pixel;

    for (int64_t y = 1; y + 1 < h; y++)
        pattern(w, plane + (y - 1) * row, plane + y * row, plane + (y + 1) * row, count);
    for (int kind = 0; kind < KINDS; kind++)
        out[kind] = h > 2 && w > 2 ? (double)count[kind] / (double)total : NAN;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    const ps_channel *in = &field->channels[a];

    (void)b;
    one_scale(field->kernels->patterns_levels, (const char *)in->level, sizeof *in->level, in->h,
              in->w, out);
    for (int scale = 1; scale < SCALES; scale++)
        one_scale(field->kernels->patterns_floats, (const char *)in->half[scale - 1],
                  sizeof(float), in->h >> scale, in->w >> scale, out + scale * KINDS);
    return PS_OK;
}

const ps_measure_group ps_group_patterns = {OF_CHANNEL, SCALES * KINDS, rows, run};
