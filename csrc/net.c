/* SPDX-License-Identifier: BSD-3-Clause */
/* Builds a network from its description: shapes, the flat arrays of parameters and gradients,
 * and the order in which layers run.  arena.c gives it memory, step.c runs it.
 *
 * Waves.  A field layer's level is its distance from the last field layer, so that the columns of
 * a multi-scale network, however long the pyramids before them, run side by side: the layers of
 * one level and all images are one parallel loop, the dearest first. */
#include "net.h"
#include "dnn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 8 /* of the head in prediction, whose weights are then read once in so many images */

/* ---- order ------------------------------------------------------------------------------ */

/* Field layers first, one input at the top, dense layers in a chain below, each map that carries
 * a gradient read once. */
static int
check_order(ps_net *self)
{
    int ret = PS_OK;
    int readers[PS_MAX_LAYERS] = {0};

    if (self->layers[0].type != &ps_layer_input)
        FAIL(PS_BAD_VALUE, "the first layer of a network must be the input");
    for (int i = 1; i < self->n_layers; i++) {
        const ps_layer *layer = &self->layers[i];
        int is_dense = layer->type == &ps_layer_dense;
        if (layer->type == &ps_layer_input)
            FAIL(PS_BAD_VALUE, "layer '%s': a network has one input", layer->name);
        if (!is_dense && self->n_dense > 0)
            FAIL(PS_BAD_VALUE, "layer '%s': only dense layers may follow a dense layer",
                 layer->name);
        if (is_dense && layer->source[0] != i - 1)
            FAIL(PS_BAD_VALUE, "layer '%s': a dense layer reads the layer above it",
                 layer->name);
        self->n_dense += is_dense;
        for (int k = 0; k < layer->n_sources; k++)
            readers[layer->source[k]]++;
    }
    self->n_field_layers = self->n_layers - self->n_dense;
    if (self->n_dense == 0)
        FAIL(PS_BAD_VALUE, "a network ends in a dense layer, one unit a class");
    for (int i = 0; i < self->n_layers - 1; i++) {
        if (readers[i] == 0)
            FAIL(PS_BAD_VALUE, "layer '%s' is read by nobody", self->layers[i].name);
        if (readers[i] > 1 && self->layers[i].wants_gradient)
            FAIL(PS_BAD_VALUE, "layer '%s' has parameters above it and is read twice",
                 self->layers[i].name);
    }
out:
    return ret;
}

/* The layers that a layer reads: maps, or else planes. */
static int
find_sources(const ps_net *self, ps_layer *layer)
{
    for (int k = 0; k < layer->n_sources; k++) {
        const ps_layer *from = layer->from[k] = &self->layers[layer->source[k]];
        int is_field = from->type == &ps_layer_input;
        if (layer->type->reads_planes ? !from->is_planar && !is_field : from->is_planar)
            return ps_fail(PS_BAD_VALUE, "layer '%s': a %s cannot read a %s", layer->name,
                           layer->type->name, from->type->name);
    }
    return PS_OK;
}

/* Whether anyone needs the field as a map; towers and pyramids read its counts. */
static int
reads_map(const ps_net *self)
{
    for (int i = 1; i < self->n_layers; i++)
        for (int k = 0; k < self->layers[i].n_sources; k++)
            if (self->layers[i].source[k] == 0 && !self->layers[i].type->reads_planes)
                return 1;
    return 0;
}

/* Each type's init, in order; then what the net derives from it. */
static int
init_layers(ps_net *self)
{
    int ret = PS_OK;
    ps_build build = {.kernels = self->kernels, .dnn = self->dnn, .frame = &self->frame,
                      .memory = &self->memory,
                      .is_training = self->plan.is_training,
                      .limit = self->plan.limit ? self->plan.limit : PS_LIMIT_PARAMETERS};

    for (int i = 0; i < self->n_layers; i++) {
        ps_layer *layer = &self->layers[i];
        layer->stride = layer->n_strips = 1;
        TRY(find_sources(self, layer));
        TRY(layer->type->init(layer, &build));
        build.claimed += layer->n_param;
        layer->wants_gradient = layer->n_param > 0;
        for (int k = 0; k < layer->n_sources; k++)
            layer->wants_gradient |= layer->from[k]->wants_gradient;
        if (!layer->n_out && __builtin_mul_overflow(layer->h * layer->w, layer->c, &layer->n_out))
            layer->n_out = INT64_MAX;
        if (layer->n_out > PS_LIMIT_IMAGE_BYTES / 4)
            FAIL(PS_LIMIT, "layer '%s' of %lld x %lld x %lld is too large", layer->name,
                 (long long)layer->h, (long long)layer->w, (long long)layer->c);
        if (self->space_size < layer->n_space)
            self->space_size = layer->n_space;
    }
    self->layers[0].n_out = reads_map(self) ? self->layers[0].n_out : 0;
out:
    return ret;
}

