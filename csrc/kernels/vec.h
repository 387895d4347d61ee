/* SPDX-License-Identifier: BSD-3-Clause */
/* A small vector of floats: what the kernels are written in.  The file that includes this names an
 * instruction set by VEC_LANES: 16 (AVX-512), 8 (AVX2 with FMA), 4 (whatever the compiler has).
 *
 * Kernels work on blocks of 16 channels, VECS vectors each. */
#ifndef PHENOSCALE_VEC_H
#define PHENOSCALE_VEC_H

#include <stdint.h>

#define BLOCK 16
#define VECS (BLOCK / VEC_LANES)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef float vec __attribute__((vector_size(4 * VEC_LANES), may_alias));
typedef int32_t vec_mask __attribute__((vector_size(4 * VEC_LANES), may_alias));

INLINE vec
v_load(const float *at)
{
    vec v;
    __builtin_memcpy(&v, at, sizeof v);
    return v;
}

INLINE void
v_store(float *at, vec v)
{
    __builtin_memcpy(at, &v, sizeof v);
}

INLINE vec
v_all(float value)
{
    return value - (vec){0};
}

/* Whole levels as floats. */
INLINE vec
v_levels(const uint16_t *at)
{
    typedef uint16_t levels __attribute__((vector_size(2 * VEC_LANES)));
    levels v;
    __builtin_memcpy(&v, at, sizeof v);
    return __builtin_convertvector(__builtin_convertvector(v, vec_mask), vec);
}

#if VEC_LANES == 16
#include <immintrin.h>

INLINE vec v_fma(vec a, vec b, vec c) { return (vec)_mm512_fmadd_ps(a, b, c); }
/* the larger; where either is NaN, b */
INLINE vec v_max(vec a, vec b) { return (vec)_mm512_max_ps(a, b); }
INLINE vec v_keep_positive(vec a, vec by)
{
    return (vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(by, _mm512_setzero_ps(), _CMP_GT_OQ), a);
}
INLINE int v_all_at_most(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ) == 0xffff;
}

#elif VEC_LANES == 8
#include <immintrin.h>

INLINE vec v_fma(vec a, vec b, vec c) { return (vec)_mm256_fmadd_ps(a, b, c); }
INLINE vec v_max(vec a, vec b) { return (vec)_mm256_max_ps(a, b); }
INLINE vec v_keep_positive(vec a, vec by)
{
    return (vec)_mm256_and_ps(a, _mm256_cmp_ps(by, _mm256_setzero_ps(), _CMP_GT_OQ));
}
INLINE int v_all_at_most(vec a, vec b)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LE_OQ)) == 0xff;
}

#else

INLINE vec v_fma(vec a, vec b, vec c) { return a * b + c; }
INLINE vec v_max(vec a, vec b)
{
    vec_mask more = a > b;
    return (vec)((more & (vec_mask)a) | (~more & (vec_mask)b));
}
INLINE vec v_keep_positive(vec a, vec by) { return (vec)((by > 0) & (vec_mask)a); }
INLINE int v_all_at_most(vec a, vec b)
{
    vec_mask is = a <= b;
    int all = -1;
    for (int i = 0; i < VEC_LANES; i++)
        all &= is[i];
    return all;
}

#endif
#endif
