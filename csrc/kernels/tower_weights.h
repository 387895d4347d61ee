/* SPDX-License-Identifier: BSD-3-Clause */
/* A tower's filters at the 64 points, U = G g G', and their gradients back, dg = G' dU G
 * (winograd.h has G).  Lanes are 16 filters. */
#ifndef PHENOSCALE_TOWER_WEIGHTS_H
#define PHENOSCALE_TOWER_WEIGHTS_H

#include <string.h>

#include "kernels.h"
#include "winograd.h"

static const float G[8][5] = {
    {1, 0, 0, 0, 0},
    {-2.f / 9, -2.f / 9, -2.f / 9, -2.f / 9, -2.f / 9},
    {-2.f / 9, 2.f / 9, -2.f / 9, 2.f / 9, -2.f / 9},
    {1.f / 90, 2.f / 90, 4.f / 90, 8.f / 90, 16.f / 90},
    {1.f / 90, -2.f / 90, 4.f / 90, -8.f / 90, 16.f / 90},
    {32.f / 45, 16.f / 45, 8.f / 45, 4.f / 45, 2.f / 45},
    {32.f / 45, -16.f / 45, 8.f / 45, -4.f / 45, 2.f / 45},
    {0, 0, 0, 0, 1}};

/* 16 filters (25, 16) -> their points, `step` floats apart. */
static void
filters_to_points(const float *taps, float *to, int64_t step)
{
    for (int at = 0; at < BLOCK; at += VEC_LANES) {
        vec half[8][5];
        for (int i = 0; i < 8; i++)
            for (int x = 0; x < 5; x++) {
                vec sum = v_all(0);
                for (int y = 0; y < 5; y++)
                    sum = v_fma(v_all(G[i][y]), v_load(taps + (y * 5 + x) * BLOCK + at), sum);
                half[i][x] = sum;
            }
        for (int i = 0; i < 8; i++)
            for (int j = 0; j < 8; j++) {
                vec sum = v_all(0);
                for (int x = 0; x < 5; x++)
                    sum = v_fma(v_all(G[j][x]), half[i][x], sum);
                v_store(to + (i * 8 + j) * step + at, sum);
            }
    }
}

/* The transpose. */
static void
filters_from_points(const float *from, int64_t step, float *taps)
{
    for (int at = 0; at < BLOCK; at += VEC_LANES) {
        vec half[8][5];
        for (int i = 0; i < 8; i++)
            for (int x = 0; x < 5; x++) {
                vec sum = v_all(0);
                for (int j = 0; j < 8; j++)
                    sum = v_fma(v_all(G[j][x]), v_load(from + (i * 8 + j) * step + at), sum);
                half[i][x] = sum;
            }
        for (int y = 0; y < 5; y++)
            for (int x = 0; x < 5; x++) {
                vec sum = v_all(0);
                for (int i = 0; i < 8; i++)
                    sum = v_fma(v_all(G[i][y]), half[i][x], sum);
                v_store(taps + (y * 5 + x) * BLOCK + at, sum);
            }
    }
}

/* Filters f of 16, each `step` floats after the one before; those from n on are 0. */
static void
collect(const float *filters, int64_t step, int64_t n, float taps[25 * BLOCK])
{
    memset(taps, 0, 25 * BLOCK * sizeof *taps);
    for (int64_t f = 0; f < n && f < BLOCK; f++)
        for (int i = 0; i < 25; i++)
            taps[i * BLOCK + f] = filters[f * step + i];
}

static void
distribute(const float taps[25 * BLOCK], float *filters, int64_t step, int64_t n)
{
    for (int64_t f = 0; f < n && f < BLOCK; f++)
        for (int i = 0; i < 25; i++)
            filters[f * step + i] = taps[i * BLOCK + f];
}

/* Filters (c out, c in, 25) -> u, lanes out; with `is_back` in and out change their parts. */
static void
square_to_points(const ps_tower *tower, const float *filters, int is_back, float *u)
{
    int64_t c = tower->c, n = tower->blocks, area = BLOCK * BLOCK;
    int64_t lane = is_back ? 25 : c * 25, row = is_back ? c * 25 : 25;
    float taps[25 * BLOCK];

    for (int64_t k = 0; k < c; k++)
        for (int64_t block = 0; block < n; block++) {
            int64_t at = (block * n + k / BLOCK) * area + k % BLOCK * BLOCK;
            collect(filters + k * row + block * BLOCK * lane, lane, c - block * BLOCK, taps);
            filters_to_points(taps, u + at, n * n * area);
        }
}

static void
tower_prepare(ps_tower *tower, const float *param)
{
    int64_t c = tower->c, n = tower->blocks, in = tower->in;
    float taps[25 * BLOCK];

    for (int64_t k = 0; k < in; k++)
        for (int64_t block = 0; block < n; block++) {
            collect(param + (block * BLOCK * in + k) * 25, in * 25, c - block * BLOCK, taps);
            filters_to_points(taps, tower->u1 + (block * in + k) * BLOCK, n * in * BLOCK);
        }
    param += c * in * 25;
    memcpy(tower->bias[0], param, (size_t)c * sizeof *param);
    param += c;
    for (int layer = 0; layer < 2; layer++) {
        square_to_points(tower, param, 0, tower->u[layer]);
        if (layer == 0 && tower->back)
            square_to_points(tower, param, 1, tower->back);
        for (int64_t i = 0; layer == 1 && tower->taps && i < c * c * 25; i++)
            tower->taps[(i / (c * 25) * 25 + i % 25) * n * BLOCK + i / 25 % c] = param[i];
        param += c * c * 25;
        memcpy(tower->bias[layer + 1], param, (size_t)c * sizeof *param);
        param += c;
    }
}

/* The sums of a strip -> its gradient by the parameters, in their order. */
static void
tower_gradients(const ps_tower *tower, const ps_tower_work *work, float *grad)
{
    int64_t c = tower->c, n = tower->blocks, in = tower->in, area = BLOCK * BLOCK;
    float taps[25 * BLOCK];

    for (int64_t k = 0; k < in; k++)
        for (int64_t block = 0; block < n; block++) {
            filters_from_points(work->du1 + (block * in + k) * BLOCK, n * in * BLOCK, taps);
            distribute(taps, grad + (block * BLOCK * in + k) * 25, in * 25, c - block * BLOCK);
        }
    grad += c * in * 25;
    memcpy(grad, work->dbias[0], (size_t)c * sizeof *grad);
    grad += c;
    for (int64_t k = 0; k < c; k++)
        for (int64_t block = 0; block < n; block++) {
            int64_t at = (block * n + k / BLOCK) * area + k % BLOCK * BLOCK;
            filters_from_points(work->du2 + at, n * n * area, taps);
            distribute(taps, grad + (block * BLOCK * c + k) * 25, c * 25, c - block * BLOCK);
        }
    grad += c * c * 25;
    memcpy(grad, work->dbias[1], (size_t)c * sizeof *grad);
    grad += c;
    for (int64_t i = 0; i < c * c * 25; i++)
        grad[i] = work->dtaps[(i / (c * 25) * 25 + i % 25) * n * BLOCK + i / 25 % c];
    grad += c * c * 25;
    memcpy(grad, work->dbias[2], (size_t)c * sizeof *grad);
}
#endif
