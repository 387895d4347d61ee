/* SPDX-License-Identifier: BSD-3-Clause */
/* Kinds of samples that TIFF files hold, and how each becomes one of the library's three types.
 *
 *   bits of a row --unpack--> native (uint8, int16, float64, ...) --widen--> uint8, uint16, float32
 *
 * Whole numbers of up to 24 bits and signed ones of up to 16 are exact in float32; wider ones and
 * float64 are rounded to it.  libtiff gives 16, 32 and 64 bits in the machine's order; other
 * widths, 24 among them, are packed, the highest bit first, and rows begin with whole bytes. */
#include "samples.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { UNSIGNED = 1, SIGNED, FLOATING }; /* TIFF's SampleFormat */

#define CHUNK 1024

/* ---- unpack --------------------------------------------------------------------------------- */

static unsigned
packed_at(const unsigned char *row, int bits, int64_t number)
{
    int64_t bit = number * bits;
    unsigned value = 0;

    for (int done = 0; done < bits;) {
        int offset = (int)(bit % 8), take = 8 - offset < bits - done ? 8 - offset : bits - done;
        unsigned byte = row[bit / 8] >> (8 - offset - take) & ((1u << take) - 1);
        value = value << take | byte;
        bit += take;
        done += take;
    }
    return value;
}

static void
unpack_8(const unsigned char *row, int bits, int64_t first, int64_t stride, int64_t n, void *native)
{
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)native)[i] = (uint8_t)packed_at(row, bits, first + i * stride);
}

static void
unpack_16(const unsigned char *row, int bits, int64_t first, int64_t stride, int64_t n,
          void *native)
{
    for (int64_t i = 0; i < n; i++)
        ((uint16_t *)native)[i] = (uint16_t)packed_at(row, bits, first + i * stride);
}

static void
unpack_24(const unsigned char *row, int bits, int64_t first, int64_t stride, int64_t n,
          void *native)
{
    (void)bits;
    for (int64_t i = 0; i < n; i++) {
        const unsigned char *at = row + 3 * (first + i * stride);
        ((uint32_t *)native)[i] = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | (uint32_t)at[2];
    }
}

/* Every stride-th value; called with constant sizes, so that each copy is one move. */
static inline void
pick(int64_t n, int64_t size, int64_t stride, const unsigned char *from, unsigned char *to)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(to + i * size, from + i * stride * size, (size_t)size);
}

void
ps_samples_take(const ps_samples *self, int bits, int64_t first, int64_t stride, int64_t n,
                const unsigned char *row, unsigned char *native)
{
    const int64_t size = self->bytes;

    if (self->unpack != NULL)
        self->unpack(row, bits, first, stride, n, native);
    else if (stride == 1)
        memcpy(native, row + first * size, (size_t)(n * size));
    else if (size == 1)
        pick(n, 1, stride, row + first, native);
    else if (size == 2)
        pick(n, 2, stride, row + first * 2, native);
    else
        pick(n, size, stride, row + first * size, native);
}

int
ps_samples_gray_map(int bits, const uint16_t *red, const uint16_t *green, const uint16_t *blue,
                    unsigned char *map)
{
    int is_wide = 0, last = (1 << bits) - 1;

    for (int i = 0; i <= last; i++)
        is_wide |= red[i] > 255; /* some writers leave the 16-bit entries at 8 bits */
    for (int i = 0; i <= last; i++) {
        int error = abs(last * (red[i] - red[0]) - i * (red[last] - red[0])) / last;
        if (red[i] != green[i] || red[i] != blue[i] || red[0] == red[last] ||
            error > (is_wide ? 257 : 1)) /* off the line */
            return 0;
        map[i] = (unsigned char)(is_wide ? red[i] >> 8 : red[i]); /* 256 g and 257 g: g */
    }
    return 1;
}

/* ---- to float32 ----------------------------------------------------------------------------- */

#define TO_FLOAT(NAME, TYPE)                                  \
    static void NAME(int64_t n, const void *native, float *out) \
    {                                                         \
        for (int64_t i = 0; i < n; i++)                       \
            out[i] = (float)((const TYPE *)native)[i];        \
    }
TO_FLOAT(from_uint8, uint8_t)
TO_FLOAT(from_uint16, uint16_t)
TO_FLOAT(from_uint32, uint32_t)
TO_FLOAT(from_uint64, uint64_t)
TO_FLOAT(from_int8, int8_t)
TO_FLOAT(from_int16, int16_t)
TO_FLOAT(from_int32, int32_t)
TO_FLOAT(from_int64, int64_t)
TO_FLOAT(from_float32, float)

static void
from_float64(int64_t n, const void *native, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        double value = ((const double *)native)[i];
        /* a conversion out of range is undefined; all of these are refused as not finite */
        out[i] = fabs(value) <= 3.4028234e38 ? (float)value : (float)NAN;
    }
}

/* IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction */
static void
from_float16(int64_t n, const void *native, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        unsigned bits = ((const uint16_t *)native)[i], exponent = bits >> 10 & 31;
        float fraction = (float)(bits & 1023);
        float size = exponent == 31  ? (float)NAN
                     : exponent == 0 ? ldexpf(fraction, -24)
                                     : ldexpf(fraction + 1024, (int)exponent - 25);
        out[i] = bits >> 15 ? -size : size;
    }
}

/* ---- the table ------------------------------------------------------------------------------ */

static const ps_samples kinds[] = {
    {UNSIGNED, 8, 8, "uint8", 1, PS_UINT8, NULL, from_uint8},
    {UNSIGNED, 16, 16, "uint16", 2, PS_UINT16, NULL, from_uint16},
    {UNSIGNED, 1, 7, "uint8", 1, PS_UINT8, unpack_8, from_uint8},
    {UNSIGNED, 9, 15, "uint16", 2, PS_UINT16, unpack_16, from_uint16},
    {UNSIGNED, 24, 24, "uint32", 4, PS_FLOAT32, unpack_24, from_uint32},
    {UNSIGNED, 32, 32, "uint32", 4, PS_FLOAT32, NULL, from_uint32},
    {UNSIGNED, 64, 64, "uint64", 8, PS_FLOAT32, NULL, from_uint64},
    {SIGNED, 8, 8, "int8", 1, PS_FLOAT32, NULL, from_int8},
    {SIGNED, 16, 16, "int16", 2, PS_FLOAT32, NULL, from_int16},
    {SIGNED, 32, 32, "int32", 4, PS_FLOAT32, NULL, from_int32},
    {SIGNED, 64, 64, "int64", 8, PS_FLOAT32, NULL, from_int64},
    {FLOATING, 16, 16, "float16", 2, PS_FLOAT32, NULL, from_float16},
    {FLOATING, 32, 32, "float32", 4, PS_FLOAT32, NULL, from_float32},
    {FLOATING, 64, 64, "float64", 8, PS_FLOAT32, NULL, from_float64}};

const ps_samples *
ps_samples_find(int format, int bits)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].format == format && kinds[i].first_bits <= bits && bits <= kinds[i].last_bits)
            return &kinds[i];
    return NULL;
}

const char *
ps_samples_format(int format)
{
    static const char *const names[] = {"of unknown format", "unsigned", "signed",
                                        "floating-point",    "of unknown format", "complex",
                                        "complex"};

    return names[format >= 0 && format < 7 ? format : 0];
}

/* Each chunk is set aside first: what is written, up to wide * i, never passes what was read, up to
 * (wide - bytes) * n + bytes * i. */
void
ps_samples_widen(const ps_samples *self, ps_dtype wide, int64_t n, const void *native,
                 void *pixels)
{
    const int64_t bytes = self->bytes;
    uint64_t chunk[CHUNK];

    if (self->dtype == wide && bytes == (int64_t)wide && self->to_float != from_uint32 &&
        self->to_float != from_int32)
        return; /* it lies there */
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t count = n - i < CHUNK ? n - i : CHUNK;
        memcpy(chunk, (const unsigned char *)native + i * bytes, (size_t)(count * bytes));
        if (wide == PS_FLOAT32)
            self->to_float(count, chunk, (float *)pixels + i);
        else
            for (int64_t k = 0; k < count; k++)
                ((uint16_t *)pixels)[i + k] = ((const uint8_t *)chunk)[k];
    }
}

int64_t
ps_samples_not_finite(const ps_samples *self, int64_t n, const void *native)
{
    float chunk[CHUNK];
    int64_t found = 0;

    if (self->format != FLOATING)
        return 0;
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t count = n - i < CHUNK ? n - i : CHUNK;
        self->to_float(count, (const unsigned char *)native + i * self->bytes, chunk);
        for (int64_t k = 0; k < count; k++)
            found += !isfinite(chunk[k]);
    }
    return found;
}

int
ps_samples_narrow(const ps_samples *self, ps_dtype dtype)
{
    return self->format == SIGNED && self->bytes == (int)dtype && dtype < self->dtype;
}

int
ps_samples_check_counts(const ps_samples *self, int64_t n, const void *native)
{
    int ret = PS_OK;
    int64_t bad = 0;

    for (int64_t i = 0; i < n; i++)
        bad += (self->bytes == 1 ? ((const int8_t *)native)[i] : ((const int16_t *)native)[i]) < 0;
    if (bad != 0)
        FAIL(PS_BAD_IMAGE, "%" PRId64 " of its %" PRId64 " pixels are negative, which counts are "
             "not; add an offset, or save it as 32-bit float", bad, n);
out:
    return ret;
}
