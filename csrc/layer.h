/* SPDX-License-Identifier: BSD-3-Clause */
/* A layer, and all that it sees: its row in the table of types, what it is built with, what it
 * works on.  Of the network around it (net.h) it knows nothing but the layers it reads. */
#ifndef PHENOSCALE_LAYER_H
#define PHENOSCALE_LAYER_H

#include "internal.h"
#include "kernels/kernels.h"

typedef struct ps_dnn ps_dnn; /* dnn.h */

#define PS_MAX_SOURCES 16
#define PS_MAX_OPTIONS 5

typedef struct {
    const char *name;
    int64_t min, max, fallback; /* fallback below min: must be given */
} ps_option;

typedef struct ps_layer ps_layer;

/* What a layer is built with; the pointers stay good for the life of the layer. */
typedef struct {
    const ps_kernels *kernels;
    ps_dnn *dnn;
    ps_frame *frame; /* the input says it, the layers below read it */
    ps_account *memory;
    int is_training;
    int64_t limit, claimed; /* parameters: how many there may be, how many the layers above have */
} ps_build;

/* What a layer needs for one image (or, when dense, for some rows). */
typedef struct {
    int thread;                       /* whose private copies may be used */
    int64_t strip;                    /* which part of the image, of the layer's n_strips */
    float *space;                     /* n_space floats of that thread */
    const ps_field *field;            /* where all begins */
    float *source[PS_MAX_SOURCES];    /* outputs of the layers it reads (h, w, c) */
    float *out;                       /* (h, w, c) */
    int32_t *index;                   /* n_index numbers kept from forward to backward */
    float *diff_out;                  /* gradient by the output; may be overwritten */
    float *diff_source[PS_MAX_SOURCES]; /* to be written; NULL where nobody wants it */
    float *grad;                      /* gradient by this layer's parameters, to be written */
    int64_t executed;                 /* floating-point operations, counted by the layer */
} ps_work;

/* Weights and their biases: two tensors of a layer. */
typedef struct {
    const char *name; /* after the layer's, with a dot; or "" */
    int64_t n_weight, n_bias, fan_in, fan_out, shape[4];
    int n_shape;
} ps_pair;

#define PS_MAX_PAIRS 3

typedef struct {
    const char *name;
    ps_option options[PS_MAX_OPTIONS];
    int min_sources, max_sources;
    int reads_planes; /* of a pyramid or the field itself, where others read maps */
    int (*init)(ps_layer *self, const ps_build *build); /* output shape, parameters, workspace */
    int (*prepare)(ps_layer *self, int thread); /* after the parameters changed; may be NULL */
    int (*forward)(ps_layer *self, ps_work *work);
    int (*backward)(ps_layer *self, ps_work *work); /* NULL: no gradient passes */
    void (*free)(ps_layer *self);
} ps_layer_type;

/* Of a layer: before those whose outputs are shared out, one of those, or after them. */
enum { PS_SHARE_AFTER, PS_SHARE_HERE, PS_SHARE_BEFORE };

struct ps_layer {
    const ps_layer_type *type;
    char name[48];
    int64_t option[PS_MAX_OPTIONS];
    int n_sources, source[PS_MAX_SOURCES]; /* numbers of layers above, */
    const ps_layer *from[PS_MAX_SOURCES];  /* and those layers */
    int64_t h, w, c, n_out;                /* shape of the output, and its size */
    int64_t stride;                        /* pixels of the field a cell of the map stands for */
    int64_t window;                        /* of a tower: pixels each way in a cell; else 0 */
    int is_planar;                         /* out is planes (c, h, w), not a map */
    int64_t n_index, cost;                 /* kept integers; about how many operations */
    int64_t n_strips, n_space;             /* parts of an image; workspace of a thread */
    ps_pair pair[PS_MAX_PAIRS];            /* parameters, in order */
    int n_pairs;
    int64_t n_param;
    int64_t param_at;     /* place in the flat arrays */
    int64_t strip_at;     /* place of the gradients of strips 1, 2, ... behind an image's own */
    float *param;         /* there */
    int wants_gradient;   /* parameters here or above */
    int share;            /* PS_SHARE_...: where evidence.c looks */
    int level, last_use;  /* wave in which it runs, wave of its last reader */
    int64_t out_at, index_at, diff_at; /* places in an image's arenas */
    void *state;          /* of the type */
};

extern const ps_layer_type ps_layer_input, ps_layer_pyramid, ps_layer_tower, ps_layer_conv,
    ps_layer_pool, ps_layer_merge, ps_layer_gap, ps_layer_dense;

/* Take another pair of parameters, against the limit; before anything of their size is made. */
int ps_layer_claim(ps_layer *self, const ps_build *build, const ps_pair *pair);
/* A ReLU turns a NaN into 0, and would hide broken weights: they are refused. */
int ps_layer_check_weights(const ps_layer *self);

/* Level `level` (from 1) of a pyramid's planes (layer_pyramid.c), and its shape. */
const float *ps_pyramid_level(const ps_layer *pyramid, const float *out, int64_t level,
                              int64_t *h, int64_t *w);

#endif