static int
by_level_then_cost(const ps_layer *a, const ps_layer *b)
{
    return a->level != b->level ? a->level < b->level : a->cost > b->cost;
}

/* Levels as late as possible, and the waves they make. */
static int
make_waves(ps_net *self)
{
    int ret = PS_OK, deepest = 0, n = self->n_field_layers;
    int height[PS_MAX_LAYERS] = {0}; /* steps from here to the last field layer */

    for (int i = n - 1; i >= 0; i--) {
        const ps_layer *layer = &self->layers[i];
        deepest = height[i] > deepest ? height[i] : deepest;
        for (int k = 0; k < layer->n_sources; k++)
            if (height[layer->source[k]] < height[i] + 1)
                height[layer->source[k]] = height[i] + 1;
    }
    self->n_levels = deepest + 1;
    for (int i = 0; i < n; i++)
        self->layers[i].level = self->layers[i].last_use = deepest - height[i];
    for (int i = 0; i < n; i++)
        for (int k = 0; k < self->layers[i].n_sources; k++) {
            ps_layer *from = &self->layers[self->layers[i].source[k]];
            if (from->last_use < self->layers[i].level)
                from->last_use = self->layers[i].level;
        }
    TRY(ps_array(&self->wave, n, sizeof *self->wave));
    TRY(ps_array(&self->wave_start, self->n_levels + 1, sizeof *self->wave_start));
    for (int i = 0; i < n; i++) { /* insertion sort: stable, and n is small */
        int at = i;
        for (; at > 0 && by_level_then_cost(&self->layers[i], &self->layers[self->wave[at - 1]]);
             at--)
            self->wave[at] = self->wave[at - 1];
        self->wave[at] = i;
    }
    for (int i = 0, level = 0; level <= self->n_levels; level++) {
        while (i < n && self->layers[self->wave[i]].level < level)
            i++;
        self->wave_start[level] = i;
    }
out:
    return ret;
}

/* ---- parameters ---------------------------------------------------------------------------- */

static void
add_slice(ps_net *self, const ps_layer *layer, const ps_pair *pair, int is_bias)
{
    ps_slice *slice = &self->slices[self->n_slices++];

    snprintf(slice->name, sizeof slice->name, "%s%s%s.%s", layer->name, *pair->name ? "." : "",
             pair->name, is_bias ? "bias" : "weight");
    slice->is_bias = is_bias;
    slice->offset = self->count;
    slice->count = is_bias ? pair->n_bias : pair->n_weight;
    slice->n_dims = is_bias ? 1 : pair->n_shape;
    memcpy(slice->shape, pair->shape, sizeof slice->shape);
    if (is_bias)
        slice->shape[0] = pair->n_bias;
    self->count += slice->count;
}

/* Names and places of the parameters: each layer's weights, then its biases, pair by pair. */
static int
make_slices(ps_net *self)
{
    int ret = PS_OK;

    TRY(ps_array_zeroed(&self->slices, 2 * PS_MAX_PAIRS * self->n_layers, sizeof *self->slices));
    for (int i = 0; i < self->n_layers; i++) {
        ps_layer *layer = &self->layers[i];
        if (i == self->n_field_layers)
            self->field_count = self->count;
        layer->param_at = self->count;
        for (int k = 0; k < layer->n_pairs; k++) {
            add_slice(self, layer, &layer->pair[k], 0);
            add_slice(self, layer, &layer->pair[k], 1);
        }
    }
    for (int i = 0; i < self->n_field_layers; i++) {
        ps_layer *layer = &self->layers[i];
        layer->strip_at = self->field_count + self->strips_size;
        self->strips_size += (layer->n_strips - 1) * layer->n_param;
    }
out:
    return ret;
}

/* ---- the object ------------------------------------------------------------------------- */

