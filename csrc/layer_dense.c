/* SPDX-License-Identifier: BSD-3-Clause */
/* The dense head: y = w x + b on rows, one row an image; of relu(x) with rectify=1, where head.c
 * keeps x itself for the embedding.
 *
 * A row's result must not depend on how many rows are in the call, nor a gradient on the threads:
 * each number is one sum in one fixed order, and the blocks below only decide who computes it.
 * That is why these three products are our own and not oneDNN's, whose order follows the shape.
 *
 * The gradient of the weights is the product of two thin matrices, D^T X (m x batch, batch x n).
 * The factors are kept over the step; the product is formed once, images in global order. */
#include "layer_dense.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { UNITS, RELU, RECTIFY };

#define LANES 16      /* partial sums of a dot product, added pairwise at the end */
#define BLOCK 4096    /* inputs at a time: 16 KB of weights stay in the cache over the rows */
#define COLUMNS 1024  /* inputs at a time where rows of weights are added */
#define TILE 65536    /* inputs of all images in a tile of the product, at most WIDEST an image, */
#define WIDEST 4096
#define OUTPUTS 64    /* outputs of a tile, */
#define STEP 4        /* and those at a time */

static int
dense_init(ps_layer *self, const ps_build *build)
{
    const ps_layer *from = self->from[0];

    self->h = self->w = 1;
    self->c = self->option[UNITS];
    int64_t n = from->h * from->w * from->c;
    ps_pair pair = {.name = "",
                    .n_weight = n * self->c,
                    .n_bias = self->c,
                    .fan_in = n,
                    .fan_out = self->c,
                    .shape = {self->c, from->h, from->w, from->c},
                    .n_shape = 4};
    if (from->h == 1 && from->w == 1) {
        pair.shape[1] = from->c;
        pair.n_shape = 2;
    }
    return ps_layer_claim(self, build, &pair);
}

ps_dense
ps_dense_of(ps_layer *layer, const ps_kernels *kernels)
{
    return (ps_dense){.layer = layer, .kernels = kernels, .n = layer->pair[0].fan_in,
                      .m = layer->c, .is_relu = (int)layer->option[RELU],
                      .rectifies = (int)layer->option[RECTIFY]};
}

/* x (rows, n) -> y (rows, m) */
void
ps_dense_forward(const ps_dense *self, int threads, int64_t rows, const float *x, float *y)
{
    const float *weight = self->layer->param, *bias = weight + self->n * self->m;
    int64_t n = self->n, m = self->m;

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t o = 0; o < m; o++) {
        for (int64_t i = 0; i < rows; i++)
            y[i * m + o] = bias[o];
        for (int64_t k = 0; k < n; k += BLOCK) {
            int64_t length = n - k < BLOCK ? n - k : BLOCK;
            self->kernels->dots(rows, weight + o * n + k, x + k, n, length, y + o, m);
        }
        for (int64_t i = 0; self->is_relu && i < rows; i++)
            y[i * m + o] = y[i * m + o] <= 0 ? 0 : y[i * m + o];
    }
}

/* d (rows, m) -> dx (rows, n), outputs in order */
void
ps_dense_backward(const ps_dense *self, int threads, int64_t rows, const float *d, float *dx)
{
    const float *weight = self->layer->param;
    int64_t n = self->n, m = self->m;

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < n; k += COLUMNS) {
        int64_t length = n - k < COLUMNS ? n - k : COLUMNS;
        for (int64_t i = 0; i < rows; i++)
            memset(dx + i * n + k, 0, (size_t)length * sizeof *dx);
        for (int64_t o = 0; o < m; o++) {
            const float *w = weight + o * n + k;
            for (int64_t i = 0; i < rows; i++) {
                float factor = d[i * m + o];
                if (factor != 0)
                    self->kernels->add(length, factor, w, dx + i * n + k);
            }
        }
    }
}

/* Tiles of outputs and inputs, so small that the images' inputs stay in the cache over a tile's
 * outputs, and a part of the product until it is used. */
void
ps_dense_product(const ps_dense *self, int threads, int64_t rows, ps_dense_use *use, void *context)
{
    int64_t n = self->n, m = self->m;
    int64_t width = TILE / (rows ? rows : 1) / 64 * 64;
    width = width < 64 ? 64 : width > WIDEST ? WIDEST : width;
    int64_t across = (n + width - 1) / width, down = (m + OUTPUTS - 1) / OUTPUTS;

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t tile = 0; tile < across * down; tile++) {
        int64_t k = tile / down * width, length = n - k < width ? n - k : width;
        int64_t o = tile % down * OUTPUTS, end = m - o < OUTPUTS ? m : o + OUTPUTS;
        float part[STEP * WIDEST];
        for (; o < end; o += STEP) {
            int64_t count = end - o < STEP ? end - o : STEP;
            self->kernels->outer(rows, count, self->d + o, m, self->x + k, n, length, part, length);
            for (int64_t j = 0; j < count; j++)
                use(context, (o + j) * n + k, length, part + j * length);
        }
    }
}

void
ps_dense_bias(const ps_dense *self, int64_t rows, float *gradient)
{
    memset(gradient, 0, (size_t)self->m * sizeof *gradient);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t o = 0; o < self->m; o++)
            gradient[o] += self->d[i * self->m + o];
}

static double
dot_double(const float *a, const float *b, int64_t n)
{
    double sum[LANES] = {0};
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            sum[k] += (double)a[i + k] * b[i + k];
    for (int k = 0; i < n; i++, k++)
        sum[k] += (double)a[i] * b[i];
    for (int step = LANES / 2; step > 0; step /= 2)
        for (int k = 0; k < step; k++)
            sum[k] += sum[k + step];
    return sum[0];
}

/* The squared norm of the gradient without forming it: of sum_i d_i x_i^T it is
 * sum_ij (d_i . d_j)(x_i . x_j); biases add sum_ij (d_i . d_j).  By row i, j <= i, so that rows can
 * be computed anywhere: here those of one part of several. */
int
ps_dense_squares(const ps_dense *self, const ps_net_plan *plan, int64_t rows, int64_t part,
                 int64_t parts, double *squares)
{
    atomic_int is_over = 0;

#pragma omp parallel for num_threads(plan->threads) schedule(dynamic, 1)
    for (int64_t i = part; i < rows; i += parts) {
        double sum = 0;
        if (omp_get_thread_num() == 0 && plan->poll && !is_over && plan->poll(plan->context))
            is_over = 1;
        for (int64_t j = 0; j <= i && !is_over; j++) {
            double x = dot_double(self->x + i * self->n, self->x + j * self->n, self->n);
            double d = dot_double(self->d + i * self->m, self->d + j * self->m, self->m);
            sum += (i == j ? 1 : 2) * d * (x + 1);
        }
        squares[i] = sum;
    }
    return is_over ? ps_fail(PS_STOPPED, "stopped") : PS_OK;
}

const ps_layer_type ps_layer_dense = {
    .name = "dense",
    .options = {{"units", 1, 65536, 0}, {"relu", 0, 1, 0}, {"rectify", 0, 1, 0}},
    .min_sources = 1,
    .max_sources = 1,
    .init = dense_init,
};
