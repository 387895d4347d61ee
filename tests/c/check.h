/* SPDX-License-Identifier: BSD-3-Clause */
/* A check that says where it failed and goes on; main returns failures > 0. */
#ifndef CHECK_H
#define CHECK_H

#include "phenoscale.h"

#include <stdio.h>

static int failures;

#define CHECK(condition)                                                                    \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,             \
                    ps_error_detail());                                                     \
            failures++;                                                                     \
        }                                                                                   \
    } while (0)

#endif
