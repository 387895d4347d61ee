/* SPDX-License-Identifier: BSD-3-Clause */
/* Planes of a z-stack -> one plane; a plane -> a smaller one: between reader and augmentation.
 *
 *   (planes, h, w) --max or mean over planes--> (h, w) --mean of bin x bin--> (h / bin, w / bin)
 *
 * All in the depth of the file: a mean of whole numbers is rounded, halves up.  What does not fill
 * a block of bin x bin, below and at the right, is left out. */
#include "field.h"
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- z -------------------------------------------------------------------------------------- */

#define REDUCE(SUFFIX, TYPE, ROUND)                                              \
    static void max_##SUFFIX(int64_t n, const void *plane, void *out, double *sums) \
    {                                                                            \
        (void)sums;                                                              \
        for (int64_t i = 0; i < n; i++) {                                        \
            TYPE a = ((const TYPE *)plane)[i], b = ((TYPE *)out)[i];             \
            ((TYPE *)out)[i] = a > b || a != a ? a : b; /* a NaN is seen */      \
        }                                                                        \
    }                                                                            \
    static void add_##SUFFIX(int64_t n, const void *plane, void *out, double *sums) \
    {                                                                            \
        (void)out;                                                               \
        for (int64_t i = 0; i < n; i++)                                          \
            sums[i] += (double)((const TYPE *)plane)[i];                         \
    }                                                                            \
    static void mean_##SUFFIX(int64_t n, int64_t planes, const double *sums, void *out) \
    {                                                                            \
        for (int64_t i = 0; i < n; i++)                                          \
            ((TYPE *)out)[i] = (TYPE)(sums[i] / (double)planes + (ROUND));       \
    }
REDUCE(1, uint8_t, 0.5)
REDUCE(2, uint16_t, 0.5)
REDUCE(4, float, 0.0)

typedef void (*add_function)(int64_t n, const void *plane, void *out, double *sums);
typedef void (*end_function)(int64_t n, int64_t planes, const double *sums, void *out);

/* By the bytes of a pixel; end NULL: out is complete after the last plane. */
static const struct {
    const char *name;
    add_function add[5];
    end_function end[5];
} projections[] = {
    {"max", {[1] = max_1, [2] = max_2, [4] = max_4}, {NULL}},
    {"mean", {[1] = add_1, [2] = add_2, [4] = add_4}, {[1] = mean_1, [2] = mean_2, [4] = mean_4}}};
#define ROWS ((int)(sizeof projections / sizeof *projections))

const char *
ps_z_name(int row)
{
    return row >= 0 && row < ROWS ? projections[row].name : NULL;
}

int
ps_z_find(const char *name, int *row)
{
    for (*row = 0; *row < ROWS; ++*row)
        if (strcmp(projections[*row].name, name) == 0)
            return PS_OK;
    return ps_fail(PS_BAD_VALUE, "there is no projection '%.40s' of a stack", name);
}

int
ps_z_wants_sums(int row)
{
    return projections[row].end[PS_UINT8] != NULL;
}

void
ps_z_add(int row, ps_dtype dtype, int64_t n, int64_t number, const void *plane, void *out,
         double *sums)
{
    if (number == 0 && plane != out)
        memcpy(out, plane, (size_t)n * dtype);
    if (number == 0 && sums)
        memset(sums, 0, (size_t)n * sizeof *sums);
    if (number > 0 || sums)
        projections[row].add[dtype](n, plane, out, sums);
}

void
ps_z_end(int row, ps_dtype dtype, int64_t n, int64_t planes, const double *sums, void *out)
{
    if (projections[row].end[dtype])
        projections[row].end[dtype](n, planes, sums, out);
}

int
ps_z(const char *name, ps_dtype dtype, int64_t planes, int64_t pixels, const void *stack, void *out)
{
    int ret = PS_OK, row = 0;
    double *sums = NULL;

    TRY(ps_z_find(name, &row));
    if (planes < 1)
        FAIL(PS_BAD_VALUE, "a stack without planes has no projection");
    if (ps_z_wants_sums(row))
        TRY(ps_array(&sums, pixels, sizeof *sums));
    for (int64_t i = 0; i < planes; i++)
        ps_z_add(row, dtype, pixels, i, (const char *)stack + i * pixels * (int64_t)dtype, out,
                 sums);
    ps_z_end(row, dtype, pixels, planes, sums, out);
out:
    free(sums);
    return ret;
}

/* ---- bin ------------------------------------------------------------------------------------ */

#define BIN_PLANE(NAME, TYPE, SUM, MEAN)                                              \
    static void NAME(int64_t h, int64_t w, int64_t bin, const void *plane, void *out) \
    {                                                                                 \
        const TYPE *in = plane;                                                       \
        TYPE *to = out;                                                               \
        for (int64_t y = 0; y < h / bin; y++)                                         \
            for (int64_t x = 0; x < w / bin; x++) {                                   \
                SUM sum = 0, count = (SUM)(bin * bin);                                \
                for (int64_t i = 0; i < bin; i++)                                     \
                    for (int64_t j = 0; j < bin; j++)                                 \
                        sum += in[(y * bin + i) * w + x * bin + j];                   \
                *to++ = (TYPE)(MEAN);                                                 \
            }                                                                         \
    }
BIN_PLANE(bin_1, uint8_t, uint32_t, (sum + count / 2) / count)
BIN_PLANE(bin_2, uint16_t, uint32_t, (sum + count / 2) / count)
BIN_PLANE(bin_4, float, double, sum / count)

void
ps_bin(ps_dtype dtype, int64_t h, int64_t w, int64_t bin, const void *plane, void *out)
{
    static void (*const by_bytes[5])(int64_t, int64_t, int64_t, const void *, void *) = {
        [1] = bin_1, [2] = bin_2, [4] = bin_4};

    by_bytes[dtype](h, w, bin, plane, out);
}
