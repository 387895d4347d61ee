/* SPDX-License-Identifier: BSD-3-Clause */
/* The field at half its size, a quarter, ...: each level the maximum over 2x2 of the one before,
 * straight from the counts, as planes for towers.
 *
 *     out = level 1 (c, h / 2, w / 2), level 2 (c, h / 4, w / 4), ...
 *
 * A strip of rows goes through all levels while it is in the cache. */
#include "layer.h"

#include <stdlib.h>

enum { LEVELS };

#define STRIP_H 64 /* rows of the field, or a power of two that the deepest level needs */

typedef struct {
    const ps_kernels *kernels;
    const ps_frame *frame;
    int64_t h, w, c, levels, rows; /* of the field; rows of a strip */
} pyramid_state;

/* Place of level `level` in out, and its shape; level 0 would be the field. */
static int64_t
place(const pyramid_state *self, int64_t level, int64_t *h, int64_t *w)
{
    int64_t at = 0;

    for (int64_t i = 1; i < level; i++)
        at += self->c * (self->h >> i) * (self->w >> i);
    *h = self->h >> level;
    *w = self->w >> level;
    return at;
}

const float *
ps_pyramid_level(const ps_layer *pyramid, const float *out, int64_t level, int64_t *h, int64_t *w)
{
    static const float there = 0;
    const pyramid_state *self = pyramid->state;
    int64_t at = place(self, level, h, w);

    if (level < 1 || level > self->levels)
        return NULL;
    return out ? out + at : &there;
}

static int
pyramid_init(ps_layer *self, const ps_build *build)
{
    int ret = PS_OK;
    const ps_layer *from = self->from[0];
    pyramid_state *state = NULL;

    if (self->source[0] != 0)
        FAIL(PS_BAD_VALUE, "layer '%s': a pyramid reads the input", self->name);
    TRY(ps_array_zeroed(&state, 1, sizeof *state));
    self->state = state;
    *state = (pyramid_state){.kernels = build->kernels, .frame = build->frame, .h = from->h,
                             .w = from->w, .c = from->c, .levels = self->option[LEVELS],
                             .rows = STRIP_H};
    while (state->rows < 1 << state->levels)
        state->rows *= 2;
    self->c = from->c;
    self->n_out = place(state, state->levels + 1, &self->h, &self->w);
    self->is_planar = 1;
    self->n_strips = (from->h + state->rows - 1) / state->rows;
    self->n_space = 2 * from->w;
    self->cost = from->h * from->w * from->c;
    if ((from->h >> state->levels) == 0 || (from->w >> state->levels) == 0)
        FAIL(PS_BAD_VALUE, "layer '%s': %lld x %lld has no %lld levels: the field is too small "
             "for this network", self->name, (long long)from->h, (long long)from->w,
             (long long)state->levels);
out:
    return ret;
}

/* Two rows -> one row of w maxima over 2x2. */
static void
halve(const float *a, const float *b, int64_t w, float *out)
{
    for (int64_t x = 0; x < w; x++) {
        float left = a[2 * x] > b[2 * x] ? a[2 * x] : b[2 * x];
        float right = a[2 * x + 1] > b[2 * x + 1] ? a[2 * x + 1] : b[2 * x + 1];
        out[x] = left > right ? left : right;
    }
}

static int
pyramid_forward(ps_layer *self, ps_work *work)
{
    const pyramid_state *state = self->state;
    int64_t first = work->strip * state->rows, end = first + state->rows, h, w, above_h, above_w;
    float *rows[2] = {work->space, work->space + state->w};

    for (int64_t level = 1; level <= state->levels; level++) {
        const float *above = work->out + place(state, level - 1, &above_h, &above_w);
        float *out = work->out + place(state, level, &h, &w);
        for (int64_t k = 0; k < state->c; k++)
            for (int64_t y = first >> level; y < h && y < end >> level; y++) {
                for (int i = 0; i < 2 && level == 1; i++)
                    state->kernels->field_row(work->field, state->frame, k, 2 * y + i, 0,
                                              state->w, rows[i]);
                const float *a = level == 1 ? rows[0] : above + (k * above_h + 2 * y) * above_w;
                halve(a, level == 1 ? rows[1] : a + above_w, w, out + (k * h + y) * w);
            }
    }
    return PS_OK;
}

static void
pyramid_free(ps_layer *self)
{
    free(self->state);
}

const ps_layer_type ps_layer_pyramid = {
    .name = "pyramid",
    .options = {{"levels", 1, 12, 0}},
    .min_sources = 1,
    .max_sources = 1,
    .reads_planes = 1,
    .init = pyramid_init,
    .forward = pyramid_forward,
    .free = pyramid_free,
};
