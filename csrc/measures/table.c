/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of measures, and a field through it. */
#include "measures.h"


/* In the order of the numbers: all of each channel, then all of each pair, then the nuclei's. */
static const ps_measure_group *const groups[] = {
    &ps_group_intensity, &ps_group_bands, &ps_group_patterns, &ps_group_texture,
    &ps_group_coarse_texture, &ps_group_granularity, &ps_group_spectrum, &ps_group_quality,
    &ps_group_pairs, &ps_group_coherence, &ps_group_cells};
#define GROUPS (int)(sizeof groups / sizeof *groups)

/* How often a group comes in a field. */
static int64_t
times(int of, int64_t c, int nuclei)
{
    return of == OF_CHANNEL ? c : of == OF_PAIR ? c * (c - 1) / 2 : nuclei >= 0;
}

static int
check(int64_t c, int nuclei)
{
    if (c < 1 || c > PS_LIMIT_CHANNELS || nuclei < -1 || nuclei >= c)
        return ps_fail(PS_BAD_VALUE, "%lld channels have no channel %d of nuclei", (long long)c,
                       nuclei);
    return PS_OK;
}

int64_t
ps_numbers_count(int64_t c, int nuclei)
{
    int64_t n = 0;

    if (check(c, nuclei) != PS_OK)
        return 0;
    for (int g = 0; g < GROUPS; g++)
        n += times(groups[g]->of, c, nuclei) * groups[g]->n;
    return n;
}

/* The channels of the k-th time that a group comes. */
static void
channels_of(int of, int64_t c, int nuclei, int64_t k, int *a, int *b)
{
    *a = of == OF_CHANNEL ? (int)k : of == OF_NUCLEI ? nuclei : 0;
    for (; of == OF_PAIR && k >= c - 1 - *a; ++*a)
        k -= c - 1 - *a;
    *b = of == OF_PAIR ? *a + 1 + (int)k : *a;
}

int
ps_number_about(int64_t c, int nuclei, int64_t row, ps_number *about)
{
    int ret = PS_OK;

    TRY(check(c, nuclei));
    for (int g = 0; g < GROUPS && row >= 0; g++) {
        int64_t n = times(groups[g]->of, c, nuclei) * groups[g]->n;
        if (row < n) {
            const ps_measure_row *of = &groups[g]->rows[row % groups[g]->n];
            *about = (ps_number){.name = of->name, .undefined = of->undefined,
                                 .gain = !!(of->same & GAIN), .offset = !!(of->same & OFFSET),
                                 .flip = !!(of->same & FLIP), .turn = !!(of->same & TURN)};
            channels_of(groups[g]->of, c, nuclei, row / groups[g]->n, &about->a, &about->b);
            goto out;
        }
        row -= n;
    }
    FAIL(PS_BAD_VALUE, "there is no number %lld", (long long)row);
out:
    return ret;
}

int
ps_numbers(const ps_field *field, int nuclei, double *out)
{
    int ret = PS_OK, a = 0, b = 0;
    ps_space space = {NULL};
    ps_measured self;

    TRY(check(field->c, nuclei));
    if (field->h < 1 || field->w < 1)
        FAIL(PS_BAD_VALUE, "a field without pixels has no measures");
    if (field->dtype == PS_FLOAT32)
        TRY(ps_check_finite(field->c * field->h * field->w, field->pixels, "pixels of a field"));
    TRY(ps_measured_init(&self, field, nuclei, &space));
    ps_mark mark = ps_space_mark(&space);
    for (int g = 0; g < GROUPS; g++)
        for (int64_t k = 0; k < times(groups[g]->of, field->c, nuclei); k++) {
            channels_of(groups[g]->of, field->c, nuclei, k, &a, &b);
            TRY(groups[g]->run(&self, a, b, out));
            out += groups[g]->n;
            ps_space_back(&space, mark);
        }
out:
    ps_space_back(&space, (ps_mark){NULL, 0});
    return ret;
}
