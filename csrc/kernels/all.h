/* SPDX-License-Identifier: BSD-3-Clause */
/* All kernels, for the instruction set that the including file names: the table of kernels.h. */
#include "field_row.h"
#include "tower_weights.h"
#include "tower_forward.h"
#include "tower_backward.h"
#include "rows.h"
#include "neighbours.h"
#include "planes.h"

#define NAME_OF(isa) ps_kernels_##isa
#define NAME(isa) NAME_OF(isa)
#define TEXT_OF(isa) #isa
#define TEXT(isa) TEXT_OF(isa)

static int
is_supported(void)
{
#if VEC_LANES == 16
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
#elif VEC_LANES == 8
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}

const ps_kernels NAME(ISA) = {
    .isa = TEXT(ISA),
    .is_supported = is_supported,
    .field_row = field_row,
    .tower_prepare = tower_prepare,
    .tower_forward = tower_forward,
    .tower_backward = tower_backward,
    .dots = rows_dots,
    .add = rows_add,
    .outer = rows_outer,
    .halve_levels = plane_halve_levels,
    .halve_floats = plane_halve_floats,
    .powers = plane_powers,
    .dot = plane_dot,
    .transform = plane_transform,
    .patterns_levels = plane_patterns_levels,
    .patterns_floats = plane_patterns_floats,
    .pair = plane_pair,
    .rise = plane_rise,
    .erode = plane_erode,
    .blur = plane_blur,
    .fold = plane_fold,
    .columns = plane_columns,
    .greys_counts = plane_greys_counts,
    .greys_levels = plane_greys_levels,
    .greys_means = plane_greys_means,
    .laplacian = plane_laplacian,
    .burn = rows_burn,
};
