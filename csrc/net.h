/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole network: describe.c reads it, net.c and arena.c build it, step.c, head.c and gradient.c
 * run it, optim.c updates it, evidence.c asks it.  Its layers see none of this, but layer.h. */
#ifndef PHENOSCALE_NET_H
#define PHENOSCALE_NET_H

#include "layer_dense.h"

#define PS_MAX_LAYERS 512
#define PS_MAX_LANES 64 /* images at a time, where there are as many threads */
#define PS_TREE_LEVELS 40

struct ps_net {
    ps_net_plan plan;
    int n_layers, n_field_layers, n_levels, n_dense;
    ps_layer *layers;  /* field layers first, then the dense ones */
    int *wave;         /* field layers by level, dearest first */
    int *wave_start;   /* (n_levels + 1) */
    ps_frame frame;
    ps_slice *slices;
    int64_t n_slices, count, field_count; /* parameters: all, of the field layers */
    float *parameters, *gradients;        /* gradients: of the field layers, unless forms_dense */
    const ps_kernels *kernels;
    ps_dnn *dnn;
    int64_t lanes, kept;               /* images at a time; images whose outputs are kept */
    int64_t max_rows;                  /* of the head */
    int64_t out_size, index_size, diff_size; /* of one image's arenas */
    float *outputs, *diffs;            /* (kept, out_size), (lanes, diff_size) */
    int32_t *indices;                  /* (kept, index_size) */
    ps_field *fields;                  /* (kept): borrowed from forward to backward */
    float *spaces;                     /* (threads, space_size) */
    int64_t space_size, strips_size;   /* strips_size: of lane_gradients beyond field_count */
    ps_dense *dense;                   /* (n_dense) */
    float *logits, *diff_rows;         /* (batch, classes), (images, n of the first dense) */
    float *embeddings;                 /* (batch, embedding) before a ReLU; NULL: the last x */
    float *lane_gradients[PS_MAX_LANES], *tree[PS_TREE_LEVELS];
    int64_t first;                     /* of the step's images: where this process's share begins */
    int64_t done, ahead;               /* images of it: through backward, through forward */
    int is_begun;                      /* a step is under way, its weights prepared */
    int is_head_back;                  /* those ahead: through the head's backward */
    int is_summed;                     /* gradients: the sum of this process's share */
    int64_t rows;                      /* images whose gradient is there to be used */
    ps_account memory;
    int64_t executed;
};

static inline const ps_layer *
ps_net_last_field_layer(const ps_net *self)
{
    return &self->layers[self->n_field_layers - 1];
}

static inline const ps_dense *
ps_net_last_dense(const ps_net *self)
{
    return &self->dense[self->n_dense - 1];
}

/* Whether the embedding lies behind the field layers' output: of a gap that rectifies. */
static inline int
ps_net_pools_bare(const ps_net *self)
{
    const ps_layer *top = ps_net_last_field_layer(self);
    return self->n_dense == 1 && top->type == &ps_layer_gap && top->n_out > top->c;
}

void ps_net_forget(ps_net *self); /* the step that was under way, and its gradient */
int ps_describe(ps_net *self, const char *description);
int ps_check_stacks(int threads); /* of OpenMP: PS_BAD_VALUE where they are too small */
int ps_plan_arenas(ps_net *self);
int ps_make_arrays(ps_net *self);
/* Rows [at, at + n) of the head: its input from slots [0, n), its logits, losses and gradients of
 * the rows ahead, down to diff_rows. */
void ps_head_take(ps_net *self, int64_t at, int64_t n);
void ps_head_forward(ps_net *self, int64_t at, int64_t n);
int ps_head_loss(ps_net *self, const char *loss_name, const int64_t *labels, const double *weights,
                 double smoothing, double *losses);
void ps_head_backward(ps_net *self);
/* Field layers from diff_rows [first, first + n) up; with `stops` those after the shared ones. */
int ps_backward_pass(ps_net *self, int64_t first, int64_t n, int stops);
void ps_sum_strips(const ps_net *self, float *gradient);
void ps_tree_add(ps_net *self, float **gradient);

#endif
