/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a network: predictions, and training in stages.
 *
 *   begin -> (forward -> backward) for each part of the batch -> [gradient.c] -> [optim.c]
 *
 * The unit of work is one strip of one layer of one image, the strips being fixed by the layer.  An
 * image's gradient by the field layers is then summed with the others' along a fixed tree
 * (gradient.c), so the bits are the same for any number of threads and any parts of the batch. */
#include "net.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* One pass over some images: what the parallel loop shares. */
typedef struct {
    ps_net *net;
    int64_t first, n;       /* images, counted from the first kept one */
    int is_backward, stops; /* stops: at the layers whose shares are asked for */
    atomic_int status;      /* the first failure */
    char detail[PS_DETAIL_SIZE];
} pass;

static void
note_failure(pass *self, int status)
{
    int none = PS_OK;

    if (status != PS_OK && atomic_compare_exchange_strong(&self->status, &none, status))
        strcpy(self->detail, ps_error_detail());
}

/* The caller's thread asks whether to stop; the others see it through the status. */
static int
is_over(pass *self)
{
    const ps_net_plan *plan = &self->net->plan;

    if (omp_get_thread_num() == 0 && plan->poll && atomic_load(&self->status) == PS_OK &&
        plan->poll(plan->context))
        note_failure(self, ps_fail(PS_STOPPED, "stopped"));
    return atomic_load(&self->status) != PS_OK;
}

/* Strip `strip` of layer `number` of image `i` of the pass. */
static int
run_strip(pass *self, int number, int64_t strip, int64_t i)
{
    ps_net *net = self->net;
    ps_layer *layer = &net->layers[number];
    int64_t slot = self->first + i;
    float *outputs = net->outputs + slot * net->out_size;
    float *diffs = self->is_backward ? net->diffs + i * net->diff_size : NULL;
    int thread = omp_get_thread_num(), status;
    ps_work work = {.thread = thread,
                    .strip = strip,
                    .space = net->spaces + thread * net->space_size,
                    .field = &net->fields[slot],
                    .out = outputs + layer->out_at,
                    .index = net->indices + slot * net->index_size + layer->index_at};

    for (int k = 0; k < layer->n_sources; k++) {
        const ps_layer *from = &net->layers[layer->source[k]];
        work.source[k] = outputs + from->out_at;
        if (self->is_backward && from->wants_gradient)
            work.diff_source[k] = diffs + from->diff_at;
    }
    if (self->is_backward) {
        work.diff_out = diffs + layer->diff_at;
        work.grad = net->lane_gradients[i] +
                    (strip ? layer->strip_at + (strip - 1) * layer->n_param : layer->param_at);
        status = layer->wants_gradient && !(self->stops && layer->share != PS_SHARE_AFTER)
                     ? layer->type->backward(layer, &work)
                     : PS_OK;
    } else {
        status = layer->type->forward(layer, &work);
    }
    __atomic_fetch_add(&net->executed, work.executed, __ATOMIC_RELAXED);
    return status;
}

/* Task `task` of a wave: strips of all images, layer by layer. */
static int
run_task(pass *self, const int *wave, int64_t task)
{
    const ps_layer *layers = self->net->layers;

    for (; task >= layers[*wave].n_strips * self->n; wave++)
        task -= layers[*wave].n_strips * self->n;
    return run_strip(self, *wave, task / self->n, task % self->n);
}

/* All layers of one level and all images of the pass. */
static void
run_wave(pass *self, int level)
{
    ps_net *net = self->net;
    const int *wave = net->wave + net->wave_start[level];
    int64_t tasks = 0;

    for (int i = net->wave_start[level]; i < net->wave_start[level + 1]; i++)
        tasks += net->layers[net->wave[i]].n_strips * self->n;

#pragma omp parallel num_threads(net->plan.threads)
    {
        omp_set_num_threads(1); /* within this region: oneDNN must not open regions of its own */
#pragma omp for schedule(dynamic, 1)
        for (int64_t task = 0; task < tasks; task++)
            if (!is_over(self))
                note_failure(self, run_task(self, wave, task));
    }
}

