/* SPDX-License-Identifier: BSD-3-Clause */
/* One fault of the kind that is named, for the tools to find. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static volatile int sink;

static void __attribute__((noinline))
leak(void)
{
    void *volatile lost = malloc(100);

    (void)lost;
    lost = NULL;
}

int
main(int argc, char **argv)
{
    const char *fault = argc > 1 ? argv[1] : "";
    volatile int n = 8;
    volatile int *numbers = malloc(8 * sizeof *numbers);

    if (!numbers)
        return 2;
    if (strcmp(fault, "overrun") == 0)
        numbers[n] = 1;
    else if (strcmp(fault, "leak") == 0)
        leak();
    else if (strcmp(fault, "overflow") == 0)
        sink = INT_MAX - 7 + n;
    else if (strcmp(fault, "unset") == 0 && numbers[n - 1] == 7)
        sink = 1;
    free((void *)numbers);
    return 0;
}
