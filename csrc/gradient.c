/* SPDX-License-Identifier: BSD-3-Clause */
/* The gradient of a step.
 *
 * Of the field layers: an image's, the sum of its strips, is summed with the others' in one fixed
 * pairwise tree over the images of the step, in their order:
 *
 *   images   0   1   2   3   4   5   6
 *             \ /     \ /     \ /    |        level 0: pairs
 *              +-------+       +-----+        level 1: pairs of pairs
 *                   \           /
 *                    +---------+
 *
 * The tree is kept as a binary counter: tree[l] holds the sum of 2^l images while bit l of `done`
 * is set.  Processes that share a step each have a whole branch, and their caller the levels above.
 *
 * Of the dense layers: the product D^T X of the factors, which optim.c forms as it uses it; or,
 * where the plan says so, a sum that is formed here. */
#include "net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NO_SUM "the end of a step needs the sum of its gradients before it"
#define CHUNK 4096 /* of a sum of squares: the order is chunks, then their sums */

/* An image's gradient: its strips, in order. */
void
ps_sum_strips(const ps_net *self, float *gradient)
{
    for (int k = 0; k < self->n_field_layers; k++) {
        const ps_layer *layer = &self->layers[k];
        float *sum = gradient + layer->param_at;
        for (int64_t strip = 1; strip < layer->n_strips; strip++) {
            const float *part = gradient + layer->strip_at + (strip - 1) * layer->n_param;
            for (int64_t i = 0; i < layer->n_param; i++)
                sum[i] += part[i];
        }
    }
}

/* Add one image's gradient to the tree; its buffer is changed for a free one. */
void
ps_tree_add(ps_net *self, float **gradient)
{
    float *sum = *gradient;
    int level = 0;

    ps_sum_strips(self, sum);
    for (; self->done >> level & 1; level++) {
        float *older = self->tree[level];
        for (int64_t i = 0; i < self->field_count; i++)
            older[i] += sum[i];
        self->tree[level] = sum;
        sum = older;
    }
    *gradient = self->tree[level];
    self->tree[level] = sum;
    self->done++;
}

/* ---- a process's share ------------------------------------------------------------------ */

/* The branches of the tree into `gradients`: 0 where there was no image. */
static void
sum_tree(ps_net *self)
{
    float *sum = NULL;

    for (int level = 0; self->done >> level; level++) {
        float *older = self->tree[level];
        if (!(self->done >> level & 1))
            continue;
        for (int64_t i = 0; sum && i < self->field_count; i++)
            older[i] += sum[i];
        sum = older;
    }
    if (sum)
        memcpy(self->gradients, sum, (size_t)self->field_count * sizeof *sum);
    else
        memset(self->gradients, 0, (size_t)self->field_count * sizeof *sum);
}

int
ps_net_sum(ps_net *self)
{
    if (!self->is_begun || self->ahead)
        return ps_fail(PS_BAD_VALUE, "a sum needs a forward and a backward of every image");
    sum_tree(self);
    self->is_summed = 1;
    return PS_OK;
}

static void
keep(void *weight, int64_t at, int64_t n, const float *gradient)
{
    memcpy((float *)weight + at, gradient, (size_t)n * sizeof *gradient);
}

static void
form(const ps_net *self, const ps_dense *dense, int64_t rows, float *weight)
{
    ps_dense_product(dense, self->plan.threads, rows, keep, weight);
    ps_dense_bias(dense, rows, weight + dense->m * dense->n);
}

int
ps_net_form(ps_net *self)
{
    if (!self->plan.forms_dense || self->first)
        return ps_fail(PS_BAD_VALUE, "a network without forms_dense keeps factors; with it a share "
                       "begins at 0");
    if (!self->is_begun || (self->ahead && !self->is_head_back)) /* their d is not there yet */
        return ps_fail(PS_BAD_VALUE, "the gradient of the dense layers needs the head's backward "
                       "of every image before it");
    for (int k = 0; k < self->n_dense; k++)
        form(self, &self->dense[k], self->done + self->ahead,
             self->gradients + self->dense[k].layer->param_at);
    return PS_OK;
}

