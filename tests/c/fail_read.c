/* SPDX-License-Identifier: BSD-3-Clause */
/* Preloaded: the first FAIL_TIMES reads of a file with "ailing" in its name, after FAIL_AFTER good
 * ones, fail with the error FAIL_HOW; or, where that is "cut", find the end of the file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
is_to_fail(int fd)
{
    static int calls;
    char link[64], path[4096];
    const char *times = getenv("FAIL_TIMES"), *after = getenv("FAIL_AFTER");

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = 0;
    if (!times || !after || !strstr(path, "ailing"))
        return 0;
    calls++;
    return calls > atoi(after) && calls <= atoi(after) + atoi(times);
}

static ssize_t
fail(void)
{
    const char *how = getenv("FAIL_HOW");

    if (strcmp(how, "cut") == 0)
        return 0;
    errno = atoi(how);
    return -1;
}

ssize_t
read(int fd, void *bytes, size_t n)
{
    ssize_t (*real)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");

    return is_to_fail(fd) ? fail() : real(fd, bytes, n);
}

ssize_t
pread(int fd, void *bytes, size_t n, off_t at)
{
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");

    return is_to_fail(fd) ? fail() : real(fd, bytes, n, at);
}

ssize_t
pread64(int fd, void *bytes, size_t n, off64_t at)
{
    ssize_t (*real)(int, void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pread64");

    return is_to_fail(fd) ? fail() : real(fd, bytes, n, at);
}
