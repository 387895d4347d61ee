/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers that are no measurement: NaN, infinities, and the codes that programs write where pixels
 * are missing (3e38, 1e20, -9999).  One of them in a million makes mean and deviation of a channel
 * senseless, so a plane that has some is refused.  A code is known by the empty range between it
 * and all other numbers of its plane. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "internal.h"

#define MOST 1e15f   /* more than any detector counts */
#define CAMERA 1e7f  /* about what one does: hot pixels lie below */
#define EMPTY 1e-4f  /* of a large number: what nothing lies between */

/* A NaN has more bits than any number: comparisons of floats would pass over it. */
float
ps_largest(int64_t n, const float *x)
{
    int32_t most = 0;
    float largest;

    for (int64_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= INT32_MAX;
        most = bits > most ? bits : most;
    }
    memcpy(&largest, &most, sizeof largest);
    return largest;
}

int
ps_check_finite(int64_t n, const float *x, const char *what)
{
    int64_t bad = 0;

    if (isfinite(ps_largest(n, x)))
        return PS_OK;
    for (int64_t i = 0; i < n; i++)
        bad += !isfinite(x[i]);
    return ps_fail(PS_BAD_VALUE, "%" PRId64 " %s are NaN or infinite: replace them by numbers",
                   bad, what);
}

typedef struct {
    float low, high;
    int64_t not_finite, beyond; /* beyond: over MOST, either way */
    /* by a second look: */
    int64_t far, negative;      /* at least half as large as the largest; below 0 */
    float near;                 /* the largest of those not far, either way */
    int is_mixed;               /* several numbers are below 0 */
} numbers;

static void
look(int64_t n, const float *x, numbers *found)
{
    int64_t not_finite = 0, beyond = 0;
    float low = found->low, high = found->high;

    for (int64_t i = 0; i < n; i++) {
        not_finite += !isfinite(x[i]);
        beyond += fabsf(x[i]) > MOST;
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    found->not_finite += not_finite;
    found->beyond += beyond;
    found->low = low;
    found->high = high;
}

static void
look_closer(int64_t n, const float *x, numbers *found)
{
    const float half = fmaxf(-found->low, found->high) / 2;

    for (int64_t i = 0; i < n; i++) {
        float size = fabsf(x[i]);
        found->far += size >= half;
        found->near = size < half && size > found->near ? size : found->near;
        found->negative += x[i] < 0;
        found->is_mixed |= x[i] < 0 && x[i] > found->low;
    }
}

int
ps_check_floats(int64_t n, const float *pixels)
{
    int ret = PS_OK;
    numbers found = {.low = INFINITY, .high = -INFINITY};
    float largest;
    double code;

    look(n, pixels, &found);
    largest = fmaxf(-found.low, found.high);
    code = largest == found.high ? found.high : found.low;
    if (found.not_finite != 0)
        FAIL(PS_BAD_IMAGE, "%" PRId64 " of its %" PRId64 " pixels are NaN or infinite (as "
             "32-bit float); replace them by numbers", found.not_finite, n);
    if (found.beyond != 0)
        FAIL(PS_BAD_IMAGE, "%" PRId64 " of its %" PRId64 " pixels are larger than any count (up to "
             "%g); replace them by numbers", found.beyond, n, code);
    if (largest <= CAMERA && (found.low >= 0 || found.low != floorf(found.low) ||
                              -found.low <= found.high))
        return PS_OK;
    look_closer(n, pixels, &found);
    if (largest > CAMERA && found.far < n && found.near < EMPTY * largest)
        FAIL(PS_BAD_IMAGE, "%" PRId64 " of its %" PRId64 " pixels are around %g, all others at "
             "most %g, as where a program marks what is missing; replace them by numbers",
             found.far, n, code, (double)found.near);
    if (found.low < 0 && !found.is_mixed && found.negative < n && -found.low > found.high &&
        found.low == floorf(found.low))
        FAIL(PS_BAD_IMAGE, "%" PRId64 " of its %" PRId64 " pixels are %g, all others from 0 to %g, "
             "as where a program marks what is missing; replace them by numbers", found.negative, n,
             (double)found.low, (double)found.high);
out:
    return ret;
}
