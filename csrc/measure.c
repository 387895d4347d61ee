/* SPDX-License-Identifier: BSD-3-Clause */
/* What one plane of pixels is like, for the audit before a long run: range, bits in use, and how
 * much of its detail is fine, how much coarse.
 *
 * Detail is the energy of Haar's wavelet, octave by octave: the plane is halved again and again by
 * means over 2x2, and detail[k] is the mean variance within the 2x2 that octave k joins:
 *
 *   (h, w) --2x2--> (h/2, w/2) --2x2--> (h/4, w/4) ...
 *      detail[0]       detail[1]          detail[2]
 *
 * Out of focus the fine octaves fall and the coarse ones stay.  (Haar 1910; Mallat 1989.) */
#include "internal.h"

#include <stdlib.h>

#define MEASURE(SUFFIX, TYPE, BITS)                                                      \
    static void range_##SUFFIX(int64_t n, const void *pixels, ps_measures *out)          \
    {                                                                                    \
        const TYPE *in = pixels;                                                         \
        TYPE min = in[0], max = in[0];                                                   \
        for (int64_t i = 0; i < n; i++) {                                                \
            min = in[i] < min ? in[i] : min;                                             \
            max = in[i] > max ? in[i] : max;                                             \
        }                                                                                \
        for (int64_t i = 0; i < n; i++) {                                                \
            out->at_max += in[i] == max;                                                 \
            out->bits |= (uint64_t)(BITS);                                               \
            out->mean += (double)in[i];                                                  \
        }                                                                                \
        out->min = (double)min;                                                          \
        out->max = (double)max;                                                          \
        out->mean /= (double)n;                                                          \
    }                                                                                    \
    /* (h, w) -> means over 2x2, (h / 2, w / 2); the mean variance within them */        \
    static double halve_##SUFFIX(int64_t h, int64_t w, const void *pixels, float *out)   \
    {                                                                                    \
        const TYPE *in = pixels;                                                         \
        double energy = 0;                                                               \
        for (int64_t y = 0; y < h / 2; y++) {                                            \
            const TYPE *a = in + 2 * y * w, *b = a + w;                                  \
            float row = 0;                                                               \
            for (int64_t x = 0; x < w / 2; x++) {                                        \
                float p = (float)a[2 * x], q = (float)a[2 * x + 1];                      \
                float r = (float)b[2 * x], s = (float)b[2 * x + 1];                      \
                float mean = (p + q + r + s) / 4;                                        \
                p -= mean, q -= mean, r -= mean, s -= mean;                              \
                row += (p * p + q * q + r * r + s * s) / 4;                              \
                out[y * (w / 2) + x] = mean;                                             \
            }                                                                            \
            energy += row;                                                               \
        }                                                                                \
        return energy / (double)((h / 2) * (w / 2));                                     \
    }
MEASURE(1, uint8_t, in[i])
MEASURE(2, uint16_t, in[i])
MEASURE(4, float, 0)

int
ps_measure(ps_dtype dtype, int64_t h, int64_t w, const void *pixels, ps_measures *out)
{
    static void (*const range[5])(int64_t, const void *, ps_measures *) = {
        [1] = range_1, [2] = range_2, [4] = range_4};
    static double (*const halve[5])(int64_t, int64_t, const void *, float *) = {
        [1] = halve_1, [2] = halve_2, [4] = halve_4};
    int ret = PS_OK;
    float *half = NULL;

    *out = (ps_measures){0};
    if (h < 1 || w < 1)
        FAIL(PS_BAD_VALUE, "a plane without pixels has no measures");
    if (dtype == PS_FLOAT32)
        TRY(ps_check_finite(h * w, pixels, "pixels of a plane"));
    range[dtype](h * w, pixels, out);
    TRY(ps_array(&half, h / 2 * (w / 2), sizeof *half));
    for (; out->octaves < PS_OCTAVES && h > 1 && w > 1; out->octaves++, h /= 2, w /= 2)
        out->detail[out->octaves] = out->octaves == 0 ? halve[dtype](h, w, pixels, half)
                                                      : halve_4(h, w, half, half);
out:
    free(half);
    return ret;
}
