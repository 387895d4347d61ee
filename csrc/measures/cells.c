/* SPDX-License-Identifier: BSD-3-Clause */
/* How many nuclei a field has, without a size or a threshold to set.
 *
 *   means over 4x4 --Laplacian of Gaussians, nine sizes (Lindeberg 1998)--> the size with most
 *   energy is that of the nuclei --maxima there, largest first, each flooding down until it meets
 *   a higher one--> those that stand out: twice as high as where they meet, a quarter of the
 *   brightest tenth, and above the camera's noise
 *
 * A maximum on the edge of the field is half a nucleus: the other half of them have their centres
 * outside. */
#include "measures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIZES 9
#define REACH 32    /* pixels of that plane to a side, more than three of the largest size */
#define STANDS 0.5  /* share of its height by which a maximum stands out from a higher one */
#define BRIGHT 0.25 /* share of the brightest tenth's median that it must have */
#define NOISE 6     /* standard deviations of the camera's noise that it must have */
#define PIXELS 4    /* of the field, to one of the plane looked at */
#define LEAST 16    /* pixels of that plane each way */
#define SMALL "the field is too small"

static const ps_measure_row rows[] = {
    {"Cells_Count_{0}", LIGHT | PLACE, SMALL},
    {"Cells_Spacing_{0}", LIGHT | PLACE, "fewer than two cells"}, /* to the nearest, mean, pixels */
    {"Cells_Radius_{0}", LIGHT | PLACE, SMALL}};                  /* of the nuclei, pixels */
#define ROWS (int)(sizeof rows / sizeof *rows)

typedef struct {
    const ps_kernels *kernels;
    int64_t h, w;
    const float *plane;        /* (h, w) */
    float *across, *smooth;    /* (h, w): workspace */
    float *response, *best;    /* (h, w): of one size, of the size with most energy */
    double energy[SIZES];
    double size;               /* that size, pixels of the plane: a Gaussian's deviation */
    int32_t *order, *above;    /* (h * w): pixels, highest first; where each belongs, -1: nowhere */
    int32_t *peaks;            /* (n) pixels that are nuclei */
    int64_t n, on_edge;
} search;

static double
size_of(int k)
{
    return pow(2, k / 3.0);
}

static int64_t
clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Smoothed by a Gaussian, the edge's pixels going on beyond it. */
static void
smooth(search *self, double size)
{
    float taps[REACH + 1], *padded = self->response; /* free until it is filled */
    const float *near[2 * REACH + 1], **middle = near + REACH;
    int64_t reach = (int64_t)(3 * size + 0.5), h = self->h, w = self->w;
    double total = 0;

    for (int64_t i = -reach; i <= reach; i++)
        total += exp(-(double)(i * i) / (2 * size * size));
    for (int64_t i = 0; i <= reach; i++)
        taps[i] = (float)(exp(-(double)(i * i) / (2 * size * size)) / total);
    for (int64_t i = -reach; i <= reach; i++)
        middle[i] = padded + reach + i;
    for (int64_t y = 0; y < h; y++) {
        for (int64_t x = -reach; x < w + reach; x++)
            padded[x + reach] = self->plane[y * w + clamp(x, w)];
        self->kernels->blur(w, reach, taps, middle, self->across + y * w);
    }
    for (int64_t y = 0; y < h; y++) {
        for (int64_t i = -reach; i <= reach; i++)
            middle[i] = self->across + clamp(y + i, h) * w;
        self->kernels->blur(w, reach, taps, middle, self->smooth + y * w);
    }
}

