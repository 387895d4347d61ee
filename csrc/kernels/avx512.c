/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels for AVX-512, of which servers since 2017 and Zen 4 have these parts. */
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,prefer-vector-width=512")
#define VEC_LANES 16
#define ISA avx512
#include "all.h"
