/* SPDX-License-Identifier: BSD-3-Clause */
/* What is compiled once per instruction set: the table of kernels (isa.c chooses one), and what a
 * tower's kernels are told.  The code is in the headers that all.h puts together. */
#ifndef PHENOSCALE_KERNELS_H
#define PHENOSCALE_KERNELS_H

#include "phenoscale.h"

#define PS_BLOCK 16      /* channels that lie side by side */
#define PS_TOWER_RUN 16  /* tiles at a time */
#define PS_TOWER_BAND 64 /* rows of pixels that backward works on at a time */

/* The rectangle of the padded field that holds pixels, for masks. */
typedef struct {
    int64_t top, left, h, w;
} ps_frame;

/* One tower's shape, and its weights as ps_kernels.tower_prepare lays them out; what c does not
 * fill of the last block is 0. */
typedef struct {
    int64_t h, w;     /* of the map */
    int64_t in, c;    /* channels of the map, of the tower */
    int64_t blocks;   /* of 16 channels that hold c */
    int64_t window;
    float *u1;        /* layer 1: (64 points, blocks, in, 16) */
    float *u[2];      /* layers 2, 3: (64, blocks out, blocks in, 16 in, 16 out) */
    float *back;      /* layer 2: (64, blocks in, blocks out, 16 out, 16 in) */
    float *taps;      /* layer 3: (c, 25, blocks * 16) */
    float *bias[3];   /* (blocks * 16) */
} ps_tower;

/* A strip: windows [window_y, + windows_h) x [window_x, + windows_w) of one image. */
typedef struct {
    int64_t window_y, window_x, windows_h, windows_w;
    /* out[0, n): channel k of row y of the map from column x on; 0 outside */
    void (*read)(const void *source, int64_t k, int64_t y, int64_t x, int64_t n, float *out);
    const void *source;
    float *out;            /* the tower's whole output (h / window, w / window, c) */
    int32_t *index;        /* y * window + x of each maximum in its window; NULL: not kept */
    const float *diff_out;
    int64_t executed;      /* floating-point operations, counted on the way */
} ps_tower_strip;

/* A thread's workspace.  rows ... where: forward and backward; the rest: backward. */
typedef struct {
    float *rows, *phases, *v1;      /* layer 1: see tower_first.h */
    int64_t band_rows;              /* of pixels that rows has room for, a power of two */
    float *w, *v, *m, *z;           /* layers 2, 3: see tower_forward.h */
    float *ring[2];                 /* two rows of tiles of layers 1 and 2 */
    float *best;                    /* maxima of a row of windows, */
    int32_t *where;                 /* and where they are */
    float *map[4];                  /* a1, da1, a2, da2 of a band */
    unsigned char *touched[2];      /* tiles of layers 1 and 2 that carry a gradient, */
    int32_t *list[2];               /* and their numbers */
    float *du1, *du2, *dtaps, *dbias[3]; /* sums, laid out as u1, u[0], taps and bias */
} ps_tower_work;

/* Two channels of levels, for ps_kernels.pair. */
typedef struct {
    const float *rank[2];   /* of each level */
    float per_rank;         /* 1 over the number of ranks */
    float mean[2], cut[2];  /* levels */
    float base[2];          /* added to a level gives its value, in steps */
} ps_two;
#define PS_TWO_SUMS 8

#define PS_SIZES 8  /* of grains, side by side for ps_kernels.rise, */
#define PS_RISING 4 /* and how many rows rise together */

