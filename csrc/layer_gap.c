/* SPDX-License-Identifier: BSD-3-Clause */
/* Global average, then global maximum of each channel: (h, w, c) -> (1, 1, 2c).
 * Cells that lie wholly in the padding of the field take no part. */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

/* The cells [y0, y1) x [x0, x1) of the map that see the field. */
typedef struct {
    int64_t h, w, c, y0, y1, x0, x1;
} gap_state;

/* Cells [*from, *to) of `n`, `stride` pixels each, that meet the pixels [start, start + length). */
static void
covered(int64_t n, int64_t stride, int64_t start, int64_t length, int64_t *from, int64_t *to)
{
    *from = start / stride;
    *to = (start + length + stride - 1) / stride;
    *to = *to > n ? n : *to;
    *from = *from >= *to ? *to - 1 : *from;
}

static int
gap_init(ps_layer *self, const ps_build *build)
{
    const ps_layer *from = self->from[0];
    const ps_frame *frame = build->frame;
    gap_state *state = NULL;
    int ret = PS_OK;

    TRY(ps_array_zeroed(&state, 1, sizeof *state));
    self->state = state;
    state->h = from->h;
    state->w = from->w;
    state->c = from->c;
    covered(from->h, from->stride, frame->top, frame->h, &state->y0, &state->y1);
    covered(from->w, from->stride, frame->left, frame->w, &state->x0, &state->x1);
    self->h = self->w = 1;
    self->c = 2 * from->c;
    self->n_index = from->c;
    self->cost = from->h * from->w * from->c;
out:
    return ret;
}

static int
gap_forward(ps_layer *self, ps_work *work)
{
    const gap_state *map = self->state;
    float *mean = work->out, *best = work->out + map->c;
    float share = 1.0f / (float)((map->y1 - map->y0) * (map->x1 - map->x0));

    memset(mean, 0, (size_t)map->c * sizeof *mean);
    for (int64_t y = map->y0; y < map->y1; y++)
        for (int64_t x = map->x0; x < map->x1; x++) {
            const float *in = work->source[0] + (y * map->w + x) * map->c;
            int is_first = y == map->y0 && x == map->x0;
            for (int64_t k = 0; k < map->c; k++) {
                mean[k] += in[k];
                if (is_first || in[k] > best[k] || (in[k] != in[k] && best[k] == best[k])) {
                    best[k] = in[k];
                    work->index[k] = (int32_t)(y * map->w + x);
                }
            }
        }
    for (int64_t k = 0; k < map->c; k++)
        mean[k] *= share;
    return PS_OK;
}

static int
gap_backward(ps_layer *self, ps_work *work)
{
    const gap_state *map = self->state;
    float *diff = work->diff_source[0];
    float share = 1.0f / (float)((map->y1 - map->y0) * (map->x1 - map->x0));

    memset(diff, 0, (size_t)(map->h * map->w * map->c) * sizeof *diff);
    for (int64_t y = map->y0; y < map->y1; y++)
        for (int64_t x = map->x0; x < map->x1; x++)
            for (int64_t k = 0; k < map->c; k++)
                diff[(y * map->w + x) * map->c + k] = work->diff_out[k] * share;
    for (int64_t k = 0; k < map->c; k++)
        diff[work->index[k] * map->c + k] += work->diff_out[map->c + k];
    return PS_OK;
}

static void
gap_free(ps_layer *self)
{
    free(self->state);
}

const ps_layer_type ps_layer_gap = {
    .name = "gap",
    .min_sources = 1,
    .max_sources = 1,
    .init = gap_init,
    .forward = gap_forward,
    .backward = gap_backward,
    .free = gap_free,
};
