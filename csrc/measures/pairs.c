/* SPDX-License-Identifier: BSD-3-Clause */
/* How far two channels lie in the same places.  Names and numbers are those of CellProfiler's
 * MeasureColocalization of whole images, with its threshold of 15 % of the brightest pixel:
 * Pearson's correlation, the overlap of what is bright in both, and of each channel's brightness
 * the share that is (Manders 1993), also weighted by rank (Singan 2011). */
#include "measures.h"

#include <math.h>

#define CUT 0.15
#define FLAT "a channel is flat"
#define DARK "no pixel of a channel is above the threshold"

static const ps_measure_row rows[] = {
    {"Correlation_Correlation_{0}_{1}", LIGHT | PLACE, FLAT},
    {"Correlation_Overlap_{0}_{1}", GAIN | PLACE, DARK},
    {"Correlation_Manders_{0}_{1}", GAIN | PLACE, DARK},
    {"Correlation_Manders_{1}_{0}", GAIN | PLACE, DARK},
    {"Correlation_RWC_{0}_{1}", GAIN | PLACE, DARK},
    {"Correlation_RWC_{1}_{0}", GAIN | PLACE, DARK}};
#define ROWS (int)(sizeof rows / sizeof *rows)

/* Levels in use are numbered from 0; the largest number. */
static float
rank_levels(const ps_channel *in, float *rank)
{
    int found = 0;

    for (int level = in->min; level <= in->max; level++) {
        rank[level] = (float)found;
        found += in->count[level] > 0;
    }
    return (float)(found - 1);
}

/* Sum of what is above a level. */
static double
above(const ps_channel *in, float cut)
{
    double sum = 0;

    for (int level = in->min; level <= in->max; level++)
        sum += (float)level > cut ? (in->base + in->step * level) * in->count[level] : 0;
    return sum;
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    int ret = PS_OK;
    const ps_channel *in[2] = {&field->channels[a], &field->channels[b]};
    double sums[PS_TWO_SUMS] = {0}, total[2], n = (double)(field->h * field->w);
    float *rank = NULL, most = 0;
    ps_two about;

    TRY(ps_space_take(field->space, &rank, 2 * PS_LEVELS, sizeof *rank));
    for (int k = 0; k < 2; k++) {
        double max = in[k]->base + in[k]->step * in[k]->max;
        float ranks = rank_levels(in[k], rank + k * PS_LEVELS);
        about.rank[k] = rank + k * PS_LEVELS;
        about.mean[k] = (float)in[k]->mean;
        about.base[k] = (float)(in[k]->base / in[k]->step);
        about.cut[k] = (float)((CUT * max - in[k]->base) / in[k]->step);
        total[k] = above(in[k], about.cut[k]) / in[k]->step;
        most = ranks > most ? ranks : most;
    }
    about.per_rank = 1 / (most + 1);
    field->kernels->pair(field->h * field->w, in[0]->level, in[1]->level, &about, sums);
    double variances = in[0]->variance * in[1]->variance;
    out[0] = variances > 0 ? sums[0] / n / sqrt(variances) : NAN;
    out[1] = sums[2] * sums[3] > 0 ? sums[1] / sqrt(sums[2] * sums[3]) : NAN;
    for (int k = 0; k < 2; k++) {
        out[2 + k] = total[k] > 0 ? sums[6 + k] / total[k] : NAN;
        out[4 + k] = total[k] > 0 ? sums[4 + k] / total[k] : NAN;
    }
out:
    return ret;
}

const ps_measure_group ps_group_pairs = {OF_PAIR, ROWS, rows, run};
