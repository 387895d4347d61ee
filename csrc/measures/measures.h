/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share: a channel as whole levels, and the rows of the table.
 *
 *   counts (c, h, w) --levels.c--> planes: levels, how many pixels have each
 *       --bands.c--> halved again and again: energies, and planes for patterns.c and cells.c
 *       --intensity, texture, granularity, spectrum, quality .c--> numbers of a channel
 *       --pairs.c--> numbers of two channels        --cells.c--> numbers of the nuclei
 */
#ifndef PHENOSCALE_MEASURES_H
#define PHENOSCALE_MEASURES_H

#include "internal.h"
#include "kernels/kernels.h"

#define PS_LEVELS 65536
#define PS_BANDS 6

/* One channel.  A pixel's value, as a share of what its type can hold, is base + step * level. */
typedef struct {
    int64_t h, w;
    const uint16_t *level;   /* (h, w) */
    uint16_t *own;           /* level, where the field's pixels are of another type */
    uint32_t *count;         /* (PS_LEVELS): pixels of each level */
    int min, max;            /* levels in use */
    double base, step;
    int is_counts;           /* levels are whole numbers as in the file, of 8 or 16 bits */
    double mean, variance;   /* of levels */
    float *half[PS_BANDS];   /* means over 2x2, 4x4, ... pixels, in levels; NULL: too small */
} ps_channel;

/* Memory that is handed out piece by piece, and taken back to a mark (space.c). */
typedef struct ps_block ps_block;
typedef struct {
    ps_block *last;
} ps_space;
typedef struct {
    ps_block *block;
    int64_t used;
} ps_mark;

int ps_space_take(ps_space *self, void *pointer_to_pointer, int64_t count, size_t size);
int ps_space_take_zeroed(ps_space *self, void *pointer_to_pointer, int64_t count, size_t size);
ps_mark ps_space_mark(const ps_space *self);
void ps_space_back(ps_space *self, ps_mark mark); /* what was handed out since is no more */

typedef struct {
    int64_t c, h, w;
    int nuclei;              /* the channel of the nuclei, or -1 */
    ps_channel *channels;    /* (c) */
    double *bands;           /* what bands.c found, see there */
    const ps_kernels *kernels;
    ps_space *space;         /* all of the above is in it; a group's work is taken back after it */
} ps_measured;

/* In the space, which must outlive it. */
int ps_measured_init(ps_measured *self, const ps_field *field, int nuclei, ps_space *space);

/* ---- rows ------------------------------------------------------------------------------- */

/* What leaves a number as it is. */
enum { GAIN = 1, OFFSET = 2, FLIP = 4, TURN = 8, LIGHT = GAIN | OFFSET, PLACE = FLIP | TURN };

/* Whose number it is: its name has {0}, or {0} and {1}, for the channels. */
enum { OF_CHANNEL, OF_PAIR, OF_NUCLEI };

typedef struct {
    const char *name;
    unsigned same;
    const char *undefined;   /* where it is NaN */
} ps_measure_row;

typedef struct {
    int of, n;
    const ps_measure_row *rows;
    /* The numbers (n) of channel a, or of channels a < b. */
    int (*run)(const ps_measured *field, int a, int b, double *out);
} ps_measure_group;

extern const ps_measure_group ps_group_intensity, ps_group_bands, ps_group_patterns,
    ps_group_texture, ps_group_coarse_texture, ps_group_granularity, ps_group_spectrum,
    ps_group_quality, ps_group_pairs, ps_group_coherence, ps_group_cells;

/* ---- bands.c ---------------------------------------------------------------------------- */

int ps_bands(ps_measured *self);
double ps_band_energy(const ps_measured *self, int a, int octave); /* mean square, of levels */

#endif
