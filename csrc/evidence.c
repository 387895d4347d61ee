/* SPDX-License-Identifier: BSD-3-Clause */
/* Where in a field the evidence for a class lies.
 *
 * After its towers a network is linear in pieces: convolutions, ReLUs, maxima, averages, dense
 * layers.  So a logit is, exactly,
 *
 *     logit = sum over the window maxima  p * d logit / d p
 *           + sum over the biases after them  b * d logit / d b
 *
 * and every maximum is the value of one pixel of one scale, which the forward pass has noted.  The
 * products are the maxima's shares.  A network with a way around its towers has shares on the cells
 * of its last map instead: where a cell's pixels are, not which of them counted. */
#include "net.h"

#include <math.h>
#include <string.h>

/* Which layers are shared out, and which lie before them: it follows from the order of the layers,
 * and is the same each time. */
static int
mark_shares(ps_net *self)
{
    int last = self->n_field_layers - 1;
    int is_behind_towers[PS_MAX_LAYERS] = {0}; /* all that a layer knows of the field */

    for (int i = 0; i <= last; i++) {
        const ps_layer *layer = &self->layers[i];
        int all = layer->n_sources > 0;
        for (int k = 0; k < layer->n_sources; k++)
            all &= is_behind_towers[layer->source[k]];
        is_behind_towers[i] = all || layer->type == &ps_layer_tower;
    }
    int by_towers = is_behind_towers[last], map = last;
    if (self->layers[map].type == &ps_layer_gap)
        map = self->layers[map].source[0]; /* the map before the average */
    for (int i = last; i >= 0; i--) {
        ps_layer *layer = &self->layers[i];
        if (by_towers ? layer->type == &ps_layer_tower : i == map)
            layer->share = PS_SHARE_HERE;
        for (int k = 0; layer->share != PS_SHARE_AFTER && k < layer->n_sources; k++)
            self->layers[layer->source[k]].share = PS_SHARE_BEFORE;
        if (layer->share == PS_SHARE_HERE && !layer->wants_gradient) /* there is no room for one */
            return ps_fail(PS_BAD_VALUE, "layer '%s' comes before all weights: a network without "
                           "convolutions has no evidence maps", layer->name);
    }
    return PS_OK;
}

/* The sum of b * d logit / d b over the biases after the shared layers; `gradient` is the image's
 * by the field layers. */
static double
share_of_biases(const ps_net *self, const float *gradient)
{
    double sum = 0;

    for (int i = 0; i < self->n_field_layers; i++) {
        const ps_layer *layer = &self->layers[i];
        int64_t at = 0;
        for (int p = 0; layer->share == PS_SHARE_AFTER && p < layer->n_pairs; p++) {
            at += layer->pair[p].n_weight;
            for (int64_t k = 0; k < layer->pair[p].n_bias; k++, at++)
                sum += (double)layer->param[at] * gradient[layer->param_at + at];
        }
    }
    for (int k = 0; k < self->n_dense; k++) {
        const ps_dense *dense = &self->dense[k];
        const float *bias = dense->layer->param + dense->m * dense->n;
        for (int64_t o = 0; o < dense->m; o++)
            sum += (double)bias[o] * dense->d[o];
    }
    return sum;
}

int
ps_net_evidence(ps_net *self, const ps_field *field, int64_t class_number, ps_evidence *about)
{
    int ret = PS_OK;
    int64_t classes = ps_net_last_dense(self)->m;
    float *d;

    if (class_number < -1 || class_number >= classes)
        FAIL(PS_BAD_VALUE, "class %lld is not one of %lld", (long long)class_number,
             (long long)classes);
    TRY(ps_net_begin(self, 0));
    TRY(mark_shares(self));
    TRY(ps_net_forward(self, field, 1));
    for (int64_t k = 0, best = class_number; best < 0 && k < classes; k++)
        if (class_number < 0 || self->logits[k] > self->logits[class_number])
            class_number = k;
    for (int64_t k = 0; k < classes; k++)
        if (!isfinite(self->logits[k]))
            FAIL(PS_OVERFLOW, "within the network the numbers of this field are too large for "
                 "float32: its weights make no sense, or the field's counts");
    d = ps_net_last_dense(self)->d;
    memset(d, 0, (size_t)classes * sizeof *d);
    d[class_number] = 1;
    ps_head_backward(self);
    TRY(ps_backward_pass(self, 0, 1, 1));
    ps_sum_strips(self, self->lane_gradients[0]);
    *about = (ps_evidence){.class_number = class_number,
                           .logits = self->logits,
                           .bias = share_of_biases(self, self->lane_gradients[0]),
                           .top = self->frame.top, .left = self->frame.left};
    for (int i = 0; i < self->n_field_layers; i++) {
        const ps_layer *layer = &self->layers[i];
        const float *out = self->outputs + layer->out_at;
        float *share = self->diffs + layer->diff_at;
        for (int64_t k = 0; layer->share == PS_SHARE_HERE && k < layer->n_out; k++)
            share[k] *= out[k];
        about->n_maps += layer->share == PS_SHARE_HERE;
    }
out:
    ps_net_forget(self); /* it was no step */
    return ret;
}

int
ps_net_evidence_map(const ps_net *self, int number, ps_evidence_map *map)
{
    for (int i = 0; i < self->n_field_layers; i++) {
        const ps_layer *layer = &self->layers[i];
        if (layer->share != PS_SHARE_HERE || number-- > 0)
            continue;
        int64_t window = layer->window ? layer->window : layer->stride;
        *map = (ps_evidence_map){.h = layer->h, .w = layer->w, .c = layer->c, .window = window,
                                 .pixel = layer->stride / window,
                                 .shares = self->diffs + layer->diff_at,
                                 .places = layer->window ? self->indices + layer->index_at : NULL};
        return PS_OK;
    }
    return ps_fail(PS_BAD_VALUE, "there is no map %d", number);
}
