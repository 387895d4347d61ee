/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads fields ahead of the network: worker threads decode and augment into a ring of slots, the
 * caller takes them in order.
 *
 *   claimed ->  [ slot ][ slot ][ slot ][ slot ]  -> handed -> released, and claimed again
 *
 * Sample j of the pass lives in slot j % n_slots; a worker may claim j once j - n_slots has been
 * released.  A field that cannot be read fills its slot with the error. */
#include "field.h"
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    int is_ready, status;
    char *pixels; /* (c, h, w) */
    char detail[PS_DETAIL_SIZE];
} slot;

struct ps_loader {
    ps_loader_spec spec; /* its arrays are these copies: */
    char **files;
    ps_plane *planes;
    int64_t *ends;
    slot *slots;
    char *pixels; /* of all slots */
    pthread_t *workers;
    int n_workers;
    pid_t process; /* where the workers are */
    pthread_mutex_t mutex;
    pthread_cond_t work, ready;
    /* under the mutex: */
    int64_t *order, *samples; /* (n), copies: the caller's may change meanwhile */
    int64_t n, claimed, handed, released;
    int busy, is_closing; /* workers at a sample */
    unsigned augment;
    uint64_t seed, epoch;
};

static int64_t
plane_size(const ps_loader_spec *spec)
{
    return spec->h / spec->bin * (spec->w / spec->bin) * (int64_t)spec->dtype;
}

static int
read_field(const ps_loader *self, ps_field_reader *reader, int64_t sample, char *pixels,
           char *spare)
{
    int ret = PS_OK;
    const ps_loader_spec *spec = &self->spec;
    int64_t number = self->samples ? self->samples[sample] : sample;
    ps_chance chance = {self->seed, self->epoch, (uint64_t)number};
    int64_t shape[] = {spec->c, spec->h / spec->bin, spec->w / spec->bin};

    TRY(ps_field_reader_read(reader, self->order[sample], pixels));
    TRY(ps_augment(self->augment, &chance, shape, spec->dtype, pixels, spare));
out:
    return ret;
}

static void *
work(void *argument)
{
    ps_loader *self = argument;
    void *spare = NULL;
    ps_field_reader *reader = NULL;
    int no_memory = ps_array(&spare, plane_size(&self->spec), 1);

    if (no_memory == PS_OK)
        no_memory = ps_field_reader_init(&reader, &self->spec);

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
        int status = no_memory ? no_memory : read_field(self, reader, sample, at->pixels, spare);
        pthread_mutex_lock(&self->mutex);
        at->status = status;
        if (status != PS_OK)
            strcpy(at->detail, ps_error_detail());
        at->is_ready = 1;
        self->busy--;
        pthread_cond_broadcast(&self->ready);
    }
    pthread_mutex_unlock(&self->mutex);
    ps_field_reader_free(reader);
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

/* Every plane lies in a file, and every channel has one at least. */
static int
check_planes(const ps_loader_spec *spec)
{
    int ret = PS_OK;
    int64_t n = spec->n_fields * spec->c, n_planes = 0;

    for (int64_t i = 0; i < n; n_planes = spec->ends[i++])
        if (spec->ends[i] <= n_planes)
            FAIL(PS_BAD_VALUE, "channel %lld of field %lld has no plane",
                 (long long)(i % spec->c), (long long)(i / spec->c));
    for (int64_t i = 0; i < n_planes; i++)
        if (spec->planes[i].file < 0 || spec->planes[i].file >= spec->n_files)
            FAIL(PS_BAD_VALUE, "plane %lld lies in file %lld of %lld", (long long)i,
                 (long long)spec->planes[i].file, (long long)spec->n_files);
out:
    return ret;
}

