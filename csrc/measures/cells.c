/* SPDX-License-Identifier: BSD-3-Clause */
/* How many nuclei a field has, without a size or a threshold to set.
 *
 *   means over 2x2 and 4x4 --Laplacian of Gaussians, twelve sizes (Lindeberg 1998)--> the size that
 *   answers most is that of the nuclei --maxima at the next smaller, where neighbours are apart,
 *   largest first, each flooding down until it meets a higher one--> those that stand out: twice as
 *   high as where they meet, a quarter of the brightest third, and above the camera's noise
 *
 * A size answers by the sum of what it finds, not of its square, in which a few dead cells would
 * outshine the rest; and that over the fourth root of the size, as clusters and uneven light
 * answer to every large one.
 *
 * A maximum on the edge of the field is half a nucleus: the other half of them have their centres
 * outside. */
#include "measures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIZES 12
#define FINE 3      /* of these are looked for in means over 2x2, the others over 4x4 */
#define LARGE 0.20  /* power of the size by which its answer counts less */
#define FINER 3     /* sizes below that which answers most where nuclei alone are looked for */
#define ALONE 3       /* of that size: how near to a nucleus alone there is no other maximum */
#define REACH 32    /* pixels of a plane to a side, more than three of the largest size */
#define STANDS 0.5  /* share of its height by which a maximum stands out from a higher one */
#define BRIGHT 0.25 /* share of the brightest third's median that it must have */
#define NOISE 6     /* standard deviations of the camera's noise that it must have */
#define LEAST 64    /* pixels of the field each way */
#define SMALL "the field is too small"

static const ps_measure_row rows[] = {
    {"Cells_Count_{0}", LIGHT | PLACE, SMALL},
    {"Cells_Spacing_{0}", LIGHT | PLACE, "fewer than two cells"}, /* to the nearest, mean, pixels */
    {"Cells_Radius_{0}", LIGHT | PLACE, SMALL}};                  /* of the nuclei, pixels */
#define ROWS (int)(sizeof rows / sizeof *rows)

typedef struct {
    const ps_kernels *kernels;
    const ps_channel *in;
    int64_t pixels;            /* of the field, to one of the plane looked at */
    int64_t h, w;
    const float *plane;        /* (h, w) */
    float *across, *smooth;    /* (h, w): workspace */
    float *response;           /* (h, w): of one size */
    double noise;              /* deviation of the response at a size of one pixel */
    int32_t *order, *above;    /* (h * w): pixels, highest first; where each belongs, -1: nowhere */
    int32_t *peaks;            /* (n) pixels that are nuclei */
    int64_t n, on_edge;
} search;

/* A Gaussian's deviation, pixels of the field. */
static double
size_of(int k)
{
    return 2 * pow(2, k / 3.0);
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
        const float *row = self->plane + y * w;
        memcpy(padded + reach, row, (size_t)w * sizeof *row);
        for (int64_t i = 0; i < reach; i++) {
            padded[i] = row[0];
            padded[reach + w + i] = row[w - 1];
        }
        self->kernels->blur(w, reach, taps, middle, self->across + y * w);
    }
    for (int64_t y = 0; y < h; y++) {
        for (int64_t i = -reach; i <= reach; i++)
            middle[i] = self->across + clamp(y + i, h) * w;
        self->kernels->blur(w, reach, taps, middle, self->smooth + y * w);
    }
}

static float
sum_of_sizes(int64_t n, const float *row)
{
    float part[8] = {0}; /* sums that need not wait for one another */
    int64_t x = 0;

    for (; x + 8 <= n; x += 8)
        for (int i = 0; i < 8; i++)
            part[i] += fabsf(row[x + i]);
    for (; x < n; x++)
        part[0] += fabsf(row[x]);
    return (part[0] + part[4]) + (part[1] + part[5]) + (part[2] + part[6]) + (part[3] + part[7]);
}

