/* SPDX-License-Identifier: BSD-3-Clause */
/* What every file of the library stands on and users of the library never see (error.c). */
#ifndef PHENOSCALE_INTERNAL_H
#define PHENOSCALE_INTERNAL_H

#include "phenoscale.h"

/* ---- errors ----------------------------------------------------------------------------- */

#define PS_DETAIL_SIZE 1024

#define FAIL(status, ...)                     \
    do {                                      \
        ret = ps_fail((status), __VA_ARGS__); \
        goto out;                             \
    } while (0)
#define TRY(call)               \
    do {                        \
        ret = (call);           \
        if (ret != PS_OK)       \
            goto out;           \
    } while (0)

int ps_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- memory ----------------------------------------------------------------------------- */

/* An array of `count` values of `size` bytes, aligned to 64; freed with free(). */
int ps_array(void *pointer_to_pointer, int64_t count, size_t size);
int ps_array_zeroed(void *pointer_to_pointer, int64_t count, size_t size);

/* What an object holds, in bytes, and may hold (0: anything). */
typedef struct {
    int64_t bytes, limit;
} ps_account;

/* An array (rows, columns) on an account: NULL, and counted all the same, beyond its limit. */
int ps_hold(ps_account *account, void *pointer_to_pointer, int64_t rows, int64_t columns,
            size_t size);
/* PS_NO_MEMORY where more was asked for than there may be; `what` is plural. */
int ps_account_check(const ps_account *account, const char *what);

/* ---- numbers (numbers.c) ------------------------------------------------------------------- */

/* The largest of n numbers, either way; infinite or NaN where one of them is. */
float ps_largest(int64_t n, const float *x);
/* PS_BAD_VALUE where some of n numbers are NaN or infinite; `what`: "pixels of a plane", ... */
int ps_check_finite(int64_t n, const float *x, const char *what);

/* ---- random numbers: a function of four words --------------------------------------------- */

uint64_t ps_random_bits(uint64_t a, uint64_t b, uint64_t c, uint64_t d);
double ps_random_unit(uint64_t a, uint64_t b, uint64_t c, uint64_t d); /* [0, 1) */

#endif
