/* SPDX-License-Identifier: BSD-3-Clause */
/* The slope of the power spectrum on log-log axes: steep where a field is out of focus.
 *
 * Name and number are those of CellProfiler's MeasureImageQuality: power summed over rings of
 * frequency, from 1 to an eighth of the shorter side, the ring of (y, x) and of (-y - 1, -x - 1)
 * being one.  Only so few frequencies are wanted that the transform is two products with cosines
 * and sines, after pixels that have the same cosine or sine but for its sign are put together:
 *
 *   (h, w) --fold--> (h, 4 parts, w/4) --x waves--> (h, cosine and sine, n)
 *          --fold--> (4 parts, h/4, 2 n) --x waves--> F(y, x), F(-y, x)
 */
#include "measures.h"

#include <math.h>

#define SMALL "the field is too small, or all pixels are equal"

static const ps_measure_row rows[] = {
    {"ImageQuality_PowerLogLogSlope_{0}", LIGHT, SMALL}};

/* Of each of the parts: which wave it is multiplied with, and which frequencies. */
enum { COS_EVEN, COS_ODD, SIN_EVEN, SIN_ODD, PARTS };

/* Waves over one side of the field: positions x, size - x, half - x and half + x are put together;
 * of an odd size, the first two. */
typedef struct {
    int64_t size, half, positions; /* after folding */
    float *wave[PARTS];            /* (positions, frequencies / 2) */
} side;

typedef struct {
    const ps_kernels *kernels;
    int64_t n, wide;   /* frequencies 0 .. n - 1 each way; as padded, a multiple of 32 */
    side across, down;
    float *folded;     /* (PARTS, positions across), or (PARTS, positions down, 2 wide) */
    float *rows;       /* (h, 2 wide): cosine and sine, even frequencies, then odd ones */
    float *columns;    /* (2, wide, 2 wide): the same of those */
} spectrum;

static int
side_init(side *self, int64_t size, int64_t wide, ps_space *space)
{
    int ret = PS_OK;
    float *turned = NULL; /* (2, size): cosine and sine of each share of a turn */

    self->size = size;
    self->half = size / 2;
    self->positions = (size % 2 ? self->half : self->half / 2) + 1;
    TRY(ps_space_take(space, &turned, 2 * size, sizeof *turned));
    for (int64_t k = 0; k < size; k++) {
        double angle = 2 * acos(-1) * (double)k / (double)size;
        turned[k] = (float)cos(angle);
        turned[size + k] = (float)sin(angle);
    }
    for (int part = 0; part < PARTS; part++) {
        const float *of = turned + (part < SIN_EVEN ? 0 : size);
        TRY(ps_space_take(space, &self->wave[part], self->positions * wide / 2, sizeof(float)));
        float *to = self->wave[part];
        for (int64_t x = 0; x < self->positions; x++) {
            int64_t turns = part % 2 ? x : 0; /* 2 x < size: one is less than half a turn more */
            for (int64_t k = 0; k < wide / 2; k++) {
                *to++ = of[turns];
                turns += 2 * x;
                turns -= turns < size ? 0 : size;
            }
        }
    }
out:
    return ret;
}

/* Values at x, size - x, half - x, half + x; those that are not there, or the same, are 0. */
static inline void
fold(float a, float b, float c, float d, float *parts, int64_t step)
{
    parts[COS_EVEN * step] = (a + b) + (c + d);
    parts[COS_ODD * step] = (a + b) - (c + d);
    parts[SIN_EVEN * step] = (a - b) - (c - d);
    parts[SIN_ODD * step] = (a - b) + (c - d);
}

/* Whether position x has a mirror, and whether it has one about the quarter. */
static int
has_mirror(const side *self, int64_t x)
{
    return x > 0 && 2 * x < self->size;
}

static int
has_other(const side *self, int64_t x)
{
    return self->size % 2 == 0 && 2 * x < self->half;
}

static void
fold_row(const spectrum *self, const uint16_t *row, float mean, float *parts)
{
    const side *at = &self->across;
    int64_t size = at->size, half = at->half, n = at->positions;

    for (int64_t x = 0; x < n; x++) {
        if (x == 1 && size % 2 == 0 && n > 2) {
            self->kernels->fold(1, n - 1, row, size, mean, parts, n);
            x = n - 1;
        }
        int mirror = has_mirror(at, x), other = has_other(at, x);
        fold(row[x] - mean, mirror ? row[size - x] - mean : 0,
             other ? row[half - x] - mean : 0,
             other && x > 0 ? row[half + x] - mean : 0, parts + x, n);
    }
}

