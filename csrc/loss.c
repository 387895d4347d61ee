/* SPDX-License-Identifier: BSD-3-Clause */
/* Losses of one image, in float64, by name. */
#include "internal.h"

#include <math.h>
#include <string.h>

/* log of sum of exp, less the largest logit `top`: beside one of 1e20 the rest would be lost. */
static double
log_sum_exp(int64_t k, const float *logits, double *top)
{
    double sum = 0;

    *top = logits[0];
    for (int64_t i = 1; i < k; i++)
        *top = logits[i] > *top ? logits[i] : *top;
    for (int64_t i = 0; i < k; i++)
        sum += exp(logits[i] - *top);
    return log(sum);
}

/* Cross-entropy of the softmax with the target (1 - smoothing) * one-hot + smoothing / k. */
static double
softmax_loss(int64_t k, const float *logits, int64_t label, double smoothing, double *gradient)
{
    double top, total = log_sum_exp(k, logits, &top), loss = 0;

    for (int64_t i = 0; i < k; i++) {
        double target = smoothing / (double)k + (i == label ? 1 - smoothing : 0);
        loss -= target * (logits[i] - top - total);
        if (gradient)
            gradient[i] = exp(logits[i] - top - total) - target;
    }
    return loss;
}

static const struct {
    const char *name;
    double (*value)(int64_t, const float *, int64_t, double, double *);
} losses[] = {{"softmax", softmax_loss}, {NULL, NULL}};

const char *
ps_loss_name(int row)
{
    return row >= 0 && row < (int)(sizeof losses / sizeof *losses) ? losses[row].name : NULL;
}

int
ps_loss(const char *name, int64_t k, const float *logits, int64_t label, double smoothing,
        double *loss, double *gradient)
{
    if (k < 1 || label < 0 || label >= k)
        return ps_fail(PS_BAD_VALUE, "label %lld is not one of %lld classes", (long long)label,
                       (long long)k);
    if (!(smoothing >= 0 && smoothing < 1))
        return ps_fail(PS_BAD_VALUE, "label smoothing must lie in [0, 1), not %g", smoothing);
    for (int row = 0; losses[row].name; row++)
        if (strcmp(losses[row].name, name) == 0) {
            *loss = losses[row].value(k, logits, label, smoothing, gradient);
            return PS_OK;
        }
    return ps_fail(PS_BAD_VALUE, "there is no loss '%s'", name);
}

void
ps_softmax(int64_t n, int64_t k, const float *logits, float *probabilities)
{
    for (int64_t i = 0; i < n; i++, logits += k, probabilities += k) {
        double top, total = log_sum_exp(k, logits, &top);
        for (int64_t j = 0; j < k; j++)
            probabilities[j] = (float)exp(logits[j] - top - total);
    }
}
