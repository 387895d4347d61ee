/* SPDX-License-Identifier: BSD-3-Clause */
/* One scale of a multi-scale network as one layer: three 5x5 SAME convolutions with bias and ReLU,
 * then the maximum over square windows.
 *
 *     field or a level of its pyramid -> conv1 -> conv2 -> conv3 -> max (h / window, w / window, c)
 *
 * The result is that of the plain layers conv, conv, conv, pool, up to rounding, at a fraction of
 * their time and memory: no map of full size exists, forward or backward.  How is told at the top
 * of tower_forward.h, tower_backward.h and winograd.h; kernels.h has the table of instruction sets.
 *
 * The gradient of a window goes to its largest pixel.  Of equal ones the first that forward came
 * across: tiles of 4x4 in row-major order, pixels within a tile likewise, strict >.  Rounding
 * differs with a pixel's place in its tile, so in a constant region it may be any of them. */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

enum { FILTERS, WINDOW, LEVEL };

#define STRIP_H 256 /* pixels, about: a strip's ring of tiles must fit in a 1 MB cache */
#define STRIP_W 320

typedef struct {
    ps_tower tower;
    const ps_kernels *kernels;
    const ps_frame *frame;   /* of the field */
    int64_t level, is_training;
    int64_t strips_x, windows_h, windows_w; /* strips side by side; windows of a whole strip */
    float *weights;          /* all of the tower's arrays */
} tower_state;

/* ---- where pixels come from ----------------------------------------------------------------- */

typedef struct {
    const tower_state *state;
    const ps_field *field;
    const float *planes; /* (in, h, w), unless the field itself is read */
} source;

static void
read_field(const void *from, int64_t k, int64_t y, int64_t x, int64_t n, float *out)
{
    const source *self = from;

    self->state->kernels->field_row(self->field, self->state->frame, k, y, x, n, out);
}

static void
read_planes(const void *from, int64_t k, int64_t y, int64_t x, int64_t n, float *out)
{
    const source *self = from;
    const ps_tower *tower = &self->state->tower;
    int64_t first = x < 0 ? -x : 0, end = tower->w - x < n ? tower->w - x : n;

    if (y < 0 || y >= tower->h || first >= end) {
        memset(out, 0, (size_t)n * sizeof *out);
        return;
    }
    memset(out, 0, (size_t)first * sizeof *out);
    memcpy(out + first, self->planes + (k * tower->h + y) * tower->w + x + first,
           (size_t)(end - first) * sizeof *out);
    memset(out + end, 0, (size_t)(n - end) * sizeof *out);
}

/* ---- the layer ------------------------------------------------------------------------------ */

/* Weights at the points, for all threads; 0 where c does not fill a block. */
static int
make_weights(tower_state *self, ps_account *memory)
{
    ps_tower *tower = &self->tower;
    int64_t n = tower->blocks, padded = n * PS_BLOCK, total = 0;
    struct {
        float **to;
        int64_t size;
    } parts[] = {{&tower->u1, 64 * padded * tower->in},
                 {&tower->u[0], 64 * padded * padded},
                 {&tower->u[1], 64 * padded * padded},
                 {&tower->back, self->is_training ? 64 * padded * padded : 0},
                 {&tower->taps, self->is_training ? tower->c * 25 * padded : 0},
                 {&tower->bias[0], padded},
                 {&tower->bias[1], padded},
                 {&tower->bias[2], padded}};
    int n_parts = (int)(sizeof parts / sizeof *parts);

    for (int i = 0; i < n_parts; i++)
        total += parts[i].size;
    int ret = ps_hold(memory, &self->weights, total, 1, sizeof(float));
    float *at = self->weights;
    if (at)
        memset(at, 0, (size_t)total * sizeof(float));
    for (int i = 0; i < n_parts && at; at += parts[i++].size)
        *parts[i].to = parts[i].size ? at : NULL;
    return ret;
}

static int
claim_filters(ps_layer *self, const ps_build *build, int64_t in)
{
    static const char *const names[] = {"conv1", "conv2", "conv3"};
    int ret = PS_OK;

    for (int i = 0; i < 3 && ret == PS_OK; i++, in = self->c) {
        ps_pair pair = {.name = names[i],
                        .n_weight = self->c * in * 25,
                        .n_bias = self->c,
                        .fan_in = in * 25,
                        .fan_out = self->c * 25,
                        .shape = {self->c, in, 5, 5},
                        .n_shape = 4};
        ret = ps_layer_claim(self, build, &pair);
    }
    return ret;
}

/* As few equal strips of about `pixels` as windows allow. */
static int64_t
windows_of(int64_t windows, int64_t window, int64_t pixels)
{
    int64_t strips = (windows * window + pixels - 1) / pixels;

    return (windows + strips - 1) / strips;
}

