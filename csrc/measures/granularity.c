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
plane_init(plane *self, ps_space *space, int64_t h, int64_t w)
{
    self->h = h;
    self->w = w;
    return ps_space_take(space, &self->value, h * w, sizeof *self->value);
}

/* ---- background ------------------------------------------------------------------------- */

/* Least or, of sign -1, largest within a disk; near: (RADIUS + 1, w), the same within each reach
 * along a row. */
static void
extreme(const plane *in, float sign, float *near, plane *out)
{
    int64_t h = in->h, w = in->w;

    for (int64_t i = 0; i < h * w; i++)
        out->value[i] = INFINITY;
    for (int64_t y = 0; y < h; y++) {
        for (int64_t x = 0; x < w; x++)
            near[x] = sign * in->value[y * w + x];
        for (int reach = 1; reach <= RADIUS; reach++) {
            const float *less = near + (reach - 1) * w;
            float *to = near + reach * w;
            for (int64_t x = 0; x < w; x++) {
                float left = x >= reach ? near[x - reach] : INFINITY;
                float right = x + reach < w ? near[x + reach] : INFINITY;
                float least = left < right ? left : right;
                to[x] = least < less[x] ? least : less[x];
            }
        }
        for (int64_t to = y > RADIUS ? y - RADIUS : 0; to < h && to <= y + RADIUS; to++) {
            int reach = (int)sqrt((double)(RADIUS * RADIUS - (to - y) * (to - y)));
            const float *restrict of = near + reach * w;
            float *restrict least = out->value + to * w;
            for (int64_t x = 0; x < w; x++)
                least[x] = of[x] < least[x] ? of[x] : least[x];
        }
    }
    for (int64_t i = 0; i < h * w; i++)
        out->value[i] *= sign;
}

/* Where a pixel of the plane lies among the background's: the first of two, and how far on. */
typedef struct {
    int64_t first, next;
    double share;  /* -1: outside */
} place;

static place
place_of(int64_t i, double step, int64_t n)
{
    double at = (double)i * step;

    if (!(at >= 0 && at <= (double)(n - 1)))
        return (place){0, 0, -1};
    int64_t first = (int64_t)at < n - 1 || n == 1 ? (int64_t)at : n - 2;
    return (place){first, n > 1 ? first + 1 : first, at - (double)first};
}

/* Less the background, between whose pixels lines are drawn; at least 0. */
static int
subtract(plane *self, const plane *back, double y_step, double x_step, ps_space *space)
{
    int ret = PS_OK;
    place *across = NULL;
    double *line = NULL; /* (w of the background) */

    TRY(ps_space_take(space, &across, self->w, sizeof *across));
    TRY(ps_space_take(space, &line, back->w, sizeof *line));
    for (int64_t x = 0; x < self->w; x++)
        across[x] = place_of(x, x_step, back->w);
    for (int64_t y = 0; y < self->h; y++) {
        place down = place_of(y, y_step, back->h);
        const float *a = back->value + down.first * back->w;
        const float *b = back->value + down.next * back->w;
        for (int64_t x = 0; x < back->w; x++)
            line[x] = down.share < 0 ? 0 : (1 - down.share) * a[x] + down.share * b[x];
        for (int64_t x = 0; x < self->w; x++) {
            place at = across[x];
            float *value = &self->value[y * self->w + x];
            float dark = at.share < 0 ? 0 : (float)((1 - at.share) * line[at.first] +
                                                    at.share * line[at.next]);
            *value = *value > dark ? *value - dark : 0;
        }
    }
out:
    return ret;
}

/* Every fourth pixel, less the background. */
static int
take(const ps_channel *in, plane *self, ps_space *space)
{
    int ret = PS_OK;
    plane small = {0}, least = {0};
    double h = (double)in->h / EVERY, w = (double)in->w / EVERY;
    float *near = NULL;

    TRY(plane_init(self, space, (in->h + EVERY - 1) / EVERY, (in->w + EVERY - 1) / EVERY));
    TRY(plane_init(&small, space, (int64_t)ceil(h / EVERY), (int64_t)ceil(w / EVERY)));
    TRY(plane_init(&least, space, small.h, small.w));
    TRY(ps_space_take(space, &near, (RADIUS + 1) * small.w, sizeof *near));
    for (int64_t y = 0; y < self->h; y++)
        for (int64_t x = 0; x < self->w; x++)
            self->value[y * self->w + x] = in->level[EVERY * y * in->w + EVERY * x];
    for (int64_t y = 0; y < small.h; y++)
        for (int64_t x = 0; x < small.w; x++)
            small.value[y * small.w + x] = self->value[EVERY * y * self->w + EVERY * x];
    extreme(&small, 1, near, &least);
    extreme(&least, -1, near, &small);
    TRY(subtract(self, &small, (h / EVERY - 1) / (h - 1), (w / EVERY - 1) / (w - 1), space));
out:
    return ret;
}