float *
ps_net_sums(ps_net *self, int64_t *n_field, int64_t *n_dense)
{
    *n_field = self->field_count;
    *n_dense = self->plan.forms_dense ? self->count - self->field_count : 0;
    return self->plan.is_training ? self->gradients : NULL;
}

float *
ps_net_factor(ps_net *self, int number, int64_t *columns)
{
    if (!self->plan.is_training || number < 0 || number / 2 >= self->n_dense)
        return NULL;
    const ps_dense *dense = &self->dense[number / 2];
    *columns = number % 2 ? dense->m : dense->n;
    return number % 2 ? dense->d : dense->x;
}

/* ---- the whole step --------------------------------------------------------------------- */

static double
sum_of_squares(const float *values, int64_t n)
{
    double total = 0;

    for (int64_t start = 0; start < n; start += CHUNK) {
        int64_t end = n - start < CHUNK ? n : start + CHUNK;
        double sum = 0;
        for (int64_t i = start; i < end; i++)
            sum += (double)values[i] * values[i];
        total += sum;
    }
    return total;
}

int64_t
ps_net_squares_count(const ps_net *self, int64_t n)
{
    return self->plan.forms_dense ? 1 : 1 + self->n_dense * n;
}

int
ps_net_squares(ps_net *self, int64_t n, int64_t part, int64_t parts, double *squares)
{
    int64_t count = self->plan.forms_dense ? self->count : self->field_count;

    if (!self->plan.is_training || n < 1 || n > self->plan.batch || part < 0 || part >= parts ||
        parts > PS_LIMIT_BATCH)
        return ps_fail(PS_BAD_VALUE, "part %lld of %lld of the squares of %lld images",
                       (long long)part, (long long)parts, (long long)n);
    if (!self->is_summed)
        return ps_fail(PS_BAD_VALUE, NO_SUM);
    memset(squares, 0, (size_t)ps_net_squares_count(self, n) * sizeof *squares);
    if (part == 0)
        *squares = sum_of_squares(self->gradients, count);
    for (int k = 0, ret; k < self->n_dense && !self->plan.forms_dense; k++)
        if ((ret = ps_dense_squares(&self->dense[k], &self->plan, n, part, parts,
                                    squares + 1 + k * n)) != PS_OK)
            return ret;
    return PS_OK;
}

int
ps_net_end(ps_net *self, int64_t n, const double *squares, double *norm)
{
    double square = *squares;

    if (!self->plan.is_training || n < 1 || n > self->plan.batch)
        return ps_fail(PS_BAD_VALUE, "a step of %lld images", (long long)n);
    if (!self->is_summed)
        return ps_fail(PS_BAD_VALUE, NO_SUM);
    for (int k = 0; k < self->n_dense && !self->plan.forms_dense; k++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += squares[1 + k * n + i];
        square += sum < 0 ? 0 : sum; /* rounding */
    }
    *norm = sqrt(square);
    self->rows = n;
    self->done = self->is_begun = self->is_summed = 0;
    return PS_OK;
}

int
ps_net_gradient(ps_net *self, double *norm)
{
    int ret = PS_OK;
    double *squares = NULL;
    int64_t n = self->done;

    if (!self->plan.is_training || n == 0 || self->first)
        FAIL(PS_BAD_VALUE, "a gradient needs a forward and a backward of a whole step before it");
    TRY(ps_array(&squares, ps_net_squares_count(self, n), sizeof *squares));
    if (self->plan.forms_dense)
        TRY(ps_net_form(self));
    TRY(ps_net_sum(self));
    TRY(ps_net_squares(self, n, 0, 1, squares));
    TRY(ps_net_end(self, n, squares, norm));
out:
    free(squares);
    return ret;
}

int
ps_net_gradients(const ps_net *self, float *out)
{
    int64_t count = self->plan.forms_dense ? self->count : self->field_count;

    if (self->rows == 0)
        return ps_fail(PS_BAD_VALUE, "there is no gradient: a step has not come to its end");
    memcpy(out, self->gradients, (size_t)count * sizeof *out);
    for (int k = 0; k < self->n_dense && !self->plan.forms_dense; k++)
        form(self, &self->dense[k], self->rows, out + self->dense[k].layer->param_at);
    return PS_OK;
}
