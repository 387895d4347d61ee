/* SPDX-License-Identifier: BSD-3-Clause */
/* How sharp a channel is, and how even its light: by windows of about 20 x 20 pixels.
 *
 * The local focus score is CellProfiler's (MeasureImageQuality, windows of 20): the spread of the
 * windows' variance over mean.  Means of windows also tell how the brightness leans to a side, and
 * how it falls off from the middle. */
#include "measures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 20
#define FLAT "all pixels are equal"
#define DARK "the mean is not above 0"

/* Windows need not fall alike from both sides, where 20 does not divide a side. */
static const ps_measure_row rows[] = {
    {"ImageQuality_LocalFocusScore_{0}_20", 0, DARK},
    {"ImageQuality_Laplacian_{0}", LIGHT | PLACE, FLAT},
    {"Gradient_Lean_{0}", GAIN, DARK},
    {"Gradient_Falloff_{0}", GAIN, DARK}};
#define ROWS (int)(sizeof rows / sizeof *rows)

typedef struct {
    int64_t rows, columns;
    double *sum, *squares, *n; /* (rows, columns), of levels */
    double bent;               /* sum of squares of the Laplacian of all inner pixels */
} windows;

/* Windows as CellProfiler lays them: as many as are needed, then spread evenly. */
static int
take_windows(const ps_measured *field, const ps_channel *in, windows *self)
{
    int ret = PS_OK;
    int64_t h = in->h, w = in->w;
    uint32_t *sum = NULL; /* (w), of the columns of one row of windows */
    uint64_t *squares = NULL;

    self->rows = (h + WINDOW - 1) / WINDOW;
    self->columns = (w + WINDOW - 1) / WINDOW;
    TRY(ps_space_take_zeroed(field->space, &self->sum, 3 * self->rows * self->columns,
                             sizeof *self->sum));
    self->squares = self->sum + self->rows * self->columns;
    self->n = self->squares + self->rows * self->columns;
    TRY(ps_space_take(field->space, &sum, w, sizeof *sum));
    TRY(ps_space_take(field->space, &squares, w, sizeof *squares));
    for (int64_t i = 0, y = 0, at = 0; i < self->rows; i++) {
        int64_t top = y;
        memset(sum, 0, (size_t)w * sizeof *sum);
        memset(squares, 0, (size_t)w * sizeof *squares);
        for (; y < h && y * self->rows / h == i; y++) {
            const uint16_t *row = in->level + y * w;
            field->kernels->columns(w, row, sum, squares);
            if (y > 0 && y + 1 < h)
                self->bent += field->kernels->laplacian(w, row - w, row, row + w);
        }
        for (int64_t j = 0, x = 0; j < self->columns; j++, at++) {
            int64_t first = x, end = ((j + 1) * w + self->columns - 1) / self->columns;
            for (; x < end; x++) {
                self->sum[at] += (double)sum[x];
                self->squares[at] += (double)squares[x];
            }
            self->n[at] = (double)((x - first) * (y - top));
        }
    }
out:
    return ret;
}

static int
by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Variance of the windows' (variance over mean), over their median. */
static double
local_focus(const ps_channel *in, const windows *at, double *ratio)
{
    int64_t n = 0;
    double mean = 0, variance = 0;

    for (int64_t i = 0; i < at->rows * at->columns; i++) {
        double level = at->sum[i] / at->n[i], value = in->base + in->step * level;
        double spread = at->squares[i] / at->n[i] - level * level;
        if (value != 0)
            ratio[n++] = in->step * in->step * spread / value;
    }
    if (n == 0)
        return NAN;
    for (int64_t i = 0; i < n; i++)
        mean += ratio[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        variance += (ratio[i] - mean) * (ratio[i] - mean) / (double)n;
    qsort(ratio, (size_t)n, sizeof *ratio, by_size);
    double median = (ratio[(n - 1) / 2] + ratio[n / 2]) / 2;
    return median > 0 ? variance / median : 0;
}

/* A window's place along a side: -1 to 1. */
static double
along(int64_t i, int64_t n)
{
    return n > 1 ? 2.0 * (double)i / (double)(n - 1) - 1 : 0;
}

/* Least squares over the windows: how far the light leans from one side to the other, and how far
 * it falls from the middle to the edges, as shares of the mean. */
static void
slopes(const ps_channel *in, const windows *at, double *lean, double *falloff)
{
    double value[3] = {0}, squares[3] = {0}, middle = 0, mean = 0;
    int64_t n = at->rows * at->columns;

    for (int64_t i = 0; i < n; i++) {
        double y = along(i / at->columns, at->rows), x = along(i % at->columns, at->columns);
        mean += (in->base + in->step * at->sum[i] / at->n[i]) / (double)n;
        middle += (x * x + y * y) / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        double y = along(i / at->columns, at->rows), x = along(i % at->columns, at->columns);
        double place[3] = {y, x, x * x + y * y - middle};
        for (int k = 0; k < 3; k++) {
            value[k] += place[k] * (in->base + in->step * at->sum[i] / at->n[i]);
            squares[k] += place[k] * place[k];
        }
    }
    for (int k = 0; k < 3; k++)
        value[k] = squares[k] > 1e-9 ? value[k] / squares[k] / mean : 0;
    *lean = mean > 0 ? 2 * hypot(value[0], value[1]) : NAN;
    *falloff = mean > 0 ? -value[2] : NAN;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    const ps_channel *in = &field->channels[a];
    windows at = {0};
    double *ratio = NULL;
    int64_t inner = (in->h - 2) * (in->w - 2);

    (void)b;
    TRY(take_windows(field, in, &at));
    TRY(ps_space_take(field->space, &ratio, at.rows * at.columns, sizeof *ratio));
    out[0] = local_focus(in, &at, ratio);
    out[1] = in->variance > 0 && in->h > 2 && in->w > 2
                 ? at.bent / (double)inner / in->variance : NAN;
    slopes(in, &at, &out[2], &out[3]);
out:
    return ret;
}

const ps_measure_group ps_group_quality = {OF_CHANNEL, ROWS, rows, run};