/* How much brighter than around it, at the k-th size; returns the mean of that without its sign. */
static double
respond(search *self, int k)
{
    self->pixels = k < FINE ? 2 : 4;
    self->plane = self->in->half[k < FINE ? 0 : 1];
    self->h = self->in->h / self->pixels;
    self->w = self->in->w / self->pixels;
    int64_t h = self->h, w = self->w;
    double size = size_of(k) / (double)self->pixels, total = 0;
    /* the means and the Laplacian's own width add a twelfth and an eighth to the variance */
    float scale = (float)(size * size + 5.0 / 24);

    smooth(self, size);
    for (int64_t y = 0; y < h; y++) {
        const float *at = self->smooth + y * w, *up = y ? at - w : at;
        const float *down = y + 1 < h ? at + w : at;
        float *restrict out = self->response + y * w;
        for (int64_t x = 1; x + 1 < w; x++)
            out[x] = scale * (4 * at[x] - (up[x] + down[x] + at[x - 1] + at[x + 1]));
        for (int64_t x = 0; x < w; x += w - 1) /* w is more than 1 */
            out[x] = scale * (4 * at[x] - (up[x] + down[x] + at[clamp(x - 1, w)] +
                                           at[clamp(x + 1, w)]));
        total += sum_of_sizes(w, out);
    }
    return total / (double)(h * w);
}