static void
transform_rows(spectrum *self, const ps_channel *in)
{
    const side *at = &self->across;
    int64_t wide = self->wide, band = 4;

    for (int64_t top = 0; top < in->h; top += band) {
        int64_t m = in->h - top < band ? in->h - top : band;
        for (int64_t i = 0; i < m; i++)
            fold_row(self, in->level + (top + i) * in->w, (float)in->mean,
                     self->folded + i * PARTS * at->positions);
        for (int part = 0; part < PARTS; part++)
            self->kernels->transform(at->positions, m, self->folded + part * at->positions,
                                     PARTS * at->positions, at->wave[part], wide / 2,
                                     self->rows + top * 2 * wide + part * wide / 2, 2 * wide);
    }
}

static void
transform_columns(spectrum *self)
{
    const side *at = &self->down;
    int64_t wide = 2 * self->wide, step = at->positions * wide;
    const float *in = self->rows;

    for (int64_t y = 0; y < at->positions; y++) {
        int mirror = has_mirror(at, y), other = has_other(at, y);
        const float *a = in + y * wide, *b = in + (at->size - y) * wide;
        const float *c = in + (at->half - y) * wide, *d = in + (at->half + y) * wide;
        for (int64_t k = 0; k < wide; k++)
            fold(a[k], mirror ? b[k] : 0, other ? c[k] : 0, other && y > 0 ? d[k] : 0,
                 self->folded + y * wide + k, step);
    }
    for (int part = 0; part < PARTS; part++)
        self->kernels->outer(at->positions, self->wide / 2, at->wave[part], self->wide / 2,
                             self->folded + part * step, wide, wide,
                             self->columns + part * (self->wide / 2) * wide, wide);
}

/* Where frequency k stands among the even ones, then the odd ones. */
static int64_t
place(const spectrum *self, int64_t k)
{
    return k % 2 * self->wide / 2 + k / 2;
}

/* |F|^2 at (y, x), and at (-y, x). */
static void
powers(const spectrum *self, int64_t y, int64_t x, double *at, double *opposite)
{
    int64_t wide = self->wide;
    const float *even = self->columns + place(self, y) * 2 * wide + place(self, x);
    const float *odd = even + 2 * wide * wide;
    double a = even[0], b = odd[0], c = even[wide], d = odd[wide];

    *at = (a - d) * (a - d) + (b + c) * (b + c);
    *opposite = (a + d) * (a + d) + (b - c) * (b - c);
}

/* Power by ring; (y, x), (-y - 1, -x - 1), (y, -x - 1) and (-y - 1, x) are of one. */
static void
sum_rings(const spectrum *self, double *ring)
{
    double at, opposite, unused;

    for (int64_t y = 0; y + 1 < self->n; y++)
        for (int64_t x = 0; x + 1 < self->n; x++) {
            int64_t r = (int64_t)sqrt((double)(y * y + x * x)) + 1;
            if (r >= self->n)
                continue;
            powers(self, y, x, &at, &unused);
            ring[r] += at;
            powers(self, y + 1, x + 1, &at, &unused);
            ring[r] += at;
            powers(self, y, x + 1, &unused, &opposite);
            ring[r] += opposite;
            powers(self, y + 1, x, &unused, &opposite);
            ring[r] += opposite;
        }
}

/* Least squares of log power by log radius, rings 2 and on. */
static double
slope(const double *ring, int64_t n)
{
    double count = 0, x = 0, y = 0, xx = 0, xy = 0;

    for (int64_t r = 2; r < n; r++) {
        if (!(ring[r] > 0))
            continue;
        double a = log((double)r), b = log(ring[r]);
        count++, x += a, y += b, xx += a * a, xy += a * b;
    }
    return count > 1 ? (count * xy - x * y) / (count * xx - x * x) : NAN;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    const ps_channel *in = &field->channels[a];
    int64_t n = (in->h < in->w ? in->h : in->w) / 8, wide = (n + 31) / 32 * 32;
    spectrum self = {.kernels = field->kernels, .n = n, .wide = wide};
    double *ring = NULL;

    (void)b;
    *out = NAN;
    if (n < 4 || in->min == in->max)
        goto out;
    TRY(side_init(&self.across, in->w, wide, field->space));
    TRY(side_init(&self.down, in->h, wide, field->space));
    int64_t across = 4 * self.across.positions, down = self.down.positions * 2 * wide;
    TRY(ps_space_take(field->space, &self.folded, PARTS * (across > down ? across : down),
                      sizeof(float)));
    TRY(ps_space_take(field->space, &self.rows, in->h * 2 * wide, sizeof(float)));
    TRY(ps_space_take(field->space, &self.columns, 2 * wide * 2 * wide, sizeof(float)));
    TRY(ps_space_take_zeroed(field->space, &ring, n, sizeof *ring));
    transform_rows(&self, in);
    transform_columns(&self);
    sum_rings(&self, ring);
    *out = slope(ring, n);
out:
    return ret;
}

const ps_measure_group ps_group_spectrum = {OF_CHANNEL, 1, rows, run};