/* ---- erosion and rebuilding ------------------------------------------------------------- */

/* Rows to be looked at by the sweep up, and by that down. */
typedef struct {
    uint8_t *due[2]; /* (h) */
} sweeps;

/* A row that rose is due the other way; so are those beside it, but for the one just told. */
static void
note(sweeps *self, int down, int64_t y, int64_t h, int is_told)
{
    self->due[1 - down][y] = 1;
    if (y + 1 < h && !(down && is_told))
        self->due[1][y + 1] = 1;
    if (y > 0 && (down || !is_told))
        self->due[0][y - 1] = 1;
}

/* Sweeps down and up until nothing rises; a row is due where it or the row before it rose. */
static int
rebuild(const ps_measured *field, const plane *in, float *sizes)
{
    int ret = PS_OK, is_rising = 1;
    int64_t h = in->h, w = in->w;
    sweeps self;

    for (int down = 0; down < 2; down++) {
        TRY(ps_space_take(field->space, &self.due[down], h, 1));
        memset(self.due[down], 1, (size_t)h);
    }
    while (is_rising) {
        is_rising = 0;
        for (int down = 1; down >= 0; down--)
            for (int64_t i = 0; i < h; i++) {
                int64_t y = down ? i : h - 1 - i, step = down ? 1 : -1;
                int together = i + PS_RISING <= h ? PS_RISING : 1;
                if (!self.due[down][y])
                    continue;
                int risen = field->kernels->rise(together, w, step, in->value + y * w,
                                                 sizes + (i ? y - step : y) * w * SIZES,
                                                 sizes + y * w * SIZES);
                is_rising |= risen != 0;
                for (int k = 0; k < together; k++)
                    self.due[down][y + k * step] = 0;
                for (int k = 0; k < together; k++)
                    if (risen >> k & 1)
                        note(&self, down, y + k * step, h, k + 1 < together);
                i += together - 1;
            }
    }
out:
    return ret;
}

/* Percentages lost from size to size. */
static int
lose(const ps_measured *field, const plane *in, double *out)
{
    int ret = PS_OK;
    int64_t n = in->h * in->w;
    float *sizes = NULL, *eroded = NULL; /* (n, SIZES), (SIZES, n) */
    double sums[SIZES + 1] = {0};

    TRY(ps_space_take(field->space, &sizes, n * SIZES, sizeof *sizes));
    TRY(ps_space_take(field->space, &eroded, n * SIZES, sizeof *eroded));
    for (int k = 0; k < SIZES; k++) {
        const float *from = k ? eroded + (k - 1) * n : in->value;
        for (int64_t y = 0, w = in->w; y < in->h; y++)
            field->kernels->erode(w, from + (y > 0 ? y - 1 : y) * w, from + y * w,
                                  from + (y + 1 < in->h ? y + 1 : y) * w, eroded + k * n + y * w);
    }
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < SIZES; k++)
            sizes[i * SIZES + k] = eroded[k * n + i];
    TRY(rebuild(field, in, sizes));
    for (int64_t i = 0; i < n; i++) {
        sums[0] += in->value[i];
        for (int k = 0; k < SIZES; k++)
            sums[k + 1] += sizes[i * SIZES + k];
    }
    for (int k = 0; k < SIZES; k++)
        out[k] = sums[0] > 0 ? 100 * (sums[k] - sums[k + 1]) / sums[0] : NAN;
out:
    return ret;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    plane in = {0};

    (void)b;
    TRY(take(&field->channels[a], &in, field->space));
    TRY(lose(field, &in, out));
out:
    return ret;
}

const ps_measure_group ps_group_granularity = {OF_CHANNEL, SIZES, rows, run};
