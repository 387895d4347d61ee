/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads fields ahead of the network: worker threads decode and augment into a ring of slots, the
 * caller takes them in order.
 *
 *   claimed ->  [ slot ][ slot ][ slot ][ slot ]  -> handed -> released, and claimed again
 *
 * Sample j of the pass lives in slot j % n_slots; a worker may claim j once j - n_slots has been
 * released.  A field that cannot be read fills its slot with the error. */
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    int is_ready, status;
    char *pixels; /* (c, h, w) */
    char detail[PS_DETAIL_SIZE];
} slot;

struct ps_loader {
    ps_loader_spec spec;
    char **paths; /* (n_fields, c): own copies */
    int64_t *pages;
    slot *slots;
    char *pixels; /* of all slots */
    pthread_t *workers;
    int n_workers;
    pthread_mutex_t mutex;
    pthread_cond_t work, ready;
    /* under the mutex: */
    const int64_t *order;
    int64_t n, claimed, handed, released;
    int busy, is_closing; /* workers at a sample */
    unsigned augment;
    uint64_t seed, epoch;
};

static size_t
plane_size(const ps_loader_spec *spec)
{
    return (size_t)(spec->h * spec->w) * spec->dtype;
}

static int
read_channel(const ps_loader *self, int64_t field, int64_t k, char *pixels)
{
    int ret = PS_OK;
    const ps_loader_spec *spec = &self->spec;
    const char *path = self->paths[field * spec->c + k];
    ps_image *image = NULL;

    TRY(ps_image_open(&image, path, self->pages ? self->pages[field * spec->c + k] : 0));
    const ps_image_info *info = ps_image_about(image);
    if (info->samples != 1)
        FAIL(PS_BAD_VALUE, "%s has %lld samples a pixel where one channel is expected: export "
             "gray images, one file a channel", path, (long long)info->samples);
    if (info->height != spec->h || info->width != spec->w)
        FAIL(PS_BAD_VALUE, "%s is %lld x %lld pixels, the other fields are %lld x %lld "
             "(height x width): remove it, or export all fields at one size", path,
             (long long)info->height, (long long)info->width, (long long)spec->h,
             (long long)spec->w);
    TRY(ps_image_read(image, spec->dtype, pixels));
out:
    ps_image_close(image);
    return ret;
}

static int
read_field(const ps_loader *self, int64_t sample, char *pixels, char *spare)
{
    int ret = PS_OK;
    const ps_loader_spec *spec = &self->spec;
    int64_t field = self->order[sample];

    for (int64_t k = 0; k < spec->c; k++)
        TRY(read_channel(self, field, k, pixels + (size_t)k * plane_size(spec)));
    TRY(ps_augment(self->augment, self->seed, self->epoch, (uint64_t)sample, spec->c, spec->h,
                   spec->w, spec->dtype, pixels, spare));
out:
    return ret;
}

static void *
work(void *argument)
{
    ps_loader *self = argument;
    void *spare = NULL;
    int no_memory = ps_array(&spare, (int64_t)plane_size(&self->spec), 1);

    pthread_mutex_lock(&self->mutex);
    while (!self->is_closing) {
        if (self->claimed >= self->n || self->claimed >= self->released + self->spec.n_slots) {
            pthread_cond_wait(&self->work, &self->mutex);
            continue;
        }
        int64_t sample = self->claimed++;
        slot *at = &self->slots[sample % self->spec.n_slots];
        self->busy++;
        pthread_mutex_unlock(&self->mutex);
        int status = no_memory ? no_memory : read_field(self, sample, at->pixels, spare);
        pthread_mutex_lock(&self->mutex);
        at->status = status;
        if (status != PS_OK)
            strcpy(at->detail, ps_error_detail());
        at->is_ready = 1;
        self->busy--;
        pthread_cond_broadcast(&self->ready);
    }
    pthread_mutex_unlock(&self->mutex);
    free(spare);
    return NULL;
}

/* Signals belong to the caller's threads. */
static int
start_workers(ps_loader *self)
{
    int ret = PS_OK;
    sigset_t all, before;

    TRY(ps_array(&self->workers, self->spec.n_workers, sizeof *self->workers));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; self->n_workers < self->spec.n_workers; self->n_workers++)
        if (pthread_create(&self->workers[self->n_workers], NULL, work, self) != 0)
            break;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (self->n_workers == 0)
        FAIL(PS_NO_MEMORY, "the system gives no thread to read images");
out:
    return ret;
}

static int
copy_spec(ps_loader *self, const ps_loader_spec *spec)
{
    int ret = PS_OK;
    int64_t n = spec->n_fields * spec->c;

    self->spec = *spec;
    TRY(ps_array_zeroed(&self->paths, n, sizeof *self->paths));
    for (int64_t i = 0; i < n; i++) {
        size_t size = strlen(spec->paths[i]) + 1;
        TRY(ps_array(&self->paths[i], (int64_t)size, 1));
        memcpy(self->paths[i], spec->paths[i], size);
    }
    if (spec->pages) {
        TRY(ps_array(&self->pages, n, sizeof *self->pages));
        memcpy(self->pages, spec->pages, (size_t)n * sizeof *self->pages);
    }
    TRY(ps_array(&self->pixels, spec->n_slots * spec->c, plane_size(spec)));
    TRY(ps_array_zeroed(&self->slots, spec->n_slots, sizeof *self->slots));
    for (int64_t i = 0; i < spec->n_slots; i++)
        self->slots[i].pixels = self->pixels + (size_t)(i * spec->c) * plane_size(spec);
out:
    return ret;
}

