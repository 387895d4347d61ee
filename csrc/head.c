/* SPDX-License-Identifier: BSD-3-Clause */
/* The chain of dense layers on the rows of a step, from the field layers' outputs to the logits and
 * their loss, and back.  layer_dense.c computes, step.c calls. */
#include "net.h"

#include <stdlib.h>
#include <string.h>

static const float *
field_output(const ps_net *self, int64_t slot)
{
    return self->outputs + slot * self->out_size + ps_net_last_field_layer(self)->out_at;
}

static void
rectify(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] <= 0 ? 0 : x[i];
}

/* Rows [at, at + n) of the head's input, from the field layers' outputs in slots [0, n); and of the
 * embedding, where a gap that rectifies has it behind them. */
void
ps_head_take(ps_net *self, int64_t at, int64_t n)
{
    int64_t width = self->dense[0].n;

    for (int64_t i = 0; i < n; i++)
        memcpy(self->dense[0].x + (at + i) * width, field_output(self, i),
               (size_t)width * sizeof(float));
    for (int64_t i = 0; ps_net_pools_bare(self) && i < n; i++)
        memcpy(self->embeddings + (at + i) * width, field_output(self, i) + width,
               (size_t)width * sizeof(float));
}

void
ps_head_forward(ps_net *self, int64_t at, int64_t n)
{
    for (int k = 0; k < self->n_dense; k++) {
        const ps_dense *dense = &self->dense[k];
        float *x = dense->x + at * dense->n;
        if (dense->rectifies) {
            if (k + 1 == self->n_dense && !ps_net_pools_bare(self))
                memcpy(self->embeddings + at * dense->n, x, (size_t)(n * dense->n) * sizeof *x);
            rectify(x, n * dense->n);
        }
        float *y = k + 1 < self->n_dense ? self->dense[k + 1].x : self->logits;
        ps_dense_forward(dense, self->plan.threads, n, x, y + at * dense->m);
    }
}

/* Losses, and the gradients by the logits as the last dense layer's d. */
int
ps_head_loss(ps_net *self, const char *loss_name, const int64_t *labels, const double *weights,
             double smoothing, double *losses)
{
    int ret = PS_OK;
    const ps_dense *last = ps_net_last_dense(self);
    double *gradient = NULL, value;

    TRY(ps_array(&gradient, last->m, sizeof *gradient));
    for (int64_t i = 0; i < self->ahead; i++) {
        int64_t row = (self->first + self->done + i) * last->m;
        TRY(ps_loss(loss_name, last->m, self->logits + row, labels[i], smoothing, &value,
                    gradient));
        losses[i] = weights[i] * value;
        for (int64_t k = 0; k < last->m; k++)
            last->d[row + k] = (float)(weights[i] * gradient[k]);
    }
out:
    free(gradient);
    return ret;
}

/* d of every dense layer, then the gradient by the field layers' output in diff_rows. */
void
ps_head_backward(ps_net *self)
{
    int64_t at = self->first + self->done, n = self->ahead;

    for (int k = self->n_dense - 1; k >= 0; k--) {
        const ps_dense *dense = &self->dense[k];
        float *d = k > 0 ? self->dense[k - 1].d + at * dense->n : self->diff_rows;
        ps_dense_backward(dense, self->plan.threads, n, dense->d + at * dense->m, d);
        if (dense->rectifies || (k > 0 && self->dense[k - 1].is_relu))
            for (int64_t i = 0; i < n * dense->n; i++)
                d[i] = dense->x[at * dense->n + i] > 0 ? d[i] : 0;
    }
}
