/* SPDX-License-Identifier: BSD-3-Clause */
/* How bright a channel is: all from the number of pixels at each level.
 *
 * The names without a mark, and their numbers, are those of CellProfiler's MeasureImageIntensity
 * and, for the focus score, MeasureImageQuality: values as a share of what the type can hold. */
#include "measures.h"

#include <math.h>

#define FLAT "all pixels are equal"
#define ROW(name, same) {"Intensity_" name "_{0}", (same) | PLACE, NULL}

static const ps_measure_row rows[] = {
    ROW("MeanIntensity", 0), ROW("StdIntensity", OFFSET), ROW("MedianIntensity", 0),
    ROW("MADIntensity", OFFSET), ROW("MinIntensity", 0), ROW("MaxIntensity", 0),
    ROW("LowerQuartileIntensity", 0), ROW("UpperQuartileIntensity", 0),
    ROW("Percentile_1", 0), ROW("Percentile_5", 0), ROW("Percentile_95", 0),
    ROW("Percentile_99", 0), ROW("PercentMaximal", LIGHT),
    {"Intensity_Skewness_{0}", LIGHT | PLACE, FLAT},
    {"ImageQuality_FocusScore_{0}", PLACE, "all pixels are 0"},
    /* above Otsu's threshold (Otsu 1979) */
    {"Foreground_Share_{0}", LIGHT | PLACE, FLAT},
    {"Foreground_Step_{0}", OFFSET | PLACE, FLAT}, /* mean of foreground less mean of the rest */
};
#define ROWS (int)(sizeof rows / sizeof *rows)

/* The level of the pixel at a rank in order of brightness. */
static int
level_at(const ps_channel *in, int64_t rank)
{
    int64_t below = 0;
    int level = in->min;

    for (; level < in->max; level++) {
        below += in->count[level];
        if (below > rank)
            break;
    }
    return level;
}

/* Between the two pixels about it, in proportion. */
static double
percentile(const ps_channel *in, double percent)
{
    double at = percent / 100 * (double)(in->h * in->w - 1), low = floor(at);
    int first = level_at(in, (int64_t)low);

    return at > low ? first + (at - low) * (level_at(in, (int64_t)low + 1) - first) : first;
}

/* Median of |level - median|: levels are taken from the median outwards, nearest first. */
static double
deviation(const ps_channel *in, double median)
{
    int64_t n = in->h * in->w, seen = 0, wanted[2] = {(n - 1) / 2, n / 2};
    int up = (int)ceil(median), down = up - 1;
    double found[2] = {0, 0};

    for (int k = 0; k < 2;) {
        double above = up <= in->max ? up - median : INFINITY;
        double below = down >= in->min ? median - down : INFINITY;
        double distance = above < below ? above : below;
        seen += in->count[above < below ? up++ : down--];
        while (k < 2 && seen > wanted[k])
            found[k++] = distance;
    }
    return (found[0] + found[1]) / 2;
}

static double
skewness(const ps_channel *in)
{
    double cubes = 0;

    for (int level = in->min; level <= in->max; level++) {
        double d = level - in->mean;
        cubes += d * d * d * in->count[level];
    }
    return cubes / (double)(in->h * in->w) / pow(in->variance, 1.5);
}

/* Otsu's threshold: the split of the levels with the most variance between its halves. */
static void
split(const ps_channel *in, double *share, double *step)
{
    double n = (double)(in->h * in->w), total = in->mean * n, sum = 0, below = 0, best = -1;

    for (int level = in->min; level < in->max; level++) {
        below += in->count[level];
        sum += (double)level * in->count[level];
        double apart = (total - sum) / (n - below) - sum / below;
        double between = below * (n - below) * apart * apart;
        if (between > best) {
            best = between;
            *share = 1 - below / n;
            *step = apart;
        }
    }
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    const ps_channel *in = &field->channels[a];
    double median = percentile(in, 50), value = in->base + in->step * in->mean;
    double share = NAN, step = NAN;
    int is_flat = in->min == in->max;
    const double percents[] = {25, 75, 1, 5, 95, 99};

    (void)b;
    split(in, &share, &step);
    out[0] = value;
    out[1] = in->step * sqrt(in->variance);
    out[2] = in->base + in->step * median;
    out[3] = in->step * deviation(in, median);
    out[4] = in->base + in->step * in->min;
    out[5] = in->base + in->step * in->max;
    for (int k = 0; k < 6; k++)
        out[6 + k] = in->base + in->step * percentile(in, percents[k]);
    out[12] = 100.0 * in->count[in->max] / (double)(in->h * in->w);
    out[13] = is_flat ? NAN : skewness(in);
    out[14] = value > 0 ? in->step * in->step * in->variance / value : NAN;
    out[15] = share;
    out[16] = in->step * step;
    return PS_OK;
}

const ps_measure_group ps_group_intensity = {OF_CHANNEL, ROWS, rows, run};