int
ps_loader_init(ps_loader **self, const ps_loader_spec *spec)
{
    int ret = PS_OK;
    ps_loader *loader = NULL;
    pthread_condattr_t clock;

    *self = NULL;
    if (spec->n_fields < 0 || spec->n_fields > 100000000 || spec->c < 1 || spec->c > 64 ||
        spec->h < 1 || spec->w < 1 || spec->h > 65536 || spec->w > 65536 ||
        spec->n_slots < 1 || spec->n_slots > 65536 || spec->n_workers < 1 ||
        spec->n_workers > 1024)
        FAIL(PS_BAD_VALUE, "a loader of %lld fields of %lld x %lld x %lld in %lld slots by %d "
             "workers is not possible", (long long)spec->n_fields, (long long)spec->c,
             (long long)spec->h, (long long)spec->w, (long long)spec->n_slots, spec->n_workers);
    TRY(ps_array_zeroed(&loader, 1, sizeof *loader));
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->ready, &clock);
    pthread_condattr_destroy(&clock);
    TRY(copy_spec(loader, spec));
    TRY(start_workers(loader));
    *self = loader;
    loader = NULL;
out:
    ps_loader_free(loader);
    return ret;
}

/* With the mutex held: no worker at a sample, and none will begin one. */
static void
quiesce(ps_loader *self)
{
    self->n = self->claimed = 0;
    while (self->busy > 0)
        pthread_cond_wait(&self->ready, &self->mutex);
}

int
ps_loader_start(ps_loader *self, const int64_t *order, int64_t n, unsigned augment, uint64_t seed,
                uint64_t epoch)
{
    for (int64_t i = 0; i < n; i++)
        if (order[i] < 0 || order[i] >= self->spec.n_fields)
            return ps_fail(PS_BAD_VALUE, "field %lld is not one of %lld", (long long)order[i],
                           (long long)self->spec.n_fields);
    pthread_mutex_lock(&self->mutex);
    quiesce(self);
    for (int64_t i = 0; i < self->spec.n_slots; i++)
        self->slots[i].is_ready = 0;
    self->order = order;
    self->handed = self->released = 0;
    self->augment = augment;
    self->seed = seed;
    self->epoch = epoch;
    self->n = n;
    pthread_cond_broadcast(&self->work);
    pthread_mutex_unlock(&self->mutex);
    return PS_OK;
}

static struct timespec
time_in(double seconds)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)seconds;
    at.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

int
ps_loader_next(ps_loader *self, double timeout_s, const void **pixels)
{
    int ret = PS_OK;
    struct timespec until = time_in(timeout_s);

    pthread_mutex_lock(&self->mutex);
    if (self->handed >= self->n)
        FAIL(PS_BAD_VALUE, "the pass of %lld fields is over", (long long)self->n);
    if (self->handed - self->released >= self->spec.n_slots)
        FAIL(PS_BAD_VALUE, "all %lld slots are handed out: release some first",
             (long long)self->spec.n_slots);
    slot *at = &self->slots[self->handed % self->spec.n_slots];
    while (!at->is_ready)
        if (pthread_cond_timedwait(&self->ready, &self->mutex, &until) == ETIMEDOUT &&
            !at->is_ready) {
            ret = PS_AGAIN;
            goto out;
        }
    self->handed++;
    *pixels = at->pixels;
    if (at->status != PS_OK)
        FAIL(at->status, "%s", at->detail);
out:
    pthread_mutex_unlock(&self->mutex);
    return ret;
}

int
ps_loader_release(ps_loader *self, int64_t n)
{
    int ret = PS_OK;

    pthread_mutex_lock(&self->mutex);
    if (n < 0 || self->released + n > self->handed)
        FAIL(PS_BAD_VALUE, "%lld fields released of %lld handed out", (long long)n,
             (long long)(self->handed - self->released));
    for (int64_t i = 0; i < n; i++)
        self->slots[self->released++ % self->spec.n_slots].is_ready = 0;
    pthread_cond_broadcast(&self->work);
out:
    pthread_mutex_unlock(&self->mutex);
    return ret;
}

void
ps_loader_free(ps_loader *self)
{
    if (!self)
        return;
    pthread_mutex_lock(&self->mutex);
    self->is_closing = 1;
    pthread_cond_broadcast(&self->work);
    pthread_mutex_unlock(&self->mutex);
    for (int i = 0; i < self->n_workers; i++)
        pthread_join(self->workers[i], NULL);
    pthread_mutex_destroy(&self->mutex);
    pthread_cond_destroy(&self->work);
    pthread_cond_destroy(&self->ready);
    for (int64_t i = 0; self->paths && i < self->spec.n_fields * self->spec.c; i++)
        free(self->paths[i]);
    free(self->paths);
    free(self->pages);
    free(self->slots);
    free(self->pixels);
    free(self->workers);
    free(self);
}
