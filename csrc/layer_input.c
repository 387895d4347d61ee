/* SPDX-License-Identifier: BSD-3-Clause */
/* The first layer: counts of a field -> normalised, padded, channels last (field_row.h), for those
 * layers that read maps; towers and pyramids go to the counts themselves.
 *
 *   planes (c, h, w) of uint8, uint16, float32  ->  (padded_h, padded_w, c) of float32
 *
 * Sides are padded to multiples of `pad`, the field centred (an odd rest goes below and to the
 * right); padding is 0 after normalisation. */
#include "layer.h"

#include <float.h>
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

static int
find_largest(int64_t n, const float *x, const char *what, double *largest)
{
    *largest = ps_largest(n, x);
    return *largest <= FLT_MAX ? PS_OK : ps_check_finite(n, x, what);
}

/* Files with such pixels are refused by the reader; arrays come here, and what a model or a caller
 * multiplies and adds.  A ReLU, or the maximum of a window, would hide a NaN. */
static int
check_numbers(const ps_field *field)
{
    int ret = PS_OK;
    int64_t n = field->c * field->h * field->w;
    double count = field->dtype == PS_UINT8 ? UINT8_MAX : UINT16_MAX, gain = 1, scale, offset;

    TRY(find_largest(field->c, field->scale, "numbers of a field's scale", &scale));
    TRY(find_largest(field->c, field->offset, "numbers of a field's offset", &offset));
    if (field->gain)
        TRY(find_largest(n, field->gain, "numbers of a field's gain", &gain));
    if (field->dtype == PS_FLOAT32)
        TRY(find_largest(n, field->pixels, "pixels of a field", &count));
    if (count * gain > FLT_MAX || count * gain * scale + offset > FLT_MAX)
        FAIL(PS_BAD_VALUE, "a field has counts of up to %g; times its gain of up to %g and its "
             "scale of up to %g they are too large for float32", count, gain, scale);
out:
    return ret;
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
    if (check_numbers(field) != PS_OK)
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