/* How much brighter than around it, at a size. */
static double
respond(search *self, double size)
{
    int64_t h = self->h, w = self->w;
    double energy = 0;

    smooth(self, size);
    for (int64_t y = 0; y < h; y++) {
        const float *at = self->smooth + y * w, *up = y ? at - w : at;
        const float *down = y + 1 < h ? at + w : at;
        float *restrict out = self->response + y * w, scale = (float)(size * size);
        for (int64_t x = 1; x + 1 < w; x++)
            out[x] = scale * (4 * at[x] - (up[x] + down[x] + at[x - 1] + at[x + 1]));
        for (int64_t x = 0; x < w; x += w - 1) /* w is more than 1 */
            out[x] = scale * (4 * at[x] - (up[x] + down[x] + at[clamp(x - 1, w)] +
                                           at[clamp(x + 1, w)]));
        energy += self->kernels->dot(w, out, out);
    }
    return energy;
}

/* The response at the size with most energy, and that size between the sizes tried. */
static void
find_size(search *self)
{
    int best = 0;

    for (int k = 0; k < SIZES; k++) {
        self->energy[k] = respond(self, size_of(k));
        if (k == 0 || self->energy[k] > self->energy[best]) {
            float *swap = self->best;
            best = k;
            self->best = self->response;
            self->response = swap;
        }
    }
    self->size = size_of(best);
    if (best > 0 && best + 1 < SIZES) {
        double a = self->energy[best - 1], b = self->energy[best], c = self->energy[best + 1];
        self->size *= pow(2, (a - c) / (2 * (a - 2 * b + c)) / 3);
    }
}

static int32_t
root(int32_t *above, int32_t i)
{
    while (above[i] != i) {
        above[i] = above[above[i]];
        i = above[i];
    }
    return i;
}

/* Pixels above 0, highest first. */
static int32_t
sort(search *self)
{
    int32_t n = 0, *from = self->order, *to = self->above;
    uint32_t bits;

    for (int32_t i = 0; i < (int32_t)(self->h * self->w); i++)
        if (self->best[i] > 0)
            from[n++] = i;
    for (int shift = 0; shift < 32; shift += 8) { /* a float above 0 sorts as its bits */
        int32_t count[257] = {0}, *swap = from;
        for (int32_t i = 0; i < n; i++) {
            memcpy(&bits, &self->best[from[i]], sizeof bits);
            count[256 - (bits >> shift & 255)]++;
        }
        for (int k = 0; k < 256; k++)
            count[k + 1] += count[k];
        for (int32_t i = 0; i < n; i++) {
            memcpy(&bits, &self->best[from[i]], sizeof bits);
            to[count[255 - (bits >> shift & 255)]++] = from[i];
        }
        from = to;
        to = swap;
    }
    return n;
}

static void
keep(search *self, int32_t peak, double meets)
{
    if (self->best[peak] - meets > STANDS * self->best[peak])
        self->peaks[self->n++] = peak;
}

/* Floods from the maxima down; a flood that meets one from a higher maximum is over. */
static void
flood(search *self)
{
    int32_t n = sort(self), w = (int32_t)self->w, h = (int32_t)self->h;

    for (int32_t i = 0; i < h * w; i++)
        self->above[i] = -1;
    for (int32_t i = 0; i < n; i++) {
        int32_t at = self->order[i], y = at / w, x = at % w, own = -1;
        for (int32_t near = 0; near < 9; near++) {
            int32_t b = y + near / 3 - 1, a = x + near % 3 - 1, other;
            if (a < 0 || b < 0 || a >= w || b >= h || self->above[b * w + a] < 0)
                continue;
            other = root(self->above, self->above[b * w + a]);
            if (own < 0 || other == own) {
                own = other;
                continue;
            }
            int is_lower = self->best[other] < self->best[own] ||
                           (self->best[other] == self->best[own] && other > own);
            int32_t lower = is_lower ? other : own, higher = is_lower ? own : other;
            keep(self, lower, self->best[at]);
            self->above[lower] = own = higher;
        }
        self->above[at] = own < 0 ? at : own;
    }
    for (int32_t i = 0; i < n; i++)
        if (self->above[self->order[i]] == self->order[i])
            keep(self, self->order[i], 0);
}

