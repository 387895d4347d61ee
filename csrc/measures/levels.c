/* SPDX-License-Identifier: BSD-3-Clause */
/* A field's counts -> whole levels, and how many pixels have each.
 *
 * Whole numbers are levels as they are.  Floats are brought to 65,536 even levels from the least
 * to the largest of their plane, so that everything after this works on whole numbers. */
#include "measures.h"

#include <math.h>

#define TABLES 4 /* neighbours often have one level: they are counted apart */

static int
count_levels(ps_channel *self, ps_space *space)
{
    int ret = PS_OK;
    int64_t n = self->h * self->w, i = 0;
    uint32_t *tables = NULL;

    TRY(ps_space_take(space, &self->count, PS_LEVELS, sizeof *self->count));
    ps_mark mark = ps_space_mark(space);
    TRY(ps_space_take_zeroed(space, &tables, TABLES * PS_LEVELS, sizeof *tables));
    for (; i + TABLES <= n; i += TABLES)
        for (int k = 0; k < TABLES; k++)
            tables[k * PS_LEVELS + self->level[i + k]]++;
    for (; i < n; i++)
        tables[self->level[i]]++;
    for (int level = 0; level < PS_LEVELS; level++)
        self->count[level] = tables[level] + tables[PS_LEVELS + level] +
                             tables[2 * PS_LEVELS + level] + tables[3 * PS_LEVELS + level];
    ps_space_back(space, mark);
out:
    return ret;
}

static void
sum_levels(ps_channel *self)
{
    double sum = 0, squares = 0, n = (double)(self->h * self->w);

    self->min = PS_LEVELS;
    for (int level = 0; level < PS_LEVELS; level++)
        if (self->count[level]) {
            self->min = level < self->min ? level : self->min;
            self->max = level;
            sum += (double)level * self->count[level];
        }
    self->mean = sum / n;
    for (int level = self->min; level <= self->max; level++)
        squares += (level - self->mean) * (level - self->mean) * self->count[level];
    self->variance = squares / n;
}

static void
take_bytes(ps_channel *self, const void *pixels)
{
    const uint8_t *in = pixels;

    for (int64_t i = 0; i < self->h * self->w; i++)
        self->own[i] = in[i];
    self->step = 1 / 255.0;
}

static void
take_floats(ps_channel *self, const void *pixels)
{
    const float *in = pixels;
    float min = in[0], max = in[0];

    for (int64_t i = 0; i < self->h * self->w; i++) {
        min = in[i] < min ? in[i] : min;
        max = in[i] > max ? in[i] : max;
    }
    self->base = min;
    self->step = max > min ? ((double)max - min) / (PS_LEVELS - 1) : 1;
    for (int64_t i = 0; i < self->h * self->w; i++)
        self->own[i] = (uint16_t)(((double)in[i] - self->base) / self->step + 0.5);
}

static int
take_channel(ps_channel *self, const ps_field *field, int64_t k, ps_space *space)
{
    int ret = PS_OK;
    const char *pixels = (const char *)field->pixels + k * field->h * field->w * field->dtype;

    self->is_counts = field->dtype != PS_FLOAT32;
    self->h = field->h;
    self->w = field->w;
    if (field->dtype == PS_UINT16) {
        self->level = (const uint16_t *)(const void *)pixels;
        self->step = 1 / 65535.0;
    } else {
        TRY(ps_space_take(space, &self->own, self->h * self->w, sizeof *self->own));
        self->level = self->own;
        (field->dtype == PS_UINT8 ? take_bytes : take_floats)(self, pixels);
    }
    TRY(count_levels(self, space));
    sum_levels(self);
out:
    return ret;
}

int
ps_measured_init(ps_measured *self, const ps_field *field, int nuclei, ps_space *space)
{
    int ret = PS_OK;

    *self = (ps_measured){.c = field->c, .h = field->h, .w = field->w, .nuclei = nuclei,
                          .space = space};
    TRY(ps_space_take_zeroed(space, &self->channels, self->c, sizeof *self->channels));
    TRY(ps_isa_choose(&self->kernels));
    for (int64_t k = 0; k < self->c; k++)
        TRY(take_channel(&self->channels[k], field, k, space));
    TRY(ps_bands(self));
out:
    return ret;
}
