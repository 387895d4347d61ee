/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernels for whatever the compiler makes of plain C. */
#define VEC_LANES 4
#define ISA portable
#include "all.h"
