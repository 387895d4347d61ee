/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of a network: who keeps its numbers where, all of it allocated before the first run.
 *
 * Each image has one block of memory, an arena, for the outputs of all its layers.  In training
 * outputs live until backward has used them; in prediction, and for gradients always, a place is
 * given again as soon as the last reader's wave is over. */
#include "net.h"

#include <stdlib.h>
#include <string.h>

/* A place in an arena for `size` floats that are alive during waves [first, last]. */
typedef struct {
    int64_t size, at;
    int first, last;
} lease;

/* First fit: the lowest place that no living neighbour overlaps. */
static int64_t
place(const lease *placed, int n, lease *new)
{
    int moved = 1;

    new->at = 0;
    while (moved) {
        moved = 0;
        for (int i = 0; i < n; i++) {
            const lease *other = &placed[i];
            if (other->first <= new->last && new->first <= other->last &&
                other->at < new->at + new->size && new->at < other->at + other->size) {
                new->at = other->at + other->size;
                moved = 1;
            }
        }
    }
    return new->at + new->size;
}

static int64_t
to_line(int64_t floats)
{
    return (floats + 15) / 16 * 16;
}

int
ps_plan_arenas(ps_net *self)
{
    int ret = PS_OK, n = self->n_field_layers;
    lease *outs = NULL, *diffs = NULL;
    int keeps = self->plan.is_training;

    TRY(ps_array(&outs, n, sizeof *outs));
    TRY(ps_array(&diffs, n, sizeof *diffs));
    for (int i = 0; i < n; i++) {
        ps_layer *layer = &self->layers[i];
        outs[i] = (lease){.size = to_line(layer->n_out), .first = keeps ? 0 : layer->level,
                          .last = keeps ? self->n_levels : layer->last_use};
        int64_t end = place(outs, i, &outs[i]);
        layer->out_at = outs[i].at;
        self->out_size = end > self->out_size ? end : self->out_size;
        layer->index_at = self->index_size;
        self->index_size += to_line(layer->n_index);
        diffs[i] = (lease){.size = keeps && layer->wants_gradient ? to_line(layer->n_out) : 0,
                           .first = layer->level, .last = layer->last_use};
        end = place(diffs, i, &diffs[i]);
        layer->diff_at = diffs[i].at;
        self->diff_size = end > self->diff_size ? end : self->diff_size;
    }
out:
    free(outs);
    free(diffs);
    return ret;
}

/* What callers look into, and may before a step has written it: not what the heap held. */
static void
clear_shared(ps_net *self)
{
    int64_t count = self->plan.forms_dense ? self->count : self->field_count;

    memset(self->gradients, 0, (size_t)count * sizeof(float));
    for (int i = 0; i < self->n_dense; i++) {
        const ps_dense *dense = &self->dense[i];
        memset(dense->x, 0, (size_t)(self->max_rows * dense->n) * sizeof(float));
        memset(dense->d, 0, (size_t)(self->max_rows * dense->m) * sizeof(float));
    }
}

int
ps_make_arrays(ps_net *self)
{
    int ret = PS_OK;
    int is_training = self->plan.is_training;
    int64_t rows = self->max_rows;
    ps_account *account = &self->memory;

    TRY(ps_hold(account, &self->parameters, self->count, 1, sizeof(float)));
    TRY(ps_hold(account, &self->outputs, self->kept, self->out_size, sizeof(float)));
    TRY(ps_hold(account, &self->indices, self->kept, self->index_size, sizeof(int32_t)));
    TRY(ps_hold(account, &self->fields, self->kept, 1, sizeof *self->fields));
    TRY(ps_hold(account, &self->spaces, self->plan.threads, self->space_size, sizeof(float)));
    TRY(ps_array_zeroed(&self->dense, self->n_dense, sizeof *self->dense));
    for (int i = 0; i < self->n_dense; i++) {
        ps_dense *dense = &self->dense[i];
        *dense = ps_dense_of(&self->layers[self->n_field_layers + i], self->kernels);
        TRY(ps_hold(account, &dense->x, rows, dense->n, sizeof(float)));
        if (is_training)
            TRY(ps_hold(account, &dense->d, rows, dense->m, sizeof(float)));
    }
    if (ps_net_last_dense(self)->rectifies || ps_net_pools_bare(self))
        TRY(ps_hold(account, &self->embeddings, rows, ps_net_last_dense(self)->n, sizeof(float)));
    TRY(ps_hold(account, &self->logits, rows, ps_net_last_dense(self)->m, sizeof(float)));
    if (!is_training)
        goto done;
    TRY(ps_hold(account, &self->gradients,
                self->plan.forms_dense ? self->count : self->field_count, 1, sizeof(float)));
    TRY(ps_hold(account, &self->diffs, self->lanes, self->diff_size, sizeof(float)));
    TRY(ps_hold(account, &self->diff_rows, self->plan.images, self->dense[0].n, sizeof(float)));
    for (int64_t i = 0; i < self->lanes; i++)
        TRY(ps_hold(account, &self->lane_gradients[i], self->field_count + self->strips_size, 1,
                    sizeof(float)));
    for (int i = 0; i < PS_TREE_LEVELS && (int64_t)1 << i <= self->plan.batch; i++)
        TRY(ps_hold(account, &self->tree[i], self->field_count + self->strips_size, 1,
                    sizeof(float)));
done:
    TRY(ps_account_check(account, "the arrays of the network"));
    memset(self->parameters, 0, (size_t)self->count * sizeof(float));
    if (is_training)
        clear_shared(self);
out:
    return ret;
}
