/* SPDX-License-Identifier: BSD-3-Clause */
/* One field from its files, on a thread of the loader:
 *
 *   planes (file, page, sample) --image.c--> (h, w) --z--> a channel --bin--> (h / bin, w / bin)
 *
 * A page with several samples a pixel is decoded once for all channels that lie in it. */
#include "field.h"
#include "internal.h"

#include <stdlib.h>

struct ps_field_reader {
    const ps_loader_spec *spec;
    int z;              /* row of the table of projections */
    char *plane, *sum_plane; /* (h, w): one on its way; the projection, before it is binned */
    double *sums;       /* (h, w), where z wants them */
    char *samples;      /* (n_samples, h, w) of the page below */
    int64_t room;       /* planes that they may be */
    int64_t file, page, n_samples; /* file -1: none */
};

int
ps_field_reader_init(ps_field_reader **self, const ps_loader_spec *spec)
{
    int ret = PS_OK;
    int64_t pixels = spec->h * spec->w;
    ps_field_reader *made = NULL;

    *self = NULL;
    TRY(ps_array_zeroed(&made, 1, sizeof *made));
    made->spec = spec;
    made->file = -1;
    if (spec->z)
        TRY(ps_z_find(spec->z, &made->z));
    TRY(ps_array(&made->plane, pixels, spec->dtype));
    if (spec->bin > 1)
        TRY(ps_array(&made->sum_plane, pixels, spec->dtype));
    if (spec->z && ps_z_wants_sums(made->z))
        TRY(ps_array(&made->sums, pixels, sizeof *made->sums));
    *self = made;
    made = NULL;
out:
    ps_field_reader_free(made);
    return ret;
}

void
ps_field_reader_free(ps_field_reader *self)
{
    if (!self)
        return;
    free(self->plane);
    free(self->sum_plane);
    free(self->sums);
    free(self->samples);
    free(self);
}

static int
check_size(const ps_loader_spec *spec, const ps_plane *at, const ps_image_info *info)
{
    if (info->height != spec->h || info->width != spec->w)
        return ps_fail(PS_BAD_VALUE, "%s is %lld x %lld pixels, the other fields are %lld x %lld "
                       "(height x width): remove it, or export all fields at one size",
                       spec->files[at->file], (long long)info->height, (long long)info->width,
                       (long long)spec->h, (long long)spec->w);
    return PS_OK;
}

/* Of every plane, not of the first of its page alone: a file may have lost samples since the
 * survey. */
static int
check_sample(const ps_loader_spec *spec, const ps_plane *at, int64_t samples)
{
    if (at->sample < 0 || at->sample >= samples)
        return ps_fail(PS_BAD_VALUE, "%s has %lld samples a pixel, counted from 0: there is no "
                       "sample %lld", spec->files[at->file], (long long)samples,
                       (long long)at->sample);
    return PS_OK;
}

/* All samples of a page, kept for the channels to come. */
static int
read_samples(ps_field_reader *self, const ps_plane *at, ps_image *image, int64_t n)
{
    int ret = PS_OK;
    const ps_loader_spec *spec = self->spec;

    self->file = -1;
    if (n > self->room) {
        free(self->samples);
        self->samples = NULL;
        self->room = 0;
        TRY(ps_array(&self->samples, n * spec->h * spec->w, spec->dtype));
        self->room = n;
    }
    TRY(ps_image_read(image, spec->dtype, self->samples));
    self->file = at->file;
    self->page = at->page;
    self->n_samples = n;
out:
    return ret;
}

/* One plane: into `room`, or where it lies already. */
static int
read_plane(ps_field_reader *self, const ps_plane *at, char *room, const char **plane)
{
    int ret = PS_OK;
    const ps_loader_spec *spec = self->spec;
    size_t bytes = (size_t)(spec->h * spec->w) * spec->dtype;
    ps_image *image = NULL;

    *plane = room;
    if (self->file != at->file || self->page != at->page) {
        TRY(ps_image_open(&image, spec->files[at->file], at->page));
        TRY(check_size(spec, at, ps_image_about(image)));
        if (ps_image_about(image)->samples == 1) {
            TRY(check_sample(spec, at, 1));
            TRY(ps_image_read(image, spec->dtype, room));
            goto out;
        }
        TRY(read_samples(self, at, image, ps_image_about(image)->samples));
    }
    TRY(check_sample(spec, at, self->n_samples));
    *plane = self->samples + (size_t)at->sample * bytes;
out:
    ps_image_close(image);
    return ret;
}

/* The planes [first, end) of a channel -> to (h / bin, w / bin). */
static int
read_channel(ps_field_reader *self, int64_t first, int64_t end, char *to)
{
    int ret = PS_OK;
    const ps_loader_spec *spec = self->spec;
    int64_t n = spec->h * spec->w;
    const char *plane = NULL;
    char *whole = spec->bin > 1 ? self->sum_plane : to;

    if (end - first > 1 && !spec->z)
        FAIL(PS_BAD_VALUE, "%s is one of %lld planes of a channel: say how they become one",
             spec->files[spec->planes[first].file], (long long)(end - first));
    for (int64_t i = first; i < end; i++) {
        TRY(read_plane(self, &spec->planes[i], i == first ? whole : self->plane, &plane));
        ps_z_add(self->z, spec->dtype, n, i - first, plane, whole,
                 end - first > 1 ? self->sums : NULL);
    }
    if (end - first > 1)
        ps_z_end(self->z, spec->dtype, n, end - first, self->sums, whole);
    if (spec->bin > 1)
        ps_bin(spec->dtype, spec->h, spec->w, spec->bin, whole, to);
out:
    return ret;
}

int
ps_field_reader_read(ps_field_reader *self, int64_t field, char *pixels)
{
    int ret = PS_OK;
    const ps_loader_spec *spec = self->spec;
    size_t bytes = (size_t)(spec->h / spec->bin * (spec->w / spec->bin)) * spec->dtype;

    self->file = -1;
    for (int64_t k = field * spec->c; k < (field + 1) * spec->c; k++, pixels += bytes)
        TRY(read_channel(self, k ? spec->ends[k - 1] : 0, spec->ends[k], pixels));
out:
    return ret;
}