/* The size that answers most; `between`: the same between the sizes tried, pixels. */
static int
loudest(search *self, double *between)
{
    int best = 0;
    double answer[SIZES];

    for (int k = 0; k < SIZES; k++) {
        answer[k] = respond(self, k) * pow(size_of(k), -LARGE);
        if (answer[k] > answer[best])
            best = k;
    }
    *between = size_of(best);
    if (best > 0 && best + 1 < SIZES) {
        double a = answer[best - 1], b = answer[best], c = answer[best + 1];
        *between *= pow(2, (a - c) / (2 * (a - 2 * b + c)) / 3);
    }
    return best;
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

/* Pixels above a height, highest first. */
static int32_t
sort(search *self, double height)
{
    int32_t n = 0, *from = self->order, *to = self->above;
    uint32_t bits;

    for (int32_t i = 0; i < (int32_t)(self->h * self->w); i++)
        if (self->response[i] > height)
            from[n++] = i;
    for (int shift = 0; shift < 32; shift += 8) { /* a float above 0 sorts as its bits */
        int32_t count[257] = {0}, *swap = from;
        for (int32_t i = 0; i < n; i++) {
            memcpy(&bits, &self->response[from[i]], sizeof bits);
            count[256 - (bits >> shift & 255)]++;
        }
        for (int k = 0; k < 256; k++)
            count[k + 1] += count[k];
        for (int32_t i = 0; i < n; i++) {
            memcpy(&bits, &self->response[from[i]], sizeof bits);
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
    if (self->response[peak] - meets > STANDS * self->response[peak])
        self->peaks[self->n++] = peak;
}

/* Floods from the maxima down to a height; a flood that meets one from a higher maximum is over. */
static void
flood(search *self, double height)
{
    int32_t n = sort(self, height), w = (int32_t)self->w, h = (int32_t)self->h;

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
            int is_lower = self->response[other] < self->response[own] ||
                           (self->response[other] == self->response[own] && other > own);
            int32_t lower = is_lower ? other : own, higher = is_lower ? own : other;
            keep(self, lower, self->response[at]);
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

/* Leaves the peaks that are bright enough: brighter than `least` too. */
static int
choose(search *self, ps_space *space, double least)
{
    int ret = PS_OK;
    int64_t kept = 0, top = self->n / 3 > 3 ? self->n / 3 : self->n < 3 ? self->n : 3;
    float *value = NULL;

    if (self->n == 0)
        return PS_OK;
    TRY(ps_space_take(space, &value, self->n, sizeof *value));
    for (int64_t i = 0; i < self->n; i++)
        value[i] = self->response[self->peaks[i]];
    qsort(value, (size_t)self->n, sizeof *value, by_value);
    double bright = BRIGHT * value[self->n - 1 - top / 2];
    bright = bright > least ? bright : least;
    for (int64_t i = 0; i < self->n; i++) {
        int64_t y = self->peaks[i] / self->w, x = self->peaks[i] % self->w;
        if (self->response[self->peaks[i]] <= bright)
            continue;
        self->peaks[kept++] = self->peaks[i];
        self->on_edge += y == 0 || x == 0 || y + 1 == self->h || x + 1 == self->w;
    }
    self->n = kept;
out:
    return ret;
}

/* The nuclei as the k-th size finds them; at (n, 2): their y, x in halves of the field's pixels. */
static int
find(search *self, ps_space *space, int k, int64_t (**at)[2])
{
    int ret = PS_OK;
    double least = NOISE * self->noise / size_of(k);

    respond(self, k);
    self->n = self->on_edge = 0;
    flood(self, STANDS * least); /* what meets lower stands out anyway */
    TRY(choose(self, space, least));
    TRY(ps_space_take(space, at, self->n, sizeof **at));
    for (int64_t i = 0; i < self->n; i++) {
        (*at)[i][0] = (2 * (self->peaks[i] / self->w) + 1) * self->pixels;
        (*at)[i][1] = (2 * (self->peaks[i] % self->w) + 1) * self->pixels;
    }
out:
    return ret;
}

static double
squared(const int64_t a[2], const int64_t b[2])
{
    return (double)((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]));
}

static float
response_at(const search *self, const int64_t place[2])
{
    int64_t y = clamp(place[0] / (2 * self->pixels), self->h);
    int64_t x = clamp(place[1] / (2 * self->pixels), self->w);

    return self->response[y * self->w + x];
}

/* At which size to count: that of the nuclei that are alone, which have one maximum at a finer size
 * too, at two thirds of them; but below `best`, and right below it where those alone are few. */
static int
of_those_alone(search *self, ps_space *space, int best, int *size)
{
    int ret = PS_OK, finest = best > FINER ? best - FINER : 0, *shows = NULL;
    int64_t n, fine, alone = 0, seen = 0, count[SIZES] = {0}, (*at)[2] = NULL, (*others)[2] = NULL;
    float *most = NULL;
    double reach = 2 * ALONE * size_of(best);

    *size = best > 0 ? best - 1 : 0;
    TRY(find(self, space, finest, &others));
    fine = self->n;
    TRY(find(self, space, *size, &at));
    n = self->n;
    for (int64_t i = 0; i < n; i++) {
        int64_t near = 0, only = 0;
        for (int64_t j = 0; j < fine && near < 2; j++)
            if (squared(at[i], others[j]) <= reach * reach && ++near)
                only = j;
        if (near == 1)
            memcpy(at[alone++], others[only], sizeof *at);
    }
    if (alone < 5 || 2 * alone < n)
        goto out;
    TRY(ps_space_take_zeroed(space, &most, alone, sizeof *most));
    TRY(ps_space_take_zeroed(space, &shows, alone, sizeof *shows));
    for (int k = finest; k < best; k++) {
        respond(self, k);
        for (int64_t i = 0; i < alone; i++)
            if (response_at(self, at[i]) > most[i]) {
                most[i] = response_at(self, at[i]);
                shows[i] = k;
            }
    }
    for (int64_t i = 0; i < alone; i++)
        count[shows[i]]++;
    for (*size = 0; 3 * (seen += count[*size]) <= 2 * alone;)
        ++*size;
out:
    return ret;
}

/* Mean distance of a nucleus to the nearest other, pixels of the field. */
static double
spacing(int64_t n, int64_t (*at)[2])
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        double nearest = INFINITY;
        for (int64_t j = 0; j < n; j++)
            if (i != j && squared(at[i], at[j]) < nearest)
                nearest = squared(at[i], at[j]);
        sum += sqrt(nearest) / 2;
    }
    return n > 1 ? sum / (double)n : NAN;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    const ps_channel *in = &field->channels[a];
    search self = {.kernels = field->kernels, .in = in};
    int64_t n = (in->h / 2) * (in->w / 2), room = n + 2 * REACH;
    int best, size;
    int64_t (*at)[2] = NULL;

    (void)b;
    out[0] = out[1] = out[2] = NAN;
    if (in->h < LEAST || in->w < LEAST)
        goto out;
    TRY(ps_space_take(field->space, &self.across, n, sizeof(float)));
    TRY(ps_space_take(field->space, &self.smooth, n, sizeof(float)));
    TRY(ps_space_take(field->space, &self.response, room, sizeof(float)));
    TRY(ps_space_take(field->space, &self.order, n, sizeof(int32_t)));
    TRY(ps_space_take(field->space, &self.above, n, sizeof(int32_t)));
    TRY(ps_space_take(field->space, &self.peaks, n, sizeof(int32_t)));
    /* of a pixel, four thirds of the energy of the finest detail; of the response that over size
     * and the root of 2 pi, whatever the plane */
    self.noise = sqrt(4.0 / 3 * ps_band_energy(field, a, 0)) / sqrt(2 * acos(-1));
    best = loudest(&self, &out[2]);
    TRY(of_those_alone(&self, field->space, best, &size));
    TRY(find(&self, field->space, size, &at));
    out[0] = (double)self.n - 0.5 * (double)self.on_edge;
    out[1] = spacing(self.n, at);
    out[2] *= sqrt(2);
out:
    return ret;
}

const ps_measure_group ps_group_cells = {OF_NUCLEI, ROWS, rows, run};
