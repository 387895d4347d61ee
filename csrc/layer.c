/* SPDX-License-Identifier: BSD-3-Clause */
/* What the layers with parameters have in common. */
#include "layer.h"

int
ps_layer_claim(ps_layer *self, const ps_build *build, const ps_pair *pair)
{
    int64_t claimed = build->claimed + self->n_param;

    if (pair->n_weight > build->limit ||
        claimed + pair->n_weight + pair->n_bias > build->limit)
        return ps_fail(PS_LIMIT, "with layer '%s' the network has more than %lld parameters",
                       self->name, (long long)build->limit);
    self->pair[self->n_pairs++] = *pair;
    self->n_param += pair->n_weight + pair->n_bias;
    return PS_OK;
}

int
ps_layer_check_weights(const ps_layer *self)
{
    float zero = 0;

    for (int64_t i = 0; i < self->n_param; i++)
        zero += self->param[i] * 0;
    if (zero != 0)
        return ps_fail(PS_BAD_VALUE, "layer '%s': its weights are NaN or infinite", self->name);
    return PS_OK;
}