static int
run_pass(pass *self)
{
    int levels = self->net->n_levels;

    for (int i = 0; i < levels; i++)
        run_wave(self, self->is_backward ? levels - 1 - i : i);
    if (self->status != PS_OK)
        return ps_fail(self->status, "%s", self->detail);
    return PS_OK;
}

/* Private copies of the weights: a small cost, and then no call can meet stale ones. */
static int
prepare(ps_net *self)
{
    pass failure = {.net = self};

#pragma omp parallel num_threads(self->plan.threads)
    {
        omp_set_num_threads(1);
#pragma omp for schedule(dynamic, 1)
        for (int i = 0; i < self->n_field_layers; i++)
            if (self->layers[i].type->prepare)
                note_failure(&failure, self->layers[i].type->prepare(&self->layers[i],
                                                                     omp_get_thread_num()));
    }
    if (failure.status != PS_OK)
        return ps_fail(failure.status, "%s", failure.detail);
    return PS_OK;
}

/* Field layers `lanes` images at a time, the head for all rows at once: its weights, most of the
 * network, are read from memory once a call of head_forward. */
static int
predict_rows(ps_net *self, const ps_field *fields, int64_t n)
{
    int ret = PS_OK;

    for (int64_t at = 0; at < n; at += self->lanes) {
        pass forward = {.net = self, .n = n - at < self->lanes ? n - at : self->lanes};
        memcpy(self->fields, fields + at, (size_t)forward.n * sizeof *fields);
        TRY(run_pass(&forward));
        ps_head_take(self, at, forward.n);
    }
    ps_head_forward(self, 0, n);
out:
    return ret;
}

/* The first row that has a number which is none, or n. */
static int64_t
overflowed(const float *rows, int64_t n, int64_t columns)
{
    for (int64_t i = 0; i < n * columns; i++)
        if (!isfinite(rows[i]))
            return i / columns;
    return n;
}

static int
check_overflow(const float *logits, const float *embeddings, int64_t n, const ps_dense *last)
{
    int64_t first = overflowed(logits, n, last->m);

    if (embeddings && first == n)
        first = overflowed(embeddings, n, last->n);
    return first == n ? PS_OK
                      : ps_fail(PS_OVERFLOW, "within the network the numbers of field %lld of %lld "
                                "are too large for float32: its weights make no sense, or the "
                                "field's counts", (long long)first + 1, (long long)n);
}

void
ps_net_forget(ps_net *self)
{
    self->first = self->done = self->ahead = self->rows = 0;
    self->is_begun = self->is_head_back = self->is_summed = 0;
}

int
ps_net_predict(ps_net *self, const ps_field *fields, int64_t n, float *logits, float *embeddings)
{
    int ret = PS_OK;
    const ps_dense *last = ps_net_last_dense(self);
    const float *embedding = self->embeddings ? self->embeddings : last->x;

    ps_net_forget(self);
    TRY(prepare(self));
    for (int64_t at = 0; at < n; at += self->max_rows) {
        int64_t rows = n - at < self->max_rows ? n - at : self->max_rows;
        TRY(predict_rows(self, fields + at, rows));
        memcpy(logits + at * last->m, self->logits, (size_t)(rows * last->m) * sizeof *logits);
        if (embeddings)
            memcpy(embeddings + at * last->n, embedding,
                   (size_t)(rows * last->n) * sizeof *embeddings);
    }
    ret = check_overflow(logits, embeddings, n, last);
out:
    return ret;
}