static int
copy_spec(ps_loader *self, const ps_loader_spec *spec)
{
    int ret = PS_OK, row;
    int64_t n = spec->n_fields * spec->c, n_planes = n ? spec->ends[n - 1] : 0;

    self->spec = *spec;
    TRY(ps_array_zeroed(&self->files, spec->n_files, sizeof *self->files));
    for (int64_t i = 0; i < spec->n_files; i++) {
        size_t size = strlen(spec->files[i]) + 1;
        TRY(ps_array(&self->files[i], (int64_t)size, 1));
        memcpy(self->files[i], spec->files[i], size);
    }
    TRY(ps_array(&self->planes, n_planes, sizeof *self->planes));
    memcpy(self->planes, spec->planes, (size_t)n_planes * sizeof *self->planes);
    TRY(ps_array(&self->ends, n, sizeof *self->ends));
    memcpy(self->ends, spec->ends, (size_t)n * sizeof *self->ends);
    self->spec.files = (const char *const *)self->files;
    self->spec.planes = self->planes;
    self->spec.ends = self->ends;
    if (spec->z) { /* the table's own name outlives the caller's */
        TRY(ps_z_find(spec->z, &row));
        self->spec.z = ps_z_name(row);
    }
    TRY(ps_array(&self->pixels, spec->n_slots * spec->c * plane_size(spec), 1));
    TRY(ps_array_zeroed(&self->slots, spec->n_slots, sizeof *self->slots));
    for (int64_t i = 0; i < spec->n_slots; i++)
        self->slots[i].pixels = self->pixels + i * spec->c * plane_size(spec);
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
    if (spec->n_fields < 0 || spec->n_fields > PS_LIMIT_FIELDS || spec->c < 1 ||
        spec->c > PS_LIMIT_CHANNELS || spec->h < 1 || spec->w < 1 || spec->h > PS_LIMIT_SIDE ||
        spec->w > PS_LIMIT_SIDE || spec->n_slots < 1 || spec->n_slots > PS_LIMIT_SLOTS ||
        spec->n_workers < 1 || spec->n_workers > PS_LIMIT_THREADS || spec->bin < 1 ||
        spec->bin > PS_LIMIT_BIN || spec->h < spec->bin || spec->w < spec->bin)
        FAIL(PS_BAD_VALUE, "a loader of %lld fields of %lld x %lld x %lld, bin %lld, in %lld slots "
             "by %d workers is not possible", (long long)spec->n_fields, (long long)spec->c,
             (long long)spec->h, (long long)spec->w, (long long)spec->bin,
             (long long)spec->n_slots, spec->n_workers);
    TRY(check_planes(spec));
    TRY(ps_array_zeroed(&loader, 1, sizeof *loader));
    loader->process = getpid();
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

static int
check_process(const ps_loader *self)
{
    if (self->process != getpid())
        return ps_fail(PS_BAD_VALUE, "this loader was made before the process was forked: its "
                       "threads are not here, make another");
    return PS_OK;
}

/* With the mutex held and all workers at rest; what is given away is set to what was there. */
static void
begin_pass(ps_loader *self, int64_t **order, int64_t **samples, int64_t n)
{
    int64_t *old[2] = {self->order, self->samples};

    for (int64_t i = 0; i < self->spec.n_slots; i++)
        self->slots[i].is_ready = 0;
    self->order = *order;
    self->samples = *samples;
    *order = old[0];
    *samples = old[1];
    self->handed = self->released = 0;
    self->n = n;
}

static int
copy_numbers(int64_t **copy, const int64_t *numbers, int64_t n)
{
    int ret = ps_array(copy, n, sizeof **copy);

    if (ret == PS_OK && n > 0)
        memcpy(*copy, numbers, (size_t)n * sizeof **copy);
    return ret;
}

int
ps_loader_start(ps_loader *self, const int64_t *order, const int64_t *samples, int64_t n,
                unsigned augment, uint64_t seed, uint64_t epoch)
{
    int ret = PS_OK;
    int64_t *fields = NULL, *numbers = NULL;

    TRY(check_process(self));
    TRY(copy_numbers(&fields, order, n));
    if (samples)
        TRY(copy_numbers(&numbers, samples, n));
    for (int64_t i = 0; i < n; i++) /* of the copy, which nobody changes after the look */
        if (fields[i] < 0 || fields[i] >= self->spec.n_fields)
            FAIL(PS_BAD_VALUE, "field %lld is not one of %lld", (long long)fields[i],
                 (long long)self->spec.n_fields);
    pthread_mutex_lock(&self->mutex);
    quiesce(self);
    begin_pass(self, &fields, &numbers, n);
    self->augment = augment;
    self->seed = seed;
    self->epoch = epoch;
    pthread_cond_broadcast(&self->work);
    pthread_mutex_unlock(&self->mutex);
out:
    free(fields);
    free(numbers);
    return ret;
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

    if (check_process(self) != PS_OK)
        return PS_BAD_VALUE;
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

    if (check_process(self) != PS_OK)
        return PS_BAD_VALUE;
    pthread_mutex_lock(&self->mutex);
    if (n < 0 || n > self->handed - self->released)
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
    if (self->process == getpid()) { /* else the mutex may be locked for ever */
        pthread_mutex_lock(&self->mutex);
        self->is_closing = 1;
        pthread_cond_broadcast(&self->work);
        pthread_mutex_unlock(&self->mutex);
        for (int i = 0; i < self->n_workers; i++)
            pthread_join(self->workers[i], NULL);
        pthread_mutex_destroy(&self->mutex);
        pthread_cond_destroy(&self->work);
        pthread_cond_destroy(&self->ready);
    }
    for (int64_t i = 0; self->files && i < self->spec.n_files; i++)
        free(self->files[i]);
    free(self->files);
    free(self->planes);
    free(self->ends);
    free(self->order);
    free(self->samples);
    free(self->slots);
    free(self->pixels);
    free(self->workers);
    free(self);
}