int
ps_net_init(ps_net **self, const char *description, const ps_net_plan *plan)
{
    int ret = PS_OK;
    ps_net *net = NULL;

    *self = NULL;
    if (plan->threads < 1 || plan->threads > PS_LIMIT_THREADS)
        FAIL(PS_BAD_VALUE, "threads=%d does not lie between 1 and %d", plan->threads,
             PS_LIMIT_THREADS);
    if (plan->is_training && (plan->images < 1 || plan->batch < plan->images ||
                              plan->batch > PS_LIMIT_BATCH))
        FAIL(PS_BAD_VALUE, "a step of %lld images in parts of %lld is not possible",
             (long long)plan->batch, (long long)plan->images);
    TRY(ps_check_stacks(plan->threads));
    TRY(ps_array_zeroed(&net, 1, sizeof *net));
    net->plan = *plan;
    net->memory.limit = plan->memory;
    net->lanes = plan->threads < PS_MAX_LANES ? plan->threads : PS_MAX_LANES;
    if (plan->is_training && plan->images < net->lanes)
        net->lanes = plan->images;
    net->kept = plan->is_training ? plan->images : net->lanes;
    net->max_rows = plan->is_training ? plan->batch : net->lanes > ROWS ? net->lanes : ROWS;
    TRY(ps_describe(net, description));
    TRY(ps_isa_choose(&net->kernels));
    ps_dnn_limit(net->kernels->isa);
    TRY(ps_dnn_init(&net->dnn, plan->threads, &net->memory));
    TRY(init_layers(net));
    TRY(check_order(net));
    TRY(ps_dnn_finish(net->dnn));
    TRY(make_slices(net));
    TRY(make_waves(net));
    TRY(ps_plan_arenas(net));
    TRY(ps_make_arrays(net));
    for (int i = 0; i < net->n_layers; i++)
        net->layers[i].param = net->parameters + net->layers[i].param_at;
    *self = net;
    net = NULL;
out:
    ps_net_free(net);
    return ret;
}

void
ps_net_free(ps_net *self)
{
    if (!self)
        return;
    for (int i = 0; self->layers && i < self->n_layers; i++)
        if (self->layers[i].type->free && self->layers[i].state)
            self->layers[i].type->free(&self->layers[i]);
    for (int i = 0; self->dense && i < self->n_dense; i++) {
        free(self->dense[i].x);
        free(self->dense[i].d);
    }
    for (int i = 0; i < PS_MAX_LANES; i++)
        free(self->lane_gradients[i]);
    for (int i = 0; i < PS_TREE_LEVELS; i++)
        free(self->tree[i]);
    ps_dnn_free(self->dnn);
    void *arrays[] = {self->layers,    self->wave,    self->wave_start, self->slices,
                      self->parameters, self->gradients, self->outputs, self->diffs,
                      self->indices,   self->dense,   self->logits,     self->diff_rows,
                      self->fields,    self->spaces,  self->embeddings};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(self);
}

const ps_slice *
ps_net_slices(const ps_net *self, int64_t *n)
{
    *n = self->n_slices;
    return self->slices;
}

int64_t
ps_net_count(const ps_net *self)
{
    return self->count;
}

float *
ps_net_parameters(ps_net *self)
{
    return self->parameters;
}

int64_t
ps_net_executed(const ps_net *self)
{
    return self->executed;
}

int64_t
ps_net_classes(const ps_net *self)
{
    return ps_net_last_dense(self)->m;
}

int64_t
ps_net_embedding(const ps_net *self)
{
    return ps_net_last_dense(self)->n;
}

int64_t
ps_net_memory(const ps_net *self)
{
    return self->memory.bytes;
}

int64_t
ps_net_pending(const ps_net *self)
{
    return self->ahead;
}

/* Glorot, Bengio 2010: uniform in +-sqrt(6 / (fan_in + fan_out)). */
void
ps_net_initialise(ps_net *self, uint64_t seed)
{
    uint64_t number = 0;

    memset(self->parameters, 0, (size_t)self->count * sizeof(float));
    for (int i = 0; i < self->n_layers; i++) {
        float *param = self->layers[i].param;
        for (int p = 0; p < self->layers[i].n_pairs; p++, number++) {
            const ps_pair *pair = &self->layers[i].pair[p];
            double limit = sqrt(6.0 / (double)(pair->fan_in + pair->fan_out));
            for (int64_t k = 0; k < pair->n_weight; k++)
                param[k] = (float)(limit * (2 * ps_random_unit(seed, 1, number, (uint64_t)k) - 1));
            param += pair->n_weight + pair->n_bias;
        }
    }
}