int
ps_net_begin(ps_net *self, int64_t first)
{
    if (!self->plan.is_training)
        return ps_fail(PS_BAD_VALUE, "this network was made for predictions, not for training");
    if (first < 0 || first > self->plan.batch)
        return ps_fail(PS_BAD_VALUE, "a share from image %lld on: the network was made for steps "
                       "of %lld", (long long)first, (long long)self->plan.batch);
    ps_net_forget(self);
    int ret = prepare(self);
    if (ret != PS_OK)
        return ret;
    self->first = first;
    self->is_begun = 1;
    return PS_OK;
}

int
ps_net_forward(ps_net *self, const ps_field *fields, int64_t n)
{
    int ret = PS_OK;
    pass forward = {.net = self, .n = n};

    /* whether it is refused or not, the fields of the one before may be gone */
    self->ahead = self->is_head_back = self->is_summed = 0;
    if (!self->plan.is_training)
        FAIL(PS_BAD_VALUE, "this network was made for predictions, not for training");
    if (!self->is_begun) /* the layers' own copies of the weights are made there */
        FAIL(PS_BAD_VALUE, "a forward needs the begin of a step before it");
    int64_t at = self->first + self->done;
    if (n < 1 || n > self->plan.images || at + n > self->plan.batch)
        FAIL(PS_BAD_VALUE, "%lld images after %lld: the network was made for steps of %lld in "
             "parts of at most %lld", (long long)n, (long long)at,
             (long long)self->plan.batch, (long long)self->plan.images);
    memcpy(self->fields, fields, (size_t)n * sizeof *fields);
    TRY(run_pass(&forward));
    ps_head_take(self, at, n);
    ps_head_forward(self, at, n);
    self->ahead = n;
out:
    return ret;
}

int
ps_backward_pass(ps_net *self, int64_t first, int64_t n, int stops)
{
    pass backward = {.net = self, .first = first, .n = n, .is_backward = 1, .stops = stops};
    const ps_layer *top = ps_net_last_field_layer(self);

    for (int64_t i = 0; i < n && top->wants_gradient; i++)
        memcpy(self->diffs + i * self->diff_size + top->diff_at,
               self->diff_rows + (first + i) * self->dense[0].n,
               (size_t)self->dense[0].n * sizeof(float));
    return run_pass(&backward);
}

int
ps_net_backward_head(ps_net *self, const char *loss_name, const int64_t *labels,
                     const double *weights, double smoothing, double *losses, float *logits)
{
    int ret = PS_OK;
    int64_t classes = ps_net_last_dense(self)->m, n = self->ahead;

    if (n == 0)
        FAIL(PS_BAD_VALUE, "backward needs a forward before it");
    TRY(ps_head_loss(self, loss_name, labels, weights, smoothing, losses));
    if (logits)
        memcpy(logits, self->logits + (self->first + self->done) * classes,
               (size_t)(n * classes) * sizeof *logits);
    ps_head_backward(self);
    self->is_head_back = 1;
out:
    if (ret != PS_OK)
        self->done = self->ahead = self->is_summed = 0; /* half a step is no step */
    return ret;
}

int
ps_net_backward_fields(ps_net *self)
{
    int ret = PS_OK;
    int64_t n = self->ahead;

    if (n == 0 || !self->is_head_back)
        FAIL(PS_BAD_VALUE, "backward needs a forward and the head's backward before it");
    for (int64_t at = 0; at < n; at += self->lanes) {
        int64_t count = n - at < self->lanes ? n - at : self->lanes;
        TRY(ps_backward_pass(self, at, count, 0));
        for (int64_t i = 0; i < count; i++)
            ps_tree_add(self, &self->lane_gradients[i]);
    }
    self->ahead = 0;
out:
    if (ret != PS_OK)
        self->done = self->ahead = self->is_summed = 0;
    return ret;
}

int
ps_net_backward(ps_net *self, const char *loss_name, const int64_t *labels, const double *weights,
                double smoothing, double *losses, float *logits)
{
    int ret = PS_OK;

    TRY(ps_net_backward_head(self, loss_name, labels, weights, smoothing, losses, logits));
    TRY(ps_net_backward_fields(self));
out:
    return ret;
}
