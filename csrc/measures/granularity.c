/* SPDX-License-Identifier: BSD-3-Clause */
/* How much of a channel's brightness is in grains of each size.
 *
 * Names and numbers are those of CellProfiler's MeasureGranularity as it comes: every fourth pixel,
 * less a background of every fourth of those opened by a disk of radius 10; then eroded by a cross
 * again and again.  After each erosion what can be rebuilt beneath the original (Vincent 1993) is
 * what grains of that size and larger hold; the percentage lost in a step is its number.
 *
 * All sizes are rebuilt at once, side by side: sweeps down and up the rows, in which every
 * pixel rises to its neighbours, but not over the original. */
#include "measures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIZES PS_SIZES
#define EVERY 4
#define RADIUS 10
#define DARK "the channel is flat once its background is taken away"
#define SIZE(k) {"Granularity_" #k "_{0}", LIGHT, DARK}

static const ps_measure_row rows[] = {
    SIZE(1), SIZE(2), SIZE(3), SIZE(4), SIZE(5), SIZE(6), SIZE(7), SIZE(8)};

typedef struct {
    int64_t h, w;
    float *value;  /* (h, w) */
} plane;

static int
plane_init(plane *self, int64_t h, int64_t w)
{
    self->h = h;
    self->w = w;
    return ps_array(&self->value, h * w, sizeof *self->value);
}

/* ---- background ------------------------------------------------------------------------- */

/* The least (sign 1) or the largest (-1) within a disk. */
static void
extreme(const plane *in, int radius, float sign, plane *out)
{
    for (int64_t i = 0; i < in->h * in->w; i++)
        out->value[i] = INFINITY;
    for (int dy = -radius; dy <= radius; dy++) {
        int reach = (int)sqrt((double)(radius * radius - dy * dy));
        for (int64_t y = dy < 0 ? -dy : 0; y < in->h && y + dy < in->h; y++)
            for (int dx = -reach; dx <= reach; dx++) {
                int64_t from = dx < 0 ? -dx : 0, end = in->w - (dx > 0 ? dx : 0);
                const float *restrict a = in->value + (y + dy) * in->w + dx;
                float *restrict b = out->value + y * in->w;
                for (int64_t x = from; x < end; x++)
                    b[x] = sign * a[x] < b[x] ? sign * a[x] : b[x];
            }
    }
    for (int64_t i = 0; i < in->h * in->w; i++)
        out->value[i] *= sign;
}

/* Between the pixels of a plane; 0 outside. */
static double
between(const plane *in, double y, double x)
{
    if (!(y >= 0 && x >= 0 && y <= (double)(in->h - 1) && x <= (double)(in->w - 1)))
        return 0;
    int64_t i = (int64_t)y, j = (int64_t)x;
    i -= i == in->h - 1 && i > 0;
    j -= j == in->w - 1 && j > 0;
    const float *at = in->value + i * in->w + j;
    double u = y - (double)i, v = x - (double)j;
    double right = in->w > 1 ? at[1] : at[0], below = in->h > 1 ? at[in->w] : at[0];
    double across = in->w > 1 && in->h > 1 ? at[in->w + 1] : in->h > 1 ? below : right;
    return (1 - u) * ((1 - v) * at[0] + v * right) + u * ((1 - v) * below + v * across);
}

/* Every fourth pixel, less the background, at least 0. */
static int
take(const ps_channel *in, plane *self)
{
    int ret = PS_OK;
    plane small = {0}, least = {0};
    double h = (double)in->h / EVERY, w = (double)in->w / EVERY;

    TRY(plane_init(self, (in->h + EVERY - 1) / EVERY, (in->w + EVERY - 1) / EVERY));
    TRY(plane_init(&small, (int64_t)ceil(h / EVERY), (int64_t)ceil(w / EVERY)));
    TRY(plane_init(&least, small.h, small.w));
    for (int64_t y = 0; y < self->h; y++)
        for (int64_t x = 0; x < self->w; x++)
            self->value[y * self->w + x] = in->level[EVERY * y * in->w + EVERY * x];
    for (int64_t y = 0; y < small.h; y++)
        for (int64_t x = 0; x < small.w; x++)
            small.value[y * small.w + x] = self->value[EVERY * y * self->w + EVERY * x];
    extreme(&small, RADIUS, 1, &least);
    extreme(&least, RADIUS, -1, &small);
    double y_step = (h / EVERY - 1) / (h - 1), x_step = (w / EVERY - 1) / (w - 1);
    for (int64_t y = 0; y < self->h; y++)
        for (int64_t x = 0; x < self->w; x++) {
            float *at = &self->value[y * self->w + x];
            float left = *at - (float)between(&small, (double)y * y_step, (double)x * x_step);
            *at = left > 0 ? left : 0;
        }
out:
    free(small.value);
    free(least.value);
    return ret;
}

