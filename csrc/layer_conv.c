/* SPDX-License-Identifier: BSD-3-Clause */
/* Convolution, stride 1, SAME (zero padding of kernel / 2), bias, and ReLU if asked for.
 *
 *   out[y, x, o] = relu(bias[o] + sum over i, dy, dx of weight[o, i, dy, dx] *
 *                  in[y + dy - kernel / 2, x + dx - kernel / 2, i])
 *
 * A ReLU passes no gradient where its output is 0.
 *
 * oneDNN's ReLU makes 0 of a NaN.  Where inputs are no numbers, or so large that a sum may be none,
 * all outputs are NaN, so that it is seen. */
#include "dnn.h"
#include "layer.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { FILTERS, KERNEL, RELU };

typedef struct {
    ps_dnn_conv *dnn;
    double weights, bias; /* the largest sum of |weight| of an output, the largest |bias| */
} conv_state;

static int
conv_init(ps_layer *self, const ps_build *build)
{
    const ps_layer *from = self->from[0];
    int64_t kernel = self->option[KERNEL], area = kernel * kernel;
    ps_dnn_conv_shape shape = {.h = from->h,
                               .w = from->w,
                               .in = from->c,
                               .out = self->option[FILTERS],
                               .kernel = kernel,
                               .is_relu = (int)self->option[RELU],
                               .is_training = build->is_training,
                               .wants_diff_source = from->wants_gradient};

    if (kernel % 2 == 0)
        return ps_fail(PS_BAD_VALUE, "layer '%s': kernel=%lld is even", self->name,
                       (long long)kernel);
    self->h = from->h;
    self->w = from->w;
    self->c = shape.out;
    self->stride = from->stride;
    ps_pair pair = {.name = "",
                    .n_weight = shape.out * shape.in * area,
                    .n_bias = shape.out,
                    .fan_in = shape.in * area,
                    .fan_out = shape.out * area,
                    .shape = {shape.out, shape.in, kernel, kernel},
                    .n_shape = 4};
    self->cost = self->h * self->w * pair.n_weight;
    conv_state *state = NULL;
    int ret = ps_layer_claim(self, build, &pair);
    if (ret == PS_OK)
        ret = ps_array_zeroed(&state, 1, sizeof *state);
    self->state = state;
    return ret == PS_OK ? ps_dnn_conv_init(&state->dnn, build->dnn, &shape) : ret;
}

/* What bounds the outputs, from what bounds the inputs. */
static void
find_bounds(ps_layer *self)
{
    conv_state *state = self->state;
    const ps_pair *pair = &self->pair[0];

    state->weights = state->bias = 0;
    for (int64_t o = 0; o < pair->n_bias; o++) {
        const float *weight = self->param + o * pair->fan_in;
        double sum = 0;
        for (int64_t i = 0; i < pair->fan_in; i++)
            sum += fabsf(weight[i]);
        state->weights = fmax(state->weights, sum);
        state->bias = fmax(state->bias, fabsf(self->param[pair->n_weight + o]));
    }
}

/* Whether no sum can leave the range of float32. */
static int
is_in_range(const ps_layer *self, const float *in)
{
    const conv_state *state = self->state;
    float largest = ps_largest(self->h * self->w * self->from[0]->c, in);

    return largest * state->weights + state->bias < FLT_MAX;
}

static int
conv_prepare(ps_layer *self, int thread)
{
    int ret = ps_layer_check_weights(self);

    if (ret != PS_OK)
        return ret;
    find_bounds(self);
    return ps_dnn_conv_prepare(((conv_state *)self->state)->dnn, thread, self->param);
}

static int
conv_forward(ps_layer *self, ps_work *work)
{
    work->executed = 2 * self->cost;
    if (self->option[RELU] && !is_in_range(self, work->source[0])) {
        for (int64_t i = 0; i < self->n_out; i++)
            work->out[i] = NAN;
        return PS_OK;
    }
    return ps_dnn_conv_forward(((conv_state *)self->state)->dnn, work->thread, work->source[0],
                               self->param + self->pair[0].n_weight, work->out);
}

static int
conv_backward(ps_layer *self, ps_work *work)
{
    if (self->option[RELU])
        for (int64_t i = 0; i < self->h * self->w * self->c; i++)
            work->diff_out[i] = work->out[i] > 0 ? work->diff_out[i] : 0;
    work->executed = (work->diff_source[0] ? 4 : 2) * self->cost;
    return ps_dnn_conv_backward(((conv_state *)self->state)->dnn, work->thread, work->source[0],
                                work->diff_out, work->diff_source[0], work->grad,
                                work->grad + self->pair[0].n_weight);
}

static void
conv_free(ps_layer *self)
{
    ps_dnn_conv_free(((conv_state *)self->state)->dnn);
    free(self->state);
}

const ps_layer_type ps_layer_conv = {
    .name = "conv",
    .options = {{"filters", 1, 4096, 0}, {"kernel", 1, 15, 0}, {"relu", 0, 1, 0}},
    .min_sources = 1,
    .max_sources = 1,
    .init = conv_init,
    .prepare = conv_prepare,
    .forward = conv_forward,
    .backward = conv_backward,
    .free = conv_free,
};