static int
tower_init(ps_layer *self, const ps_build *build)
{
    int ret = PS_OK;
    const ps_layer *from = self->from[0];
    int64_t window = self->option[WINDOW], level = self->option[LEVEL], h = from->h, w = from->w;
    tower_state *state = NULL;
    ps_tower_work unused;

    if (window & (window - 1))
        FAIL(PS_BAD_VALUE, "layer '%s': window=%lld is no power of two", self->name,
             (long long)window);
    if ((level > 0) != from->is_planar)
        FAIL(PS_BAD_VALUE, "layer '%s': level=%lld of '%s' is not there: the field itself is 0, "
             "a pyramid begins at 1", self->name, (long long)level, from->name);
    if (level > 0 && !ps_pyramid_level(from, NULL, level, &h, &w))
        FAIL(PS_BAD_VALUE, "layer '%s': '%s' has no level %lld", self->name, from->name,
             (long long)level);
    self->c = self->option[FILTERS];
    self->h = h / window;
    self->w = w / window;
    self->stride = window << level;
    self->window = window;
    if (self->h == 0 || self->w == 0)
        FAIL(PS_BAD_VALUE, "layer '%s': a window of %lld does not fit into %lld x %lld: the field "
             "is too small for this network", self->name, (long long)window, (long long)h,
             (long long)w);
    TRY(claim_filters(self, build, from->c));
    TRY(ps_array_zeroed(&state, 1, sizeof *state));
    self->state = state;
    *state = (tower_state){.kernels = build->kernels, .frame = build->frame,
                           .level = level, .is_training = build->is_training,
                           .tower = {.h = h, .w = w, .in = from->c, .c = self->c,
                                     .blocks = (self->c + PS_BLOCK - 1) / PS_BLOCK,
                                     .window = window}};
    state->windows_h = windows_of(self->h, window, STRIP_H);
    state->windows_w = windows_of(self->w, window, STRIP_W);
    state->strips_x = (self->w + state->windows_w - 1) / state->windows_w;
    self->n_strips = state->strips_x * ((self->h + state->windows_h - 1) / state->windows_h);
    self->n_space = ps_tower_carve(&state->tower, state->windows_h, state->windows_w,
                                   build->is_training, NULL, &unused);
    self->n_index = build->is_training ? self->h * self->w * self->c : 0;
    self->cost = h * w * (self->n_param - 3 * self->c);
    TRY(make_weights(state, build->memory));
out:
    return ret;
}

static int
tower_prepare(ps_layer *self, int thread)
{
    tower_state *state = self->state;
    int ret = ps_layer_check_weights(self);

    (void)thread;
    if (ret == PS_OK)
        state->kernels->tower_prepare(&state->tower, self->param);
    return ret;
}

static int
run_strip(ps_layer *self, ps_work *work, int is_backward)
{
    const tower_state *state = self->state;
    int64_t unused;
    source from = {.state = state, .field = work->field};
    if (state->level)
        from.planes = ps_pyramid_level(self->from[0], work->source[0], state->level, &unused,
                                       &unused);
    ps_tower_strip strip = {.window_y = work->strip / state->strips_x * state->windows_h,
                            .window_x = work->strip % state->strips_x * state->windows_w,
                            .read = state->level ? read_planes : read_field,
                            .source = &from,
                            .out = work->out,
                            .index = self->n_index ? work->index : NULL,
                            .diff_out = work->diff_out};
    int64_t left_h = self->h - strip.window_y, left_w = self->w - strip.window_x;
    ps_tower_work space = {0};

    strip.windows_h = left_h < state->windows_h ? left_h : state->windows_h;
    strip.windows_w = left_w < state->windows_w ? left_w : state->windows_w;
    ps_tower_carve(&state->tower, state->windows_h, state->windows_w, (int)state->is_training,
                   work->space, &space);
    if (is_backward)
        state->kernels->tower_backward(&state->tower, &strip, &space, work->grad);
    else
        state->kernels->tower_forward(&state->tower, &strip, &space);
    work->executed = strip.executed;
    return PS_OK;
}

static int
tower_forward(ps_layer *self, ps_work *work)
{
    return run_strip(self, work, 0);
}

static int
tower_backward(ps_layer *self, ps_work *work)
{
    return run_strip(self, work, 1);
}

static void
tower_free(ps_layer *self)
{
    tower_state *state = self->state;

    free(state->weights);
    free(state);
}

const ps_layer_type ps_layer_tower = {
    .name = "tower",
    .options = {{"filters", 1, 4096, 0}, {"window", 1, 1024, 1}, {"level", 0, 16, 0}},
    .min_sources = 1,
    .max_sources = 1,
    .reads_planes = 1,
    .init = tower_init,
    .prepare = tower_prepare,
    .forward = tower_forward,
    .backward = tower_backward,
    .free = tower_free,
};