static int
by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Leaves the peaks that are bright enough; `noise`: deviation of the response. */
static int
choose(search *self, ps_space *space, double noise)
{
    int ret = PS_OK;
    int64_t kept = 0, top = self->n / 10 > 3 ? self->n / 10 : self->n < 3 ? self->n : 3;
    float *value = NULL;

    if (self->n == 0)
        return PS_OK;
    TRY(ps_space_take(space, &value, self->n, sizeof *value));
    for (int64_t i = 0; i < self->n; i++)
        value[i] = self->best[self->peaks[i]];
    qsort(value, (size_t)self->n, sizeof *value, by_value);
    double bright = BRIGHT * value[self->n - 1 - top / 2];
    bright = bright > NOISE * noise ? bright : NOISE * noise;
    for (int64_t i = 0; i < self->n; i++) {
        int64_t y = self->peaks[i] / self->w, x = self->peaks[i] % self->w;
        if (self->best[self->peaks[i]] <= bright)
            continue;
        self->peaks[kept++] = self->peaks[i];
        self->on_edge += y == 0 || x == 0 || y + 1 == self->h || x + 1 == self->w;
    }
    self->n = kept;
out:
    return ret;
}

/* Mean distance of a peak to the nearest other, pixels of the plane. */
static int
spacing(const search *self, ps_space *space, double *out)
{
    int ret = PS_OK;
    int64_t n = self->n;
    int32_t *y = NULL, *x = NULL; /* (n) */
    double sum = 0;

    TRY(ps_space_take(space, &y, n, sizeof *y));
    TRY(ps_space_take(space, &x, n, sizeof *x));
    for (int64_t i = 0; i < n; i++) {
        y[i] = self->peaks[i] / (int32_t)self->w;
        x[i] = self->peaks[i] % (int32_t)self->w;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t nearest = INT64_MAX;
        for (int64_t j = 0; j < n; j++) {
            int64_t dy = y[i] - y[j], dx = x[i] - x[j];
            if (i != j && dy * dy + dx * dx < nearest)
                nearest = dy * dy + dx * dx;
        }
        sum += sqrt((double)nearest);
    }
    *out = n > 1 ? sum / (double)n : NAN;
out:
    return ret;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    const ps_channel *in = &field->channels[a];
    search self = {.kernels = field->kernels, .h = in->h / PIXELS, .w = in->w / PIXELS,
                   .plane = in->half[1]};
    int64_t n = self.h * self.w, room = n + 64;
    double fine = 0;

    (void)b;
    out[0] = out[1] = out[2] = NAN;
    if (self.h < LEAST || self.w < LEAST)
        goto out;
    TRY(ps_space_take(field->space, &self.across, n, sizeof(float)));
    TRY(ps_space_take(field->space, &self.smooth, n, sizeof(float)));
    TRY(ps_space_take(field->space, &self.response, room, sizeof(float)));
    TRY(ps_space_take(field->space, &self.best, room, sizeof(float)));
    TRY(ps_space_take(field->space, &self.order, n, sizeof(int32_t)));
    TRY(ps_space_take(field->space, &self.above, n, sizeof(int32_t)));
    TRY(ps_space_take(field->space, &self.peaks, n, sizeof(int32_t)));
    find_size(&self);
    flood(&self);
    /* noise of a pixel: four thirds of the energy of the finest detail; of a mean over 4x4 a
     * quarter; of the response that over size and the root of 2 pi */
    fine = ps_band_energy(field, a, 0);
    TRY(choose(&self, field->space,
               sqrt(4.0 / 3 * fine) / PIXELS / self.size / sqrt(2 * acos(-1))));
    out[0] = (double)self.n - 0.5 * (double)self.on_edge;
    TRY(spacing(&self, field->space, &out[1]));
    out[1] *= PIXELS;
    out[2] = PIXELS * sqrt(2) * self.size;
out:
    return ret;
}

const ps_measure_group ps_group_cells = {OF_NUCLEI, ROWS, rows, run};
