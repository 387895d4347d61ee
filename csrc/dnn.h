/* SPDX-License-Identifier: BSD-3-Clause */
/* oneDNN as the network and its convolutions see it: see dnn.c. */
#ifndef PHENOSCALE_DNN_H
#define PHENOSCALE_DNN_H

#include "internal.h"

typedef struct ps_dnn ps_dnn;           /* the engine; a stream and a scratchpad a thread */
typedef struct ps_dnn_conv ps_dnn_conv; /* one convolution, forward and backward */

typedef struct {
    int64_t h, w, in, out, kernel;
    int is_relu, is_training, wants_diff_source;
} ps_dnn_conv_shape;

void ps_dnn_limit(const char *isa); /* before anything else: use no more than that */
int ps_dnn_init(ps_dnn **self, int threads, ps_account *memory);
int ps_dnn_finish(ps_dnn *self); /* after the last convolution: allocate the scratchpads */
void ps_dnn_free(ps_dnn *self);
int ps_dnn_conv_init(ps_dnn_conv **self, ps_dnn *dnn, const ps_dnn_conv_shape *shape);
void ps_dnn_conv_free(ps_dnn_conv *self);
int ps_dnn_conv_prepare(ps_dnn_conv *self, int thread, float *weights);
int ps_dnn_conv_forward(ps_dnn_conv *self, int thread, float *source, float *bias, float *out);
int ps_dnn_conv_backward(ps_dnn_conv *self, int thread, float *source, float *diff_out,
                         float *diff_source, float *diff_weights, float *diff_bias);

#endif
