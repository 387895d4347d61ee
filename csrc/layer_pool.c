/* SPDX-License-Identifier: BSD-3-Clause */
/* Maximum over square windows: window = stride, no overlap, what does not fill a window is left
 * out.  The gradient goes to the first maximum of the window in row-major order (strict >); a NaN
 * wins, so that it is seen. */
#include "layer.h"

#include <math.h>
#include <string.h>

enum { WINDOW };

static int
pool_init(ps_layer *self, const ps_build *build)
{
    const ps_layer *from = self->from[0];

    self->c = from->c;
    self->stride = from->stride * self->option[WINDOW];
    self->h = from->h / self->option[WINDOW];
    self->w = from->w / self->option[WINDOW];
    if (self->h == 0 || self->w == 0)
        return ps_fail(PS_BAD_VALUE,
                       "layer '%s': a window of %lld does not fit into %lld x %lld: the field is "
                       "too small for this network",
                       self->name, (long long)self->option[WINDOW], (long long)from->h,
                       (long long)from->w);
    self->cost = from->h * from->w * from->c;
    if (build->is_training && from->wants_gradient)
        self->n_index = self->h * self->w * self->c;
    return PS_OK;
}

/* One window's maximum over `c` channels at once, without and with its place. */
static void
window_max(const float *in, int64_t window, int64_t stride, int64_t c, float *best)
{
    memcpy(best, in, (size_t)c * sizeof *best);
    for (int64_t y = 0; y < window; y++, in += stride)
        for (int64_t i = 0; i < window * c; i += c)
            for (int64_t k = 0; k < c; k++) {
                float value = in[i + k];
                best[k] = value > best[k] || value != value ? value : best[k];
            }
}

static void
window_argmax(const float *in, int64_t window, int64_t stride, int64_t c, float *best,
              int32_t *index)
{
    memcpy(best, in, (size_t)c * sizeof *best);
    memset(index, 0, (size_t)c * sizeof *index);
    for (int64_t y = 0; y < window; y++, in += stride)
        for (int64_t x = 0; x < window; x++)
            for (int64_t k = 0; k < c; k++) {
                float value = in[x * c + k];
                int wins = value > best[k] || (value != value && best[k] == best[k]);
                best[k] = wins ? value : best[k];
                index[k] = wins ? (int32_t)(y * window + x) : index[k];
            }
}

static int
pool_forward(ps_layer *self, ps_work *work)
{
    const ps_layer *from = self->from[0];
    int64_t window = self->option[WINDOW], stride = from->w * from->c;

    for (int64_t y = 0; y < self->h; y++)
        for (int64_t x = 0; x < self->w; x++) {
            const float *in = work->source[0] + y * window * stride + x * window * from->c;
            int64_t at = (y * self->w + x) * self->c;
            if (self->n_index)
                window_argmax(in, window, stride, self->c, work->out + at, work->index + at);
            else
                window_max(in, window, stride, self->c, work->out + at);
        }
    return PS_OK;
}

static int
pool_backward(ps_layer *self, ps_work *work)
{
    const ps_layer *from = self->from[0];
    int64_t window = self->option[WINDOW], stride = from->w * from->c;
    float *diff = work->diff_source[0];

    memset(diff, 0, (size_t)(from->h * stride) * sizeof *diff);
    for (int64_t y = 0; y < self->h; y++)
        for (int64_t x = 0; x < self->w; x++) {
            float *corner = diff + y * window * stride + x * window * from->c;
            int64_t at = (y * self->w + x) * self->c;
            for (int64_t k = 0; k < self->c; k++) {
                int64_t place = work->index[at + k];
                corner[place / window * stride + place % window * from->c + k] =
                    work->diff_out[at + k];
            }
        }
    return PS_OK;
}

const ps_layer_type ps_layer_pool = {
    .name = "pool",
    .options = {{"window", 1, 1024, 0}},
    .min_sources = 1,
    .max_sources = 1,
    .init = pool_init,
    .forward = pool_forward,
    .backward = pool_backward,
};
