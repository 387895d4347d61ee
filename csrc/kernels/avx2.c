/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels for AVX2 and FMA. */
#pragma GCC target("avx2,fma")
#define VEC_LANES 8
#define ISA avx2
#include "all.h"
