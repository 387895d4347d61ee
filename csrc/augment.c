/* SPDX-License-Identifier: BSD-3-Clause */
/* Augmentation of a field in place, in the depth of its file, before the network sees it.
 * What is drawn depends on (seed, epoch, sample, row of the table) and on nothing else. */
#include "internal.h"

#include <math.h>
#include <string.h>

/* A field being augmented, and its random numbers. */
typedef struct {
    int64_t c, h, w;
    ps_dtype dtype;
    char *pixels, *spare; /* (c, h, w), (h, w) */
    ps_chance chance;
    uint64_t row;
} subject;

static double
draw(const subject *self, uint64_t number)
{
    const ps_chance *chance = &self->chance;

    return ps_random_unit(chance->seed, chance->epoch, chance->sample, self->row << 8 | number);
}

static char *
plane(const subject *self, int64_t k)
{
    return self->pixels + k * self->h * self->w * (int64_t)self->dtype;
}

/* ---- what is done to a plane, for each type of pixel ---------------------------------------- */

/* new[y, x] = old[from_y, from_x], the same for every channel: what all moves below are. */
typedef struct {
    int64_t y0, yy, yx, x0, xy, xx; /* from_y = y0 + yy y + yx x, from_x = x0 + xy y + xx x */
} move;

static int64_t
mirrored(int64_t at, int64_t n)
{
    at = at < 0 ? -at - 1 : at;
    return at >= n ? 2 * n - 1 - at : at;
}

#define MOVE_PLANE(NAME, TYPE)                                                             \
    static void NAME(const void *from, void *to, int64_t h, int64_t w, const move *by)     \
    {                                                                                      \
        const TYPE *in = from;                                                             \
        TYPE *out = to;                                                                    \
        for (int64_t y = 0; y < h; y++)                                                    \
            for (int64_t x = 0; x < w; x++)                                                \
                out[y * w + x] = in[mirrored(by->y0 + by->yy * y + by->yx * x, h) * w +    \
                                    mirrored(by->x0 + by->xy * y + by->xx * x, w)];        \
    }
MOVE_PLANE(move_1, uint8_t)
MOVE_PLANE(move_2, uint16_t)
MOVE_PLANE(move_4, float)

/* Mirrored as often as it takes: a corner of a narrow field turns far out of it. */
static int64_t
reflected(int64_t at, int64_t n)
{
    at %= 2 * n;
    at = at < 0 ? at + 2 * n : at;
    return at < n ? at : 2 * n - 1 - at;
}

/* A move in 2^-32 of a pixel, between four of which lies a place. */
#define BLEND_PLANE(NAME, TYPE, HALF)                                                      \
    static void NAME(const void *from, void *to, int64_t h, int64_t w, const move *by)     \
    {                                                                                      \
        const TYPE *in = from;                                                             \
        TYPE *out = to;                                                                    \
        for (int64_t y = 0; y < h; y++) {                                                  \
            int64_t at_y = by->y0 + by->yy * y, at_x = by->x0 + by->xy * y;                \
            for (int64_t x = 0; x < w; x++, at_y += by->yx, at_x += by->xx) {              \
                int64_t y0 = at_y >> 32, y1 = y0 + 1, x0 = at_x >> 32, x1 = x0 + 1;        \
                float dy = (float)(at_y & 0xffffffff) * 0x1p-32f;                          \
                float dx = (float)(at_x & 0xffffffff) * 0x1p-32f;                          \
                if (y0 < 0 || y1 >= h || x0 < 0 || x1 >= w) {                              \
                    y0 = reflected(y0, h), y1 = reflected(y1, h);                          \
                    x0 = reflected(x0, w), x1 = reflected(x1, w);                          \
                }                                                                          \
                const TYPE *a = in + y0 * w, *b = in + y1 * w;                             \
                float above = (float)a[x0] * (1 - dx) + (float)a[x1] * dx;                 \
                float below = (float)b[x0] * (1 - dx) + (float)b[x1] * dx;                 \
                out[y * w + x] = (TYPE)(above * (1 - dy) + below * dy + HALF);             \
            }                                                                              \
        }                                                                                  \
    }
