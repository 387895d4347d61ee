/* SPDX-License-Identifier: BSD-3-Clause */
/* How much detail a channel has at 1, 2, 4 ... pixels, how spiky it is, and how far two channels
 * share it: Haar's wavelet (Haar 1910; Mallat 1989), all channels side by side.
 *
 *   (h, w) --2x2--> (h/2, w/2) --2x2--> ...      what does not fill 2x2 at the edge is left out
 *
 * Detail is the three slopes within each 2x2.  Its root mean square is the band's energy, its
 * kurtosis tells a few bright spots (large) from an even grain (3 and less), and its correlation
 * between two channels is their coherence in the band. */
#include "measures.h"

#include <math.h>

#define SMALL "the field is too small for this band"
#define NO_DETAIL "no detail in this band"
#define ENERGY(k) {"Bands_RMS_" #k "_{0}", OFFSET | PLACE, SMALL}
#define KURTOSIS(k) {"Bands_Kurtosis_" #k "_{0}", LIGHT | PLACE, NO_DETAIL}
#define COHERENCE(k) {"Bands_Coherence_" #k "_{0}_{1}", LIGHT | PLACE, NO_DETAIL}

static const ps_measure_row rows[] = {
    ENERGY(1), ENERGY(2), ENERGY(3), ENERGY(4), ENERGY(5), ENERGY(6),
    KURTOSIS(1), KURTOSIS(2), KURTOSIS(3), KURTOSIS(4), KURTOSIS(5), KURTOSIS(6)};
static const ps_measure_row pair_rows[] = {COHERENCE(1), COHERENCE(2), COHERENCE(3),
                                           COHERENCE(4), COHERENCE(5), COHERENCE(6)};

/* Sums of one octave: squares (c), fourth powers (c), products (c, c), and how many details. */
static double *
sums_of(const ps_measured *self, int octave)
{
    return self->bands + octave * (2 * self->c + self->c * self->c + 1);
}

static int64_t
slot(const ps_measured *self, int64_t a, int64_t b)
{
    return 2 * self->c + a * self->c + b;
}

/* One row of 2x2 of all channels; detail has room for (c, 3, w / 2). */
static void
halve_row(ps_measured *self, int octave, int64_t y, int64_t w, float *detail)
{
    const ps_kernels *kernels = self->kernels;
    double *sums = sums_of(self, octave);
    int64_t n = w / 2;

    for (int64_t k = 0; k < self->c; k++) {
        ps_channel *at = &self->channels[k];
        float *out = at->half[octave] + y * n, *own = detail + k * 3 * n;
        if (octave == 0)
            kernels->halve_levels(n, at->level + 2 * y * w, at->level + (2 * y + 1) * w, out, own);
        else
            kernels->halve_floats(n, at->half[octave - 1] + 2 * y * w,
                                  at->half[octave - 1] + (2 * y + 1) * w, out, own);
        kernels->powers(3 * n, own, &sums[k], &sums[self->c + k]);
        for (int64_t other = 0; other < k; other++)
            sums[slot(self, other, k)] += kernels->dot(3 * n, detail + other * 3 * n, own);
    }
}

int
ps_bands(ps_measured *self)
{
    int ret = PS_OK;
    int64_t h = self->h, w = self->w;
    float *detail = NULL;

    TRY(ps_space_take_zeroed(self->space, &self->bands,
                             PS_BANDS * (2 * self->c + self->c * self->c + 1),
                             sizeof *self->bands));
    TRY(ps_space_take(self->space, &detail, self->c * 3 * (w / 2), sizeof *detail));
    for (int octave = 0; octave < PS_BANDS && h > 1 && w > 1; octave++, h /= 2, w /= 2) {
        for (int64_t k = 0; k < self->c; k++)
            TRY(ps_space_take(self->space, &self->channels[k].half[octave], h / 2 * (w / 2),
                              sizeof(float)));
        for (int64_t y = 0; y < h / 2; y++)
            halve_row(self, octave, y, w, detail);
        sums_of(self, octave)[slot(self, self->c, 0)] = (double)(h / 2 * (w / 2));
    }
out:
    return ret;
}

double
ps_band_energy(const ps_measured *self, int a, int octave)
{
    const double *sums = sums_of(self, octave);

    return sums[a] / sums[slot(self, self->c, 0)];
}

static int
run(const ps_measured *field, int a, int b, double *out)
{
    (void)b;
    for (int octave = 0; octave < PS_BANDS; octave++) {
        const double *sums = sums_of(field, octave);
        double blocks = sums[slot(field, field->c, 0)], squares = sums[a];
        double energy = blocks ? ps_band_energy(field, a, octave) : NAN;
        out[octave] = field->channels[a].step * sqrt(energy);
        out[PS_BANDS + octave] = squares > 0 ? 3 * blocks * sums[field->c + a] / squares / squares
                                             : NAN;
    }
    return PS_OK;
}

static int
run_pair(const ps_measured *field, int a, int b, double *out)
{
    for (int octave = 0; octave < PS_BANDS; octave++) {
        const double *sums = sums_of(field, octave);
        double both = sums[a] * sums[b];
        out[octave] = both > 0 ? sums[slot(field, a, b)] / sqrt(both) : NAN;
    }
    return PS_OK;
}

const ps_measure_group ps_group_bands = {OF_CHANNEL, 2 * PS_BANDS, rows, run};
const ps_measure_group ps_group_coherence = {OF_PAIR, PS_BANDS, pair_rows, run_pair};
