/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts of a field -> normalised floats, a row of one channel at a time:
 *
 *     out = (count * gain) * scale + offset,   0 in the padding */
#ifndef PHENOSCALE_FIELD_ROW_H
#define PHENOSCALE_FIELD_ROW_H

#include <string.h>

#include "kernels.h"

#define FIELD_ROW(NAME, TYPE)                                                               \
    static void NAME(const void *pixels, int64_t at, int64_t n, const float *gain,          \
                     float scale, float offset, float *out)                                 \
    {                                                                                       \
        const TYPE *in = (const TYPE *)pixels + at;                                         \
        if (gain)                                                                           \
            for (int64_t i = 0; i < n; i++)                                                 \
                out[i] = (float)in[i] * gain[at + i] * scale + offset;                      \
        else                                                                                \
            for (int64_t i = 0; i < n; i++)                                                 \
                out[i] = (float)in[i] * scale + offset;                                     \
    }
FIELD_ROW(row_uint8, uint8_t)
FIELD_ROW(row_uint16, uint16_t)
FIELD_ROW(row_float32, float)

static void
field_row(const ps_field *field, const ps_frame *frame, int64_t k, int64_t y, int64_t x,
          int64_t n, float *out)
{
    void (*row)(const void *, int64_t, int64_t, const float *, float, float, float *) =
        field->dtype == PS_UINT8 ? row_uint8 : field->dtype == PS_UINT16 ? row_uint16 : row_float32;
    int64_t first = frame->left - x, end = first + frame->w; /* of out, within the frame */

    first = first < 0 ? 0 : first;
    end = end > n ? n : end;
    if (y < frame->top || y >= frame->top + frame->h || first >= end) {
        memset(out, 0, (size_t)n * sizeof *out);
        return;
    }
    memset(out, 0, (size_t)first * sizeof *out);
    row(field->pixels, (k * frame->h + y - frame->top) * frame->w + x + first - frame->left,
        end - first, field->gain, field->scale[k], field->offset[k], out + first);
    memset(out + end, 0, (size_t)(n - end) * sizeof *out);
}
#endif
