/* SPDX-License-Identifier: BSD-3-Clause */
/* The first layer: counts of a field -> normalised, padded, channels last (field_row.h), for those
 * layers that read maps; towers and pyramids go to the counts themselves.
 *
 *   planes (c, h, w) of uint8, uint16, float32  ->  (padded_h, padded_w, c) of float32
 *
 * Sides are padded to multiples of `pad`, the field centred (an odd rest goes below and to the
 * right); padding is 0 after normalisation. */
#include "layer.h"

#include <math.h>
#include <stdlib.h>

enum { CHANNELS, HEIGHT, WIDTH, PAD };

typedef struct {
    const ps_kernels *kernels;
    const ps_frame *frame;
} input_state;

static int64_t
padded(int64_t side, int64_t multiple)
{
    return (side + multiple - 1) / multiple * multiple;
}

static int
input_init(ps_layer *self, const ps_build *build)
{
    int ret = PS_OK;
    input_state *state = NULL;

    self->c = self->option[CHANNELS];
    self->h = padded(self->option[HEIGHT], self->option[PAD]);
    self->w = padded(self->option[WIDTH], self->option[PAD]);
    self->cost = self->h * self->w * self->c;
    if (self->h * self->w > PS_LIMIT_PIXELS)
        FAIL(PS_LIMIT, "a field of %lld x %lld pixels is over the limit of %d",
             (long long)self->h, (long long)self->w, PS_LIMIT_PIXELS);
    *build->frame = (ps_frame){.top = (self->h - self->option[HEIGHT]) / 2,
                               .left = (self->w - self->option[WIDTH]) / 2,
                               .h = self->option[HEIGHT],
                               .w = self->option[WIDTH]};
    self->n_space = self->w;
    TRY(ps_array_zeroed(&state, 1, sizeof *state));
    self->state = state;
    *state = (input_state){.kernels = build->kernels, .frame = build->frame};
out:
    return ret;
}

/* Files with such pixels are refused by the reader; arrays come here. A ReLU would hide them. */
static int
check_finite(const ps_field *field)
{
    const float *values = field->pixels;
    int64_t n = field->c * field->h * field->w, bad = 0;

    for (int64_t i = 0; i < n; i++)
        bad += !isfinite(values[i]);
    if (bad)
        return ps_fail(PS_BAD_VALUE, "a field has %lld pixels that are NaN or infinite: replace "
                       "them by numbers", (long long)bad);
    return PS_OK;
}

static int
input_forward(ps_layer *self, ps_work *work)
{
    const ps_field *field = work->field;
    const input_state *state = self->state;
    const ps_frame *frame = state->frame;
    float *row = work->space;

    if (field->c != self->c || field->h != frame->h || field->w != frame->w)
        return ps_fail(PS_BAD_VALUE,
                       "a field of %lld channels, %lld x %lld pixels was given to a network for "
                       "%lld channels, %lld x %lld pixels",
                       (long long)field->c, (long long)field->h, (long long)field->w,
                       (long long)self->c, (long long)frame->h, (long long)frame->w);
    if (field->dtype == PS_FLOAT32 && check_finite(field) != PS_OK)
        return PS_BAD_VALUE;
    if (self->n_out == 0) /* nobody reads a map */
        return PS_OK;
    for (int64_t y = 0; y < self->h; y++)
        for (int64_t k = 0; k < self->c; k++) {
            float *out = work->out + y * self->w * self->c + k;
            state->kernels->field_row(field, frame, k, y, 0, self->w, row);
            for (int64_t x = 0; x < self->w; x++)
                out[x * self->c] = row[x];
        }
    return PS_OK;
}

static void
input_free(ps_layer *self)
{
    free(self->state);
}

const ps_layer_type ps_layer_input = {
    .name = "input",
    .options = {{"channels", 1, PS_LIMIT_CHANNELS, 0},
                {"height", 1, PS_LIMIT_SIDE, 0},
                {"width", 1, PS_LIMIT_SIDE, 0},
                {"pad", 1, 1024, 1}},
    .init = input_init,
    .forward = input_forward,
    .free = input_free,
};
