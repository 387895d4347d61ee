/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors and memory: what every other file of the library stands on. */
#define _POSIX_C_SOURCE 200809L
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char detail[PS_DETAIL_SIZE];

int
ps_fail(int status, const char *format, ...)
{
    va_list arguments;
    char text[PS_DETAIL_SIZE]; /* the arguments may quote the old detail */

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(detail, text, sizeof text);
    return status;
}

const char *
ps_error_detail(void)
{
    return detail;
}

const char *
ps_error_name(int status)
{
    static const char *const names[] = {"PS_OK",        "PS_NO_MEMORY", "PS_IO",
                                        "PS_BAD_IMAGE", "PS_UNSUPPORTED", "PS_LIMIT",
                                        "PS_BAD_VALUE", "PS_DNN",       "PS_STOPPED",
                                        "PS_AGAIN",     "PS_OVERFLOW"};
    int row = -status;

    return row >= 0 && row < (int)(sizeof names / sizeof *names) ? names[row] : "unknown error";
}

int
ps_array(void *pointer, int64_t count, size_t size)
{
    size_t bytes;
    void *block = NULL;

    if (count < 0 || __builtin_mul_overflow((size_t)count, size, &bytes) ||
        bytes > (size_t)1 << 46)
        return ps_fail(PS_LIMIT, "%lld values of %zu bytes are more than a machine can hold",
                       (long long)count, size);
    if (posix_memalign(&block, 64, bytes ? bytes : 64) != 0)
        return ps_fail(PS_NO_MEMORY, "no memory for %.1f MB", (double)bytes / 1e6);
    memcpy(pointer, &block, sizeof block);
    return PS_OK;
}

int
ps_array_zeroed(void *pointer, int64_t count, size_t size)
{
    int ret = ps_array(pointer, count, size);

    if (ret == PS_OK) {
        void *block;
        memcpy(&block, pointer, sizeof block);
        memset(block, 0, (size_t)count * size);
    }
    return ret;
}

int
ps_hold(ps_account *account, void *pointer, int64_t rows, int64_t columns, size_t size)
{
    int64_t count;
    void *none = NULL;

    if (__builtin_mul_overflow(rows, columns, &count) || count > INT64_MAX / 16 ||
        __builtin_add_overflow(account->bytes, count * (int64_t)size, &account->bytes))
        return ps_fail(PS_LIMIT, "the network needs more memory than a machine can hold");
    if (!account->limit || account->bytes <= account->limit)
        return ps_array(pointer, count, size);
    memcpy(pointer, &none, sizeof none);
    return PS_OK;
}

int
ps_account_check(const ps_account *account, const char *what)
{
    if (!account->limit || account->bytes <= account->limit)
        return PS_OK;
    return ps_fail(PS_NO_MEMORY, "%s need %.2f GB of memory, of which %.2f GB may be used", what,
                   (double)account->bytes / 1e9, (double)account->limit / 1e9);
}

/* splitmix64 (Steele, Lea, Flood 2014) as a hash of four words: random numbers are a function of
 * what they are for, never of the order in which they are drawn. */
uint64_t
ps_random_bits(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t words[4] = {a, b, c, d};
    uint64_t state = 0;

    for (int i = 0; i < 4; i++) {
        state += words[i] + 0x9e3779b97f4a7c15u;
        state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
        state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
        state ^= state >> 31;
    }
    return state;
}

double
ps_random_unit(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return (double)(ps_random_bits(a, b, c, d) >> 11) * 0x1p-53;
}