BLEND_PLANE(blend_1, uint8_t, 0.5f)
BLEND_PLANE(blend_2, uint16_t, 0.5f)
BLEND_PLANE(blend_4, float, 0.0f)

/* Each pixel times a factor, clipped to what the type holds. */
#define SCALE_PLANE(NAME, TYPE, TOP, HALF)                                 \
    static void NAME(void *pixels, int64_t n, float factor)                \
    {                                                                      \
        TYPE *at = pixels;                                                 \
        for (int64_t i = 0; i < n; i++) {                                  \
            float value = (float)at[i] * factor + HALF;                    \
            at[i] = TOP > 0 && value > TOP ? (TYPE)TOP : (TYPE)value;      \
        }                                                                  \
    }
SCALE_PLANE(scale_1, uint8_t, 255.0f, 0.5f)
SCALE_PLANE(scale_2, uint16_t, 65535.0f, 0.5f)
SCALE_PLANE(scale_4, float, 0.0f, 0.0f)

#define CHUNK 1024 /* pixels that are floats for a while */

/* n pixels from the i-th on as floats; and back, clipped to what the type holds. */
#define AS_FLOATS(LOAD, STORE, TYPE, TOP, HALF)                              \
    static void LOAD(const void *pixels, int64_t i, int64_t n, float *out)   \
    {                                                                        \
        for (int64_t k = 0; k < n; k++)                                      \
            out[k] = (float)((const TYPE *)pixels)[i + k];                   \
    }                                                                        \
    static void STORE(const float *in, int64_t i, int64_t n, void *pixels)   \
    {                                                                        \
        for (int64_t k = 0; k < n; k++) {                                    \
            float value = TOP > 0 && in[k] < 0 ? 0 : in[k];                  \
            value = TOP > 0 && value > TOP ? TOP : value;                    \
            ((TYPE *)pixels)[i + k] = (TYPE)(value + HALF);                  \
        }                                                                    \
    }
AS_FLOATS(load_1, store_1, uint8_t, 255.0f, 0.5f)
AS_FLOATS(load_2, store_2, uint16_t, 65535.0f, 0.5f)
AS_FLOATS(load_4, store_4, float, 0.0f, 0.0f)

typedef void move_plane(const void *from, void *to, int64_t h, int64_t w, const move *by);

static const struct {
    move_plane *move, *blend;
    void (*scale)(void *pixels, int64_t n, float factor);
    void (*load)(const void *pixels, int64_t i, int64_t n, float *out);
    void (*store)(const float *in, int64_t i, int64_t n, void *pixels);
} depths[] = {[PS_UINT8] = {move_1, blend_1, scale_1, load_1, store_1},
              [PS_UINT16] = {move_2, blend_2, scale_2, load_2, store_2},
              [PS_FLOAT32] = {move_4, blend_4, scale_4, load_4, store_4}};

static void
move_all(const subject *self, move_plane *function, const move *by)
{
    for (int64_t k = 0; k < self->c; k++) {
        memcpy(self->spare, plane(self, k), (size_t)(self->h * self->w) * self->dtype);
        function(self->spare, plane(self, k), self->h, self->w, by);
    }
}

#define LANES 8 /* sums side by side, which no addition has to wait for */

