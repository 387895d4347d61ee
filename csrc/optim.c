/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizers: one row and one function each.  They see flat arrays, a slice at a time, so that
 * weight decay can spare the biases.  Formulas as in PyTorch:
 *
 *   g = scale * gradient + decay * w
 *   sgd       v = momentum v + g;  w -= rate v
 *   nesterov  v = momentum v + g;  w -= rate (g + momentum v)
 *   adam      m = momentum m + (1 - momentum) g;  v = second v + (1 - second) g^2
 *             w -= rate m / (1 - momentum^t) / (sqrt(v / (1 - second^t)) + epsilon)
 *             (Kingma, Ba 2015)
 */
#include "net.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STATES 2
#define CHUNK 65536 /* values a thread takes at a time */

/* The recipe as the loops use it. */
typedef struct {
    float rate, momentum, second, epsilon, decay, scale;
    float new1, new2, bias1, bias2; /* Adam: 1 - beta, and 1 / (1 - beta^t), rounded once */
} step_numbers;

typedef void (*update_function)(int64_t n, float *w, const float *gradient, float *state0,
                                float *state1, const step_numbers *by);

static void
update_sgd(int64_t n, float *w, const float *gradient, float *v, float *unused,
           const step_numbers *by)
{
    (void)unused;
    for (int64_t i = 0; i < n; i++) {
        float g = by->scale * gradient[i] + by->decay * w[i];
        v[i] = by->momentum * v[i] + g;
        w[i] -= by->rate * v[i];
    }
}

static void
update_nesterov(int64_t n, float *w, const float *gradient, float *v, float *unused,
                const step_numbers *by)
{
    (void)unused;
    for (int64_t i = 0; i < n; i++) {
        float g = by->scale * gradient[i] + by->decay * w[i];
        v[i] = by->momentum * v[i] + g;
        w[i] -= by->rate * (g + by->momentum * v[i]);
    }
}

static void
update_adam(int64_t n, float *w, const float *gradient, float *m, float *v,
            const step_numbers *by)
{
    for (int64_t i = 0; i < n; i++) {
        float g = by->scale * gradient[i] + by->decay * w[i];
        m[i] = by->momentum * m[i] + by->new1 * g;
        v[i] = by->second * v[i] + by->new2 * g * g;
        w[i] -= by->rate * (m[i] * by->bias1) / (sqrtf(v[i] * by->bias2) + by->epsilon);
    }
}

typedef struct {
    const char *name;
    int states;
    update_function update;
} optimizer_type;

static const optimizer_type optimizers[] = {
    {"sgd", 1, update_sgd}, {"nesterov", 1, update_nesterov}, {"adam", 2, update_adam},
    {NULL, 0, NULL}};

struct ps_optimizer {
    const optimizer_type *type;
    int64_t count, steps;
    float *state[MAX_STATES];
};

const char *
ps_optimizer_name(int row)
{
    return row >= 0 && row < (int)(sizeof optimizers / sizeof *optimizers) ? optimizers[row].name
                                                                           : NULL;
}

int
ps_optimizer_init(ps_optimizer **self, const char *name, const ps_net *net)
{
    int ret = PS_OK, row = 0;
    ps_optimizer *made = NULL;

    *self = NULL;
    while (optimizers[row].name && strcmp(optimizers[row].name, name) != 0)
        row++;
    if (!optimizers[row].name)
        FAIL(PS_BAD_VALUE, "there is no optimizer '%s'", name);
    if (!net->plan.is_training)
        FAIL(PS_BAD_VALUE, "this network was made for predictions, not for training");
    TRY(ps_array_zeroed(&made, 1, sizeof *made));
    made->type = &optimizers[row];
    made->count = net->count;
    ps_account both = net->memory; /* the states are the caller's, but there must be room */
    both.bytes += made->type->states * made->count * (int64_t)sizeof(float);
    TRY(ps_account_check(&both, "the arrays of the network and its optimizer"));
    for (int i = 0; i < made->type->states; i++)
        TRY(ps_array_zeroed(&made->state[i], made->count, sizeof(float)));
    *self = made;
    made = NULL;
out:
    ps_optimizer_free(made);
    return ret;
}

static void
update_chunk(ps_optimizer *self, ps_net *net, int64_t at, int64_t n, const float *gradient,
             const step_numbers *by)
{
    float *second = self->state[1] ? self->state[1] + at : NULL;

    self->type->update(n, net->parameters + at, gradient, self->state[0] + at, second, by);
}