typedef struct {
    const char *isa;
    int (*is_supported)(void);
    /* out[0, n): row y of channel k of the padded, normalised field, from column x on */
    void (*field_row)(const ps_field *field, const ps_frame *frame, int64_t k, int64_t y,
                      int64_t x, int64_t n, float *out);
    void (*tower_prepare)(ps_tower *tower, const float *param);
    void (*tower_forward)(const ps_tower *tower, ps_tower_strip *strip, ps_tower_work *work);
    /* the gradient by the parameters, of this strip alone */
    void (*tower_backward)(const ps_tower *tower, ps_tower_strip *strip, ps_tower_work *work,
                           float *grad);
    /* y[i * y_step] += weight . row i of x, for `rows` rows of n, `step` apart */
    void (*dots)(int64_t rows, const float *weight, const float *x, int64_t step, int64_t n,
                 float *y, int64_t y_step);
    void (*add)(int64_t n, float factor, const float *x, float *y); /* y += factor x */
    /* out[j * out_step + k] = sum_i d[i * d_step + j] x[i * x_step + k], i in order, of m j, n k */
    void (*outer)(int64_t rows, int64_t m, const float *d, int64_t d_step, const float *x,
                  int64_t x_step, int64_t n, float *out, int64_t out_step);
    /* rows of 2 n -> means over 2x2 (n), slopes within them (3, n) */
    void (*halve_levels)(int64_t n, const void *row, const void *next, float *mean, float *detail);
    void (*halve_floats)(int64_t n, const void *row, const void *next, float *mean, float *detail);
    void (*powers)(int64_t n, const float *a, double *squares, double *fourths); /* added to */
    double (*dot)(int64_t n, const float *a, const float *b);
    /* out[j, k] = sum over positions i of a[j, i] wave[i, k], of n k, a multiple of 16 */
    void (*transform)(int64_t positions, int64_t m, const float *a, int64_t a_step,
                      const float *wave, int64_t n, float *out, int64_t out_step);
    /* pixels by kind of their eight neighbours, added to count (10); the row's ends are left out */
    void (*patterns_levels)(int64_t n, const void *above, const void *middle, const void *below,
                            int64_t *count);
    void (*patterns_floats)(int64_t n, const void *above, const void *middle, const void *below,
                            int64_t *count);
    /* pixels at x, n - x, n/2 - x, n/2 + x, less the mean, of x in [from, end) -> their sums and
     * differences (4 parts, step apart), see planes.h */
    void (*fold)(int64_t from, int64_t end, const uint16_t *row, int64_t n, float mean, float *out,
                 int64_t step);
    /* adds a row to its columns' sums, and its squares */
    void (*columns)(int64_t n, const uint16_t *row, uint32_t *sum, uint64_t *squares);
    /* base + step * level, of 1 -> greys, of 255; of counts of 8 or 16 bits, of levels of floats,
     * and of means of either */
    void (*greys_counts)(int64_t n, const void *level, double base, double step, uint8_t *grey);
    void (*greys_levels)(int64_t n, const void *level, double base, double step, uint8_t *grey);
    void (*greys_means)(int64_t n, const void *level, double base, double step, uint8_t *grey);
    /* adds to sums: products less means; of pixels above both cuts, values x y, x x, y y, each
     * weighted by nearness of rank, and each */
    void (*pair)(int64_t n, const uint16_t *a, const uint16_t *b, const ps_two *about,
                 double *sums);
    /* pixels (w, PS_SIZES) of PS_RISING rows or 1 rise to those in the row and the column before,
     * the first row's to `beside`, at most to `most`; bit k: whether any of row k did */
    int (*rise)(int rows, int64_t w, int64_t step, const float *most, const float *beside,
                float *row);
    /* the least of a pixel, its neighbours, and those above and below */
    void (*erode)(int64_t n, const float *above, const float *row, const float *below, float *out);
    /* taps[0] in[0] + sum of taps[i] (in[-i] + in[i]); in: rows by pointer */
    void (*blur)(int64_t n, int64_t reach, const float *taps, const float *const *in, float *out);
    double (*laplacian)(int64_t n, const uint16_t *above, const uint16_t *middle,
                        const uint16_t *below); /* sum of squares */
    float (*burn)(int64_t rounds); /* 2 * 16 * 16 operations a round; for ps_fma_peak */
} ps_kernels;

extern const ps_kernels ps_kernels_avx512, ps_kernels_avx2, ps_kernels_portable;

/* The kernels for this machine, or those that PHENOSCALE_ISA names (isa.c). */
int ps_isa_choose(const ps_kernels **kernels);

/* ---- a tower's workspace (tower_space.c) ---------------------------------------------------- */

/* Tiles that hold so many windows side by side. */
int64_t ps_tower_tiles(int64_t windows, int64_t window);
/* Tiles of layer 1 as its buffers are padded, lanes of 16 at a time. */
int64_t ps_tower_padded(int64_t tiles);
/* Hand out the parts of a workspace; the number of floats it takes (space NULL: only that). */
int64_t ps_tower_carve(const ps_tower *tower, int64_t windows_h, int64_t windows_w,
                       int is_training, float *space, ps_tower_work *work);

#endif
