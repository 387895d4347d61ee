/* SPDX-License-Identifier: BSD-3-Clause */
/* Preloaded: the FAIL_AT-th write, fsync or rename of a checkpoint, or fsync of a folder, fails
 * with the error FAIL_HOW, or ends the process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
is_ours(int fd)
{
    char link[64], path[4096];
    struct stat about;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return 0;
    path[n] = 0;
    return strstr(path, "checkpoint-") || (fstat(fd, &about) == 0 && S_ISDIR(about.st_mode));
}

static int
is_to_fail(const char *what)
{
    static int calls;
    const char *at = getenv("FAIL_AT"), *how = getenv("FAIL_HOW");

    if (!at || !how || ++calls != atoi(at))
        return 0;
    dprintf(2, "FAILED %s\n", what);
    if (strcmp(how, "exit") == 0)
        _exit(9);
    errno = atoi(how);
    return 1;
}

ssize_t
write(int fd, const void *bytes, size_t n)
{
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");

    return is_ours(fd) && is_to_fail("write") ? -1 : real(fd, bytes, n);
}

int
fsync(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");

    return is_ours(fd) && is_to_fail("fsync") ? -1 : real(fd);
}

int
rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");

    return strstr(to, "checkpoint-") && is_to_fail("rename") ? -1 : real(from, to);
}
