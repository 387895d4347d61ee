/* SPDX-License-Identifier: BSD-3-Clause */
/* The dense head on rows, as the network runs it: see layer_dense.c. */
#ifndef PHENOSCALE_LAYER_DENSE_H
#define PHENOSCALE_LAYER_DENSE_H

#include "layer.h"

/* One dense layer's part of a step: X (batch, n) and D (batch, m) are the factors of its
 * gradient D^T X, kept over the whole step. */
typedef struct {
    ps_layer *layer;
    const ps_kernels *kernels;
    int64_t n, m;
    int is_relu, rectifies; /* a ReLU after it; before it, on x */
    float *x, *d;
} ps_dense;

ps_dense ps_dense_of(ps_layer *layer, const ps_kernels *kernels); /* without x and d */
void ps_dense_forward(const ps_dense *self, int threads, int64_t rows, const float *x, float *y);
void ps_dense_backward(const ps_dense *self, int threads, int64_t rows, const float *d, float *dx);
/* The gradient by the weights, of `rows` images in order, to be used part by part: numbers
 * [at, at + n) of it, by several threads at a time; and that by the biases. */
typedef void ps_dense_use(void *context, int64_t at, int64_t n, const float *gradient);
void ps_dense_product(const ps_dense *self, int threads, int64_t rows, ps_dense_use *use,
                      void *context);
void ps_dense_bias(const ps_dense *self, int64_t rows, float *gradient);
/* norm^2 of the product by rows i % parts == part, to squares[i]. */
int ps_dense_squares(const ps_dense *self, const ps_net_plan *plan, int64_t rows, int64_t part,
                     int64_t parts, double *squares);

#endif
