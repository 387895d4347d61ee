/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps that several processes share: here one network for each of them, and a caller that brings
 * their sums and factors together.  Prints a line a failure; status 1 if there was any. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { H = 11, W = 13, IMAGES = 7, CLASSES = 3, MOST = 8 };

static const char *const small =
    "field: input channels=1 height=11 width=13 pad=4\n"
    "p: pyramid levels=1 from=field\n"
    "t: tower from=p level=1 filters=5 window=2\n"
    "d: dense units=6\n"
    "z: dense units=3 rectify=1\n";
static const int64_t labels[IMAGES] = {0, 2, 1, 1, 0, 2, 2};
static const float scale[1] = {1.0f / 64}, offset[1] = {-2};

typedef struct {
    uint8_t pixels[IMAGES][H * W];
    ps_field fields[IMAGES];
} batch;

static void
fill(batch *self)
{
    for (int i = 0; i < IMAGES; i++) {
        for (int k = 0; k < H * W; k++)
            self->pixels[i][k] = (uint8_t)((i * 71 + k * k * 29 + k * 13) % 251);
        self->fields[i] = (ps_field){.c = 1, .h = H, .w = W, .dtype = PS_UINT8,
                                     .pixels = self->pixels[i], .scale = scale,
                                     .offset = offset};
    }
}

static ps_net *
make_net(int forms_dense)
{
    const ps_net_plan plan = {.threads = 2, .is_training = 1, .images = 2, .batch = IMAGES,
                              .forms_dense = forms_dense};
    ps_net *net = NULL;

    CHECK(ps_net_init(&net, small, &plan) == PS_OK);
    ps_net_initialise(net, 3);
    return net;
}

/* Images [first, end) of the step through a network, head and fields apart. */
static void
take(ps_net *net, const batch *data, int64_t first, int64_t end)
{
    double weights[2] = {1.0 / IMAGES, 1.0 / IMAGES}, losses[2];

    for (int64_t at = first; at < end; at += 2) {
        int64_t n = end - at < 2 ? end - at : 2;
        CHECK(ps_net_forward(net, data->fields + at, n) == PS_OK);
        CHECK(ps_net_backward_head(net, "softmax", labels + at, weights, 0, losses, NULL) == PS_OK);
        CHECK(ps_net_backward_fields(net) == PS_OK);
    }
}

/* Add the arrays of all to those of each, in pairs, pairs of pairs and so on. */
static void
sum_tree(float *sums[], int n, int64_t count)
{
    for (int step = 1; step < n; step *= 2)
        for (int k = 0; k + step < n; k += 2 * step)
            for (int64_t i = 0; i < count; i++)
                sums[k][i] += sums[k + step][i];
    for (int k = 1; k < n; k++)
        memcpy(sums[k], sums[0], (size_t)count * sizeof **sums);
}

/* Rows [ends[k - 1], ends[k]) of the factors of process k, to all others. */
static void
spread_factors(ps_net *nets[], int n, const int64_t *ends)
{
    int64_t columns;

    for (int number = 0; ps_net_factor(nets[0], number, &columns); number++)
        for (int to = 0; to < n; to++)
            for (int from = 0; from < n; from++) {
                int64_t at = from ? ends[from - 1] : 0, rows = ends[from] - at;
                if (to != from && rows > 0)
                    memcpy(ps_net_factor(nets[to], number, &columns) + at * columns,
                           ps_net_factor(nets[from], number, &columns) + at * columns,
                           (size_t)(rows * columns) * sizeof(float));
            }
}

/* A step of n processes: the gradients that each ends with, and their norm. */
static double
share(const batch *data, int n, int forms_dense, float *gradients)
{
    ps_net *nets[MOST];
    float *fields[MOST], *dense[MOST], first[4096];
    double squares[MOST][2 * IMAGES + 1], sum[2 * IMAGES + 1] = {0}, norm = 0;
    int64_t ends[MOST], branch = 1, n_field, n_dense;

    while (branch * n < IMAGES)
        branch *= 2;
    for (int k = 0; k < n; k++) {
        int64_t at = branch * k < IMAGES ? branch * k : IMAGES;
        ends[k] = at + branch < IMAGES ? at + branch : IMAGES;
        nets[k] = make_net(forms_dense);
        CHECK(ps_net_begin(nets[k], forms_dense ? 0 : at) == PS_OK);
        take(nets[k], data, at, ends[k]);
        CHECK(ps_net_form(nets[k]) == (forms_dense ? PS_OK : PS_BAD_VALUE));
        CHECK(ps_net_sum(nets[k]) == PS_OK);
        fields[k] = ps_net_sums(nets[k], &n_field, &n_dense);
        dense[k] = fields[k] + n_field;
        CHECK((n_dense > 0) == forms_dense);
    }
    sum_tree(fields, n, n_field);
    sum_tree(dense, n, n_dense);
    spread_factors(nets, n, ends);
    int64_t count = ps_net_squares_count(nets[0], IMAGES);
    for (int k = 0; k < n; k++) {
        CHECK(ps_net_squares(nets[k], IMAGES, k, n, squares[k]) == PS_OK);
        for (int64_t i = 0; i < count; i++)
            sum[i] += squares[k][i];
    }
    for (int k = 0; k < n; k++) {
        CHECK(ps_net_end(nets[k], IMAGES, sum, &norm) == PS_OK);
        CHECK(ps_net_count(nets[k]) < 4096);
        CHECK(ps_net_gradients(nets[k], k ? first : gradients) == PS_OK);
        CHECK(!k || memcmp(first, gradients, (size_t)ps_net_count(nets[k]) * 4) == 0);
    }
    for (int k = 0; k < n; k++)
        ps_net_free(nets[k]);
    return norm;
}

int
main(void)
{
    static batch data;
    float expected[4096], found[4096];
    double norm, same;

    fill(&data);
    ps_net *net = make_net(0);
    CHECK(ps_net_begin(net, 0) == PS_OK);
    take(net, &data, 0, IMAGES);
    CHECK(ps_net_gradient(net, &norm) == PS_OK);
    CHECK(ps_net_gradients(net, expected) == PS_OK);
    int64_t count = ps_net_count(net);
    for (int n = 1; n <= MOST; n++) {
        same = share(&data, n, 0, found); /* factors: the bits of one process */
        CHECK(same == norm && memcmp(found, expected, (size_t)count * sizeof *found) == 0);
        same = share(&data, n, 1, found); /* sums of the dense layers: up to rounding */
        CHECK(fabs(same - norm) < 1e-5 * norm);
        for (int64_t i = 0; i < count; i++)
            CHECK(fabs(found[i] - expected[i]) < 1e-5 * norm);
    }
    CHECK(ps_net_begin(net, IMAGES + 1) == PS_BAD_VALUE && ps_net_begin(net, -1) == PS_BAD_VALUE);
    CHECK(ps_net_begin(net, IMAGES - 1) == PS_OK);
    CHECK(ps_net_forward(net, data.fields, 2) == PS_BAD_VALUE); /* beyond the step */
    CHECK(ps_net_gradient(net, &norm) == PS_BAD_VALUE);
    CHECK(ps_net_begin(net, 0) == PS_OK && ps_net_forward(net, data.fields, 2) == PS_OK);
    CHECK(ps_net_backward_fields(net) == PS_BAD_VALUE); /* the head comes first */
    CHECK(ps_net_squares(net, IMAGES + 1, 0, 1, &norm) == PS_BAD_VALUE);
    CHECK(ps_net_end(net, 0, &norm, &same) == PS_BAD_VALUE);
    ps_net_free(net);
    return failures > 0;
}
