/* SPDX-License-Identifier: BSD-3-Clause */
/* Global average, then global maximum of each channel: (h, w, c) -> (1, 1, 2c).
 * Cells that lie wholly in the padding of the field take no part.
 *
 * With rectify=1 of what a ReLU lets through.  Both without the ReLU then lie behind the output,
 * another 2c numbers: they are what head.c takes for the embedding. */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

enum { RECTIFY };

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
    self->n_out = self->option[RECTIFY] ? 2 * self->c : 0;
    self->n_index = from->c;
    self->cost = from->h * from->w * from->c;
out:
    return ret;
}

static float
share_of_cell(const gap_state *map)
{
    return 1.0f / (float)((map->y1 - map->y0) * (map->x1 - map->x0));
}

/* Average and maximum of a map, and where the maximum is. */
static void
pool(const gap_state *map, const float *source, float *mean, int32_t *index)
{
    float *best = mean + map->c, share = share_of_cell(map);

    memset(mean, 0, (size_t)map->c * sizeof *mean);
    for (int64_t y = map->y0; y < map->y1; y++)
        for (int64_t x = map->x0; x < map->x1; x++) {
            const float *in = source + (y * map->w + x) * map->c;
            int is_first = y == map->y0 && x == map->x0;
            for (int64_t k = 0; k < map->c; k++) {
                mean[k] += in[k];
                if (is_first || in[k] > best[k] || (in[k] != in[k] && best[k] == best[k])) {
                    best[k] = in[k];
                    index[k] = (int32_t)(y * map->w + x);
                }
            }
        }
    for (int64_t k = 0; k < map->c; k++)
        mean[k] *= share;
}

static int
gap_forward(ps_layer *self, ps_work *work)
{
    const gap_state *map = self->state;
    float *out = work->out, *bare = out + 2 * map->c;

    if (!self->option[RECTIFY]) {
        pool(map, work->source[0], out, work->index);
        return PS_OK;
    }
    pool(map, work->source[0], bare, work->index);
    memset(out, 0, (size_t)map->c * sizeof *out);
    for (int64_t y = map->y0; y < map->y1; y++)
        for (int64_t x = map->x0; x < map->x1; x++) {
            const float *in = work->source[0] + (y * map->w + x) * map->c;
            for (int64_t k = 0; k < map->c; k++)
                out[k] += in[k] <= 0 ? 0 : in[k];
        }
    for (int64_t k = 0; k < map->c; k++) {
        out[k] *= share_of_cell(map);
        out[map->c + k] = bare[map->c + k] <= 0 ? 0 : bare[map->c + k];
    }
    return PS_OK;
}

static int
gap_backward(ps_layer *self, ps_work *work)
{
    const gap_state *map = self->state;
    float *diff = work->diff_source[0], share = share_of_cell(map);
    int64_t n = map->h * map->w * map->c;

    memset(diff, 0, (size_t)n * sizeof *diff);
    for (int64_t y = map->y0; y < map->y1; y++)
        for (int64_t x = map->x0; x < map->x1; x++)
            for (int64_t k = 0; k < map->c; k++)
                diff[(y * map->w + x) * map->c + k] = work->diff_out[k] * share;
    for (int64_t k = 0; k < map->c; k++)
        diff[work->index[k] * map->c + k] += work->diff_out[map->c + k];
    for (int64_t i = 0; self->option[RECTIFY] && i < n; i++)
        diff[i] = work->source[0][i] > 0 ? diff[i] : 0;
    return PS_OK;
}

static void
gap_free(ps_layer *self)
{
    free(self->state);
}

const ps_layer_type ps_layer_gap = {
    .name = "gap",
    .options = {{"rectify", 0, 1, 0}},
    .min_sources = 1,
    .max_sources = 1,
    .init = gap_init,
    .forward = gap_forward,
    .backward = gap_backward,
    .free = gap_free,
};
