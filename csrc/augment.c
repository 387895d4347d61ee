/* SPDX-License-Identifier: BSD-3-Clause */
/* Augmentation of a field in place, in the depth of its file, before the network sees it.
 * What is drawn depends on (seed, epoch, sample, row of the table) and on nothing else. */
#include "internal.h"

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

/* new[y, x] = old[from_y(y), from_x(x)], the same for every channel: what all moves below are. */
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

static void
move_all(const subject *self, const move *by)
{
    void (*function)(const void *, void *, int64_t, int64_t, const move *) =
        self->dtype == PS_UINT8 ? move_1 : self->dtype == PS_UINT16 ? move_2 : move_4;

    for (int64_t k = 0; k < self->c; k++) {
        memcpy(self->spare, plane(self, k), (size_t)(self->h * self->w) * self->dtype);
        function(self->spare, plane(self, k), self->h, self->w, by);
    }
}

/* Each axis reversed or not. */
static int
flip(const subject *self)
{
    int upside = draw(self, 0) < 0.5, mirror = draw(self, 1) < 0.5;
    move by = {.yy = upside ? -1 : 1, .y0 = upside ? self->h - 1 : 0,
               .xx = mirror ? -1 : 1, .x0 = mirror ? self->w - 1 : 0};

    if (upside || mirror)
        move_all(self, &by);
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
        move_all(self, &quarter[turns]);
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
        move_all(self, &by);
    return PS_OK;
}

/* Each channel times a factor of 0.8 to 1.25, clipped to what the type holds. */
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

static int
intensity(const subject *self)
{
    void (*function)(void *, int64_t, float) =
        self->dtype == PS_UINT8 ? scale_1 : self->dtype == PS_UINT16 ? scale_2 : scale_4;

    for (int64_t k = 0; k < self->c; k++) {
        double u = draw(self, (uint64_t)k);
        double factor = u < 0.5 ? 0.8 + 0.4 * u : 1 / (0.8 + 0.4 * (1 - u));
        function(plane(self, k), self->h * self->w, (float)factor);
    }
    return PS_OK;
}

static const struct {
    const char *name;
    int (*apply)(const subject *self);
} augmentations[] = {{"flip", flip}, {"turn", turn}, {"shift", shift}, {"intensity", intensity}};
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
