/* SPDX-License-Identifier: BSD-3-Clause */
/* Which instruction set is used: the best one here, or the one that PHENOSCALE_ISA names. */
#include "internal.h"
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const ps_kernels *const rows[] = {&ps_kernels_avx512, &ps_kernels_avx2,
                                         &ps_kernels_portable};
#define ROWS (int)(sizeof rows / sizeof *rows)

int
ps_isa_choose(const ps_kernels **kernels)
{
    const char *name = getenv("PHENOSCALE_ISA");

    for (int i = 0; i < ROWS; i++) {
        if (name && *name && strcmp(name, rows[i]->isa) != 0)
            continue;
        if (rows[i]->is_supported()) {
            *kernels = rows[i];
            return PS_OK;
        }
        if (name && *name)
            return ps_fail(PS_UNSUPPORTED, "PHENOSCALE_ISA=%s: this machine does not have it",
                           name);
    }
    return ps_fail(PS_BAD_VALUE, "PHENOSCALE_ISA=%.40s: choose avx512, avx2 or portable", name);
}

const char *
ps_isa_name(void)
{
    const ps_kernels *kernels = NULL;

    return ps_isa_choose(&kernels) == PS_OK ? kernels->isa : NULL;
}

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double
ps_fma_peak(void)
{
    const ps_kernels *kernels = NULL;
    const int64_t burn = 400000;
    double best = 0;

    if (ps_isa_choose(&kernels) != PS_OK)
        return 0;
    for (int i = 0; i < 20; i++) {
        double start = seconds();
        volatile float result = kernels->burn(burn);
        double rate = 2.0 * PS_BLOCK * PS_BLOCK * (double)burn / (seconds() - start) / 1e9;
        (void)result;
        best = rate > best ? rate : best;
    }
    return best;
}
