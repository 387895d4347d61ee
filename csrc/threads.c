/* SPDX-License-Identifier: BSD-3-Clause */
/* What OpenMP's threads must have before a network runs on them. */
#include "net.h"

#include <omp.h>
#include <pthread.h>

/* With 20 KB a step of mcnn crashes (AVX-512), with 24 it does not: room for other processors. */
#define LEAST_STACK ((size_t)256 << 10)

static size_t
own_stack(void)
{
    pthread_attr_t attributes;
    size_t size = LEAST_STACK; /* where nobody knows it is let pass */

    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstacksize(&attributes, &size);
        pthread_attr_destroy(&attributes);
    }
    return size;
}

int
ps_check_stacks(int threads)
{
    size_t least = LEAST_STACK;

    /* the first is the caller's own thread */
#pragma omp parallel num_threads(threads) reduction(min : least)
    if (omp_get_thread_num() > 0)
        least = own_stack();
    if (least < LEAST_STACK)
        return ps_fail(PS_BAD_VALUE,
                       "the threads of OpenMP have stacks of %zu KB, and need %zu: set "
                       "OMP_STACKSIZE to 1M, or unset it (and look at ulimit -s)",
                       least >> 10, LEAST_STACK >> 10);
    return PS_OK;
}