static void
update_slice(ps_optimizer *self, ps_net *net, const ps_slice *slice, const step_numbers *by)
{
#pragma omp parallel for num_threads(net->plan.threads) schedule(static)
    for (int64_t i = 0; i < slice->count; i += CHUNK) {
        int64_t at = slice->offset + i, n = slice->count - i < CHUNK ? slice->count - i : CHUNK;
        update_chunk(self, net, at, n, net->gradients + at, by);
    }
}

/* The dense layer whose weights or biases a slice is; NULL where its gradient is formed. */
static const ps_dense *
dense_of(const ps_net *net, const ps_slice *slice)
{
    for (int k = 0; k < net->n_dense && !net->plan.forms_dense; k++) {
        int64_t first = net->dense[k].layer->param_at;
        if (slice->offset >= first && slice->offset < first + net->dense[k].layer->n_param)
            return &net->dense[k];
    }
    return NULL;
}

/* Where a part of a dense layer's product goes. */
typedef struct {
    ps_optimizer *optimizer;
    ps_net *net;
    int64_t offset; /* of the layer's weights */
    const step_numbers *by;
} update_context;

static void
use_product(void *context, int64_t at, int64_t n, const float *gradient)
{
    const update_context *to = context;

    update_chunk(to->optimizer, to->net, to->offset + at, n, gradient, to->by);
}

/* The product of the factors is formed part by part, each used while it is in the cache. */
static void
update_weights(ps_optimizer *self, ps_net *net, const ps_dense *dense, const ps_slice *slice,
               const step_numbers *by)
{
    update_context context = {self, net, slice->offset, by};

    ps_dense_product(dense, net->plan.threads, net->rows, use_product, &context);
}

/* `spare` has room for the gradient by them. */
static void
update_biases(ps_optimizer *self, ps_net *net, const ps_dense *dense, const ps_slice *slice,
              const step_numbers *by, float *spare)
{
    ps_dense_bias(dense, net->rows, spare);
    update_chunk(self, net, slice->offset, dense->m, spare, by);
}

/* The recipe's numbers for update `t`, counted from 1. */
static step_numbers
numbers_of(const ps_recipe *recipe, int64_t t)
{
    return (step_numbers){
        .rate = (float)recipe->rate,
        .momentum = (float)recipe->momentum,
        .second = (float)recipe->second,
        .epsilon = (float)recipe->epsilon,
        .scale = (float)recipe->scale,
        .new1 = (float)(1 - recipe->momentum),
        .new2 = (float)(1 - recipe->second),
        .bias1 = (float)(1 / (1 - pow(recipe->momentum, (double)t))),
        .bias2 = (float)(1 / (1 - pow(recipe->second, (double)t)))};
}

/* All that can fail comes before the first number changes: an update is whole, or it was none. */
int
ps_optimizer_update(ps_optimizer *self, ps_net *net, const ps_recipe *recipe)
{
    int ret = PS_OK;
    int64_t widest = 0;
    float *spare = NULL;
    step_numbers by;

    if (net->count != self->count)
        FAIL(PS_BAD_VALUE, "this optimizer belongs to another network");
    if (net->rows == 0)
        FAIL(PS_BAD_VALUE, "an update needs the gradient of a whole step before it");
    if (self->steps < 0 || self->steps >= PS_LIMIT_STEPS)
        FAIL(PS_BAD_VALUE, "an optimizer counts from 0 to 2^53 updates, not %lld",
             (long long)self->steps);
    by = numbers_of(recipe, self->steps + 1);
    for (int k = 0; k < net->n_dense; k++)
        widest = net->dense[k].m > widest ? net->dense[k].m : widest;
    TRY(ps_array(&spare, widest, sizeof *spare));
    for (int64_t s = 0; s < net->n_slices; s++) {
        const ps_slice *slice = &net->slices[s];
        const ps_dense *dense = dense_of(net, slice);
        by.decay = slice->is_bias ? 0 : (float)recipe->decay;
        if (!dense)
            update_slice(self, net, slice, &by);
        else if (slice->is_bias)
            update_biases(self, net, dense, slice, &by, spare);
        else
            update_weights(self, net, dense, slice, &by);
    }
    self->steps++;
out:
    free(spare);
    return ret;
}

int
ps_optimizer_states(const ps_optimizer *self)
{
    return self->type->states;
}

float *
ps_optimizer_state(ps_optimizer *self, int which)
{
    return self->state[which];
}

int64_t *
ps_optimizer_steps(ps_optimizer *self)
{
    return &self->steps;
}

void
ps_optimizer_free(ps_optimizer *self)
{
    if (!self)
        return;
    for (int i = 0; i < MAX_STATES; i++)
        free(self->state[i]);
    free(self);
}