/* ---- erosion and rebuilding ------------------------------------------------------------- */

/* Eroded by a cross: the least of a pixel and its four neighbours. */
static void
erode(int64_t h, int64_t w, const float *in, float *out)
{
    for (int64_t y = 0; y < h; y++) {
        const float *at = in + y * w, *up = y ? at - w : at, *down = y + 1 < h ? at + w : at;
        float *restrict to = out + y * w;
        for (int64_t x = 0; x < w; x++) {
            float least = up[x] < down[x] ? up[x] : down[x];
            to[x] = least < at[x] ? least : at[x];
        }
        for (int64_t x = 1; x < w; x++)
            to[x] = at[x - 1] < to[x] ? at[x - 1] : to[x];
        for (int64_t x = 0; x + 1 < w; x++)
            to[x] = at[x + 1] < to[x] ? at[x + 1] : to[x];
    }
}

/* Sweeps down and up until nothing rises; a row is due where it or the row before it rose. */
static int
rebuild(const ps_kernels *kernels, int64_t h, int64_t w, const float *most, float *sizes)
{
    int ret = PS_OK, is_rising = 1;
    uint8_t *due[2] = {NULL, NULL}; /* rows, of the sweep up, of that down */

    TRY(ps_array(&due[0], 2 * h, 1));
    due[1] = due[0] + h;
    memset(due[0], 1, 2 * (size_t)h);
    while (is_rising) {
        is_rising = 0;
        for (int down = 1; down >= 0; down--)
            for (int64_t i = 0; i < h; i++) {
                int64_t y = down ? i : h - 1 - i, step = down ? 1 : -1;
                const float *beside = sizes + (i ? y - step : y) * w * SIZES;
                if (!due[down][y])
                    continue;
                due[down][y] = 0;
                if (!kernels->rise(w, step, most + y * w, beside, sizes + y * w * SIZES))
                    continue;
                is_rising = due[1 - down][y] = 1;
                if (y + 1 < h)
                    due[1][y + 1] = 1;
                if (y > 0)
                    due[0][y - 1] = 1;
            }
    }
out:
    free(due[0]);
    return ret;
}

/* Percentages lost from size to size. */
static int
lose(const ps_kernels *kernels, const plane *in, double *out)
{
    int ret = PS_OK;
    int64_t n = in->h * in->w;
    float *sizes = NULL, *eroded = NULL; /* (n, SIZES), (SIZES, n) */
    double sums[SIZES + 1] = {0};

    TRY(ps_array(&sizes, n * SIZES, sizeof *sizes));
    TRY(ps_array(&eroded, n * SIZES, sizeof *eroded));
    for (int k = 0; k < SIZES; k++)
        erode(in->h, in->w, k ? eroded + (k - 1) * n : in->value, eroded + k * n);
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < SIZES; k++)
            sizes[i * SIZES + k] = eroded[k * n + i];
    TRY(rebuild(kernels, in->h, in->w, in->value, sizes));
    for (int64_t i = 0; i < n; i++) {
        sums[0] += in->value[i];
        for (int k = 0; k < SIZES; k++)
            sums[k + 1] += sizes[i * SIZES + k];
    }
    for (int k = 0; k < SIZES; k++)
        out[k] = sums[0] > 0 ? 100 * (sums[k] - sums[k + 1]) / sums[0] : NAN;
out:
    free(sizes);
    free(eroded);
    return ret;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    plane in = {0};

    (void)b;
    TRY(take(&field->channels[a], &in));
    TRY(lose(field->kernels, &in, out));
out:
    free(in.value);
    return ret;
}

const ps_measure_group ps_group_granularity = {OF_CHANNEL, SIZES, rows, run};