/* Mean and standard deviation of a channel. */
static void
moments(const subject *self, int64_t k, double *mean, double *deviation)
{
    const int64_t n = self->h * self->w;
    double sum[LANES] = {0}, square[LANES] = {0};
    float chunk[CHUNK], first;

    depths[self->dtype].load(plane(self, k), 0, 1, &first);
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t count = n - i < CHUNK ? n - i : CHUNK;
        depths[self->dtype].load(plane(self, k), i, count, chunk);
        for (; count % LANES; count++)
            chunk[count] = first; /* adds nothing */
        for (int64_t at = 0; at < count; at += LANES)
            for (int lane = 0; lane < LANES; lane++) {
                double value = (double)chunk[at + lane] - first; /* small: no digits are lost */
                sum[lane] += value;
                square[lane] += value * value;
            }
    }
    for (int lane = 1; lane < LANES; lane++)
        sum[0] += sum[lane], square[0] += square[lane];
    sum[0] /= (double)n;
    *mean = sum[0] + first;
    *deviation = sqrt(fmax(square[0] / (double)n - sum[0] * sum[0], 0));
}

/* ---- the augmentations ---------------------------------------------------------------------- */

/* Each axis reversed or not. */
static int
flip(const subject *self)
{
    int upside = draw(self, 0) < 0.5, mirror = draw(self, 1) < 0.5;
    move by = {.yy = upside ? -1 : 1, .y0 = upside ? self->h - 1 : 0,
               .xx = mirror ? -1 : 1, .x0 = mirror ? self->w - 1 : 0};

    if (upside || mirror)
        move_all(self, depths[self->dtype].move, &by);
    return PS_OK;
}

/* 0 to 3 quarter turns. */
static int
turn(const subject *self)
{
    int64_t last = self->h - 1;
    const move quarter[4] = {{.yy = 1, .xx = 1},
                             {.yx = 1, .x0 = last, .xy = -1},
                             {.y0 = last, .yy = -1, .x0 = last, .xx = -1},
                             {.y0 = last, .yx = -1, .xy = 1}};
    int turns = (int)(draw(self, 0) * 4);

    if (self->h != self->w)
        return ps_fail(PS_BAD_VALUE, "quarter turns need square fields, not %lld x %lld",
                       (long long)self->h, (long long)self->w);
    if (turns)
        move_all(self, depths[self->dtype].move, &quarter[turns]);
    return PS_OK;
}

/* Up to a sixteenth of each side; the border is mirrored. */
static int
shift(const subject *self)
{
    int64_t reach_y = self->h / 16, reach_x = self->w / 16;
    move by = {.yy = 1, .xx = 1,
               .y0 = (int64_t)(draw(self, 0) * (double)(2 * reach_y + 1)) - reach_y,
               .x0 = (int64_t)(draw(self, 1) * (double)(2 * reach_x + 1)) - reach_x};

    if (by.y0 || by.x0)
        move_all(self, depths[self->dtype].move, &by);
    return PS_OK;
}

/* Each channel times a factor of 0.8 to 1.25, clipped to what the type holds. */
static int
intensity(const subject *self)
{
    for (int64_t k = 0; k < self->c; k++) {
        double u = draw(self, (uint64_t)k);
        double factor = u < 0.5 ? 0.8 + 0.4 * u : 1 / (0.8 + 0.4 * (1 - u));
        depths[self->dtype].scale(plane(self, k), self->h * self->w, (float)factor);
    }
    return PS_OK;
}

/* By up to 10 degrees about the centre, bilinear; the border is mirrored. */
static int
rotate(const subject *self)
{
    double angle = (2 * draw(self, 0) - 1) * 10 * 3.14159265358979323846 / 180;
    double cosine = cos(angle), sine = sin(angle), unit = 0x1p32;
    double y = (double)(self->h - 1) / 2, x = (double)(self->w - 1) / 2;
    move by = {.y0 = llrint(unit * (y - cosine * y + sine * x)),
               .yy = llrint(unit * cosine), .yx = llrint(unit * -sine),
               .x0 = llrint(unit * (x - cosine * x - sine * y)),
               .xx = llrint(unit * cosine), .xy = llrint(unit * sine)};

    move_all(self, depths[self->dtype].blend, &by);
    return PS_OK;
}

/* The i-th number of splitmix64 from a start, as the sum of its eight bytes: nearly Gaussian (its
 * kurtosis is 2.85), of mean 1020 and variance 8 (256^2 - 1) / 12. */
