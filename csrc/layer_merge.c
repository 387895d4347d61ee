/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts the channels of several maps of one size side by side. */
#include "layer.h"

#include <string.h>

static int
merge_init(ps_layer *self, const ps_build *build)
{
    const ps_layer *first = self->from[0];

    (void)build;
    self->h = first->h;
    self->w = first->w;
    self->stride = first->stride;
    for (int i = 0; i < self->n_sources; i++) {
        const ps_layer *from = self->from[i];
        if (from->h != self->h || from->w != self->w)
            return ps_fail(PS_BAD_VALUE, "layer '%s': '%s' is %lld x %lld, '%s' is %lld x %lld",
                           self->name, first->name, (long long)first->h, (long long)first->w,
                           from->name, (long long)from->h, (long long)from->w);
        self->c += from->c;
    }
    self->cost = self->h * self->w * self->c;
    return PS_OK;
}

static int
merge_forward(ps_layer *self, ps_work *work)
{
    int64_t at = 0;

    for (int i = 0; i < self->n_sources; i++) {
        int64_t c = self->from[i]->c;
        for (int64_t p = 0; p < self->h * self->w; p++)
            memcpy(work->out + p * self->c + at, work->source[i] + p * c,
                   (size_t)c * sizeof(float));
        at += c;
    }
    return PS_OK;
}

static int
merge_backward(ps_layer *self, ps_work *work)
{
    int64_t at = 0;

    for (int i = 0; i < self->n_sources; i++) {
        int64_t c = self->from[i]->c;
        if (work->diff_source[i])
            for (int64_t p = 0; p < self->h * self->w; p++)
                memcpy(work->diff_source[i] + p * c, work->diff_out + p * self->c + at,
                       (size_t)c * sizeof(float));
        at += c;
    }
    return PS_OK;
}

const ps_layer_type ps_layer_merge = {
    .name = "merge",
    .min_sources = 1,
    .max_sources = PS_MAX_SOURCES,
    .init = merge_init,
    .forward = merge_forward,
    .backward = merge_backward,
};
