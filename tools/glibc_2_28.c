/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions that a newer glibc moved, made anew or made itself, by the names and versions that 2.28
 * and all since have: linked into the wheel's module, whose calls then go through these.  That none
 * was forgotten auditwheel checks. */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#define HIDDEN __attribute__((visibility("hidden")))
#define OLD(kind, name, version, parameters, arguments)  \
    __asm__(".symver old_" #name "," #name "@" version); \
    kind old_##name parameters;                          \
    HIDDEN kind name parameters { return old_##name arguments; }

typedef void *thread_main(void *);

OLD(int, pthread_create, "GLIBC_2.2.5",
    (pthread_t *restrict thread, const pthread_attr_t *restrict how, thread_main *run,
     void *restrict with), (thread, how, run, with))
OLD(int, pthread_join, "GLIBC_2.2.5", (pthread_t thread, void **result), (thread, result))
OLD(int, pthread_sigmask, "GLIBC_2.2.5",
    (int how, const sigset_t *restrict set, sigset_t *restrict before), (how, set, before))
OLD(int, pthread_condattr_setclock, "GLIBC_2.3.3", (pthread_condattr_t *of, clockid_t clock),
    (of, clock))
OLD(int, pthread_getattr_np, "GLIBC_2.2.5", (pthread_t thread, pthread_attr_t *how),
    (thread, how))
OLD(int, pthread_attr_getstacksize, "GLIBC_2.2.5",
    (const pthread_attr_t *restrict how, size_t *restrict size), (how, size))
OLD(double, exp, "GLIBC_2.2.5", (double x), (x))
OLD(double, log, "GLIBC_2.2.5", (double x), (x))
OLD(double, log2, "GLIBC_2.2.5", (double x), (x))
OLD(double, hypot, "GLIBC_2.2.5", (double x, double y), (x, y))
OLD(double, pow, "GLIBC_2.2.5", (double x, double y), (x, y))

int __fxstat(int version, int file, struct stat *out);
int __fxstat64(int version, int file, struct stat64 *out);

HIDDEN int fstat(int file, struct stat *out) { return __fxstat(1, file, out); }
HIDDEN int fstat64(int file, struct stat64 *out) { return __fxstat64(1, file, out); }