static inline int
bell(uint64_t start, int64_t i)
{
    const uint64_t bytes = 0x00ff00ff00ff00ffu;
    uint64_t bits = start + (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u;

    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    bits ^= bits >> 31;
    bits = (bits & bytes) + (bits >> 8 & bytes);
    return (int)(bits * 0x0001000100010001u >> 48);
}

/* Each pixel of a channel plus Gaussian noise, whose standard deviation is 0 to a tenth of the
 * channel's own; clipped to what the type holds. */
static int
noise(const subject *self)
{
    const int64_t n = self->h * self->w;
    const ps_chance *chance = &self->chance;
    double mean, deviation;
    float chunk[CHUNK];

    for (int64_t k = 0; k < self->c; k++) {
        uint64_t start = ps_random_bits(chance->seed, chance->epoch, chance->sample,
                                        self->row << 8 | (uint64_t)(PS_LIMIT_CHANNELS + k));
        moments(self, k, &mean, &deviation);
        float factor = (float)(0.1 * draw(self, (uint64_t)k) * deviation / sqrt(8 * 65535 / 12.0));
        for (int64_t i = 0; i < n; i += CHUNK) {
            int64_t count = n - i < CHUNK ? n - i : CHUNK;
            depths[self->dtype].load(plane(self, k), i, count, chunk);
            for (int64_t at = 0; at < count; at++)
                chunk[at] += factor * (float)(bell(start, i + at) - 1020);
            depths[self->dtype].store(chunk, i, count, plane(self, k));
        }
    }
    return PS_OK;
}

/* One channel in ten, never all, becomes its own mean.  The network sees counts less the mean of
 * the training fields: so little is left of a channel that its structure is gone, where black would
 * be further from 0 than any field, and an edge at the padding. */
static int
drop(const subject *self)
{
    const int64_t n = self->h * self->w;
    int64_t kept = 0;
    double mean, deviation;
    float chunk[CHUNK];

    for (int64_t k = 1; k < self->c; k++)
        kept = draw(self, (uint64_t)k) > draw(self, (uint64_t)kept) ? k : kept;
    for (int64_t k = 0; k < self->c; k++) {
        if (k == kept || draw(self, (uint64_t)k) >= 0.1)
            continue;
        moments(self, k, &mean, &deviation);
        for (int64_t i = 0; i < CHUNK; i++)
            chunk[i] = (float)mean;
        for (int64_t i = 0; i < n; i += CHUNK)
            depths[self->dtype].store(chunk, i, n - i < CHUNK ? n - i : CHUNK, plane(self, k));
    }
    return PS_OK;
}

static const struct {
    const char *name;
    int (*apply)(const subject *self);
} augmentations[] = {{"flip", flip},     {"turn", turn},   {"shift", shift}, /* new rows go last: */
                   {"intensity", intensity}, /* their numbers decide what is drawn */
                   {"rotate", rotate}, {"noise", noise}, {"drop", drop}};
#define ROWS ((int)(sizeof augmentations / sizeof *augmentations))

const char *
ps_augment_name(int row)
{
    return row >= 0 && row < ROWS ? augmentations[row].name : NULL;
}

int
ps_augment(unsigned rows, const ps_chance *chance, const int64_t *shape, ps_dtype dtype,
           void *pixels, void *spare)
{
    subject self = {.c = shape[0], .h = shape[1], .w = shape[2], .dtype = dtype, .pixels = pixels,
                    .spare = spare, .chance = *chance};

    if (rows >> ROWS) /* before anything has changed */
        return ps_fail(PS_BAD_VALUE, "there are %d augmentations", ROWS);
    for (int row = 0; row < ROWS; row++) {
        if (!(rows & PS_AUGMENT(row)))
            continue;
        self.row = (uint64_t)row + 1;
        int ret = augmentations[row].apply(&self);
        if (ret != PS_OK)
            return ret;
    }
    return PS_OK;
}
