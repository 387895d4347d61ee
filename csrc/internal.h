/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the library share and users of the library never see. */
#ifndef PHENOSCALE_INTERNAL_H
#define PHENOSCALE_INTERNAL_H

#include "phenoscale.h"

/* ---- errors and memory (error.c) -------------------------------------------------------- */

#define PS_DETAIL_SIZE 1024

#define FAIL(status, ...)                     \
    do {                                      \
        ret = ps_fail((status), __VA_ARGS__); \
        goto out;                             \
    } while (0)
#define TRY(call)               \
    do {                        \
        ret = (call);           \
        if (ret != PS_OK)       \
            goto out;           \
    } while (0)

int ps_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An array of `count` values of `size` bytes, aligned to 64; freed with free(). */
int ps_array(void *pointer_to_pointer, int64_t count, size_t size);
int ps_array_zeroed(void *pointer_to_pointer, int64_t count, size_t size);

uint64_t ps_random_bits(uint64_t a, uint64_t b, uint64_t c, uint64_t d);
double ps_random_unit(uint64_t a, uint64_t b, uint64_t c, uint64_t d); /* [0, 1) */

/* ---- z-stacks, plane by plane (reduce.c) ----------------------------------------------------- */

int ps_z_find(const char *name, int *row);
int ps_z_wants_sums(int row); /* whether the two below need room for a sum a pixel */
/* Plane `number` (0, 1, ...) of n pixels into out. */
void ps_z_add(int row, ps_dtype dtype, int64_t n, int64_t number, const void *plane, void *out,
              double *sums);
void ps_z_end(int row, ps_dtype dtype, int64_t n, int64_t planes, const double *sums, void *out);

/* ---- one field from its files (field.c), for a thread of the loader ------------------------- */

typedef struct ps_field_reader ps_field_reader;

int ps_field_reader_init(ps_field_reader **self, const ps_loader_spec *spec); /* borrowed */
int ps_field_reader_read(ps_field_reader *self, int64_t field, char *pixels); /* as the loader's */
void ps_field_reader_free(ps_field_reader *self);

/* ---- the instruction set (isa.c) ------------------------------------------------------------ */

typedef struct ps_kernels ps_kernels; /* kernels.h */

/* The kernels for this machine, or those that PHENOSCALE_ISA names. */
int ps_isa_choose(const ps_kernels **kernels);

/* ---- oneDNN (dnn.c) --------------------------------------------------------------------- */

typedef struct ps_dnn ps_dnn;           /* the engine; a stream and a scratchpad a thread */
typedef struct ps_dnn_conv ps_dnn_conv; /* one convolution, forward and backward */

typedef struct {
    int64_t h, w, in, out, kernel;
    int is_relu, is_training, wants_diff_source;
} ps_dnn_conv_shape;

void ps_dnn_limit(const char *isa); /* before anything else: use no more than that */
int ps_dnn_init(ps_dnn **self, int threads);
int ps_dnn_finish(ps_dnn *self); /* after the last convolution: allocate the scratchpads */
void ps_dnn_free(ps_dnn *self);
int64_t ps_dnn_memory(const ps_dnn *self);
int ps_dnn_conv_init(ps_dnn_conv **self, ps_dnn *dnn, const ps_dnn_conv_shape *shape);
void ps_dnn_conv_free(ps_dnn_conv *self);
int ps_dnn_conv_prepare(ps_dnn_conv *self, int thread, float *weights);
int ps_dnn_conv_forward(ps_dnn_conv *self, int thread, float *source, float *bias, float *out);
int ps_dnn_conv_backward(ps_dnn_conv *self, int thread, float *source, float *diff_out,
                         float *diff_source, float *diff_weights, float *diff_bias);

/* ---- layers (layer_*.c), built and run by net.c and step.c ------------------------------- */

#define PS_MAX_SOURCES 16
#define PS_MAX_OPTIONS 5
#define PS_MAX_LAYERS 512

typedef struct {
    const char *name;
    int64_t min, max, fallback; /* fallback below min: must be given */
} ps_option;

typedef struct ps_layer ps_layer;

/* What a layer needs for one image (or, when dense, for some rows). */
typedef struct {
    int thread;                       /* whose private copies may be used */
    int64_t strip;                    /* which part of the image, of the layer's n_strips */
    float *space;                     /* n_space floats of that thread */
    const ps_field *field;            /* where all begins */
    float *source[PS_MAX_SOURCES];    /* outputs of the layers it reads (h, w, c) */
    float *out;                       /* (h, w, c) */
    int32_t *index;                   /* n_index numbers kept from forward to backward */
    float *diff_out;                  /* gradient by the output; may be overwritten */
    float *diff_source[PS_MAX_SOURCES]; /* to be written; NULL where nobody wants it */
    float *grad;                      /* gradient by this layer's parameters, to be written */
    int64_t executed;                 /* floating-point operations, counted by the layer */
} ps_work;

/* Weights and their biases: two tensors of a layer. */
typedef struct {
    const char *name; /* after the layer's, with a dot; or "" */
    int64_t n_weight, n_bias, fan_in, fan_out, shape[4];
    int n_shape;
} ps_pair;

#define PS_MAX_PAIRS 3

typedef struct {
    const char *name;
    ps_option options[PS_MAX_OPTIONS];
    int min_sources, max_sources;
    int reads_planes; /* of a pyramid or the field itself, where others read maps */
    int (*init)(ps_layer *self, ps_net *net);  /* output shape, parameters, workspace */
    int (*prepare)(ps_layer *self, int thread); /* after the parameters changed; may be NULL */
    int (*forward)(ps_layer *self, ps_work *work);
    int (*backward)(ps_layer *self, ps_work *work); /* NULL: no gradient passes */
    void (*free)(ps_layer *self);
} ps_layer_type;

struct ps_layer {
    const ps_layer_type *type;
    char name[48];
    int64_t option[PS_MAX_OPTIONS];
    int n_sources, source[PS_MAX_SOURCES]; /* numbers of layers above */
    int64_t h, w, c, n_out;                /* shape of the output, and its size */
    int64_t stride;                        /* pixels of the field a cell of the map stands for */
    int is_planar;                         /* out is planes (c, h, w), not a map */
    int64_t n_index, cost;                 /* kept integers; about how many operations */
    int64_t n_strips, n_space;             /* parts of an image; workspace of a thread */
    ps_pair pair[PS_MAX_PAIRS];            /* parameters, in order */
    int n_pairs;
    int64_t n_param;
    int64_t param_at;     /* place in the flat arrays */
    int64_t strip_at;     /* place of the gradients of strips 1, 2, ... behind an image's own */
    float *param;         /* there */
    int wants_gradient;   /* parameters here or above */
    int share;            /* PS_SHARE_...: where evidence.c looks */
    int level, last_use;  /* wave in which it runs, wave of its last reader */
    int64_t out_at, index_at, diff_at; /* places in an image's arenas */
    void *state;          /* of the type */
};

/* Of a layer: before those whose outputs are shared out, one of those, or after them. */
enum { PS_SHARE_AFTER, PS_SHARE_HERE, PS_SHARE_BEFORE };

extern const ps_layer_type ps_layer_input, ps_layer_pyramid, ps_layer_tower, ps_layer_conv,
    ps_layer_pool, ps_layer_merge, ps_layer_gap, ps_layer_dense;

/* The rectangle of the padded field that holds pixels, for masks. */
typedef struct {
    int64_t top, left, h, w;
} ps_frame;

/* Level `level` (from 1) of a pyramid's planes (layer_pyramid.c), and its shape. */
const float *ps_pyramid_level(const ps_layer *pyramid, const float *out, int64_t level,
                              int64_t *h, int64_t *w);

/* ---- the dense head on rows (layer_dense.c) --------------------------------------------- */

/* One dense layer's part of a step: X (batch, n) and D (batch, m) are the factors of its
 * gradient D^T X, kept over the whole step. */
typedef struct {
    ps_layer *layer;
    const ps_kernels *kernels;
    int64_t n, m;
    float *x, *d;
} ps_dense;

void ps_dense_forward(const ps_dense *self, int threads, int64_t rows, const float *x, float *y);
void ps_dense_backward(const ps_dense *self, int threads, int64_t rows, const float *d, float *dx);
/* The gradient by the weights, of `rows` images in order, to be used part by part: numbers
 * [at, at + n) of it, by several threads at a time; and that by the biases. */
typedef void ps_dense_use(void *context, int64_t at, int64_t n, const float *gradient);
void ps_dense_product(const ps_dense *self, int threads, int64_t rows, ps_dense_use *use,
                      void *context);
void ps_dense_bias(const ps_dense *self, int64_t rows, float *gradient);
/* norm^2 of the product by rows i % parts == part, to squares[i]. */
int ps_dense_squares(const ps_dense *self, const ps_net_plan *plan, int64_t rows, int64_t part,
                     int64_t parts, double *squares);

/* ---- the net (describe.c reads it, net.c and arena.c build it, step.c,
 * head.c and gradient.c run it) --- */

#define PS_TREE_LEVELS 40

struct ps_net {
    ps_net_plan plan;
    int n_layers, n_field_layers, n_levels, n_dense;
    ps_layer *layers;  /* field layers first, then the dense ones */
    int *wave;         /* field layers by level, dearest first */
    int *wave_start;   /* (n_levels + 1) */
    ps_frame frame;
    ps_slice *slices;
    int64_t claimed;                      /* parameters of the layers made so far */
    int64_t n_slices, count, field_count; /* parameters: all, of the field layers */
    float *parameters, *gradients;        /* gradients: of the field layers, unless forms_dense */
    const ps_kernels *kernels;
    ps_dnn *dnn;
    int64_t lanes, kept;               /* images at a time; images whose outputs are kept */
    int64_t max_rows;                  /* of the head */
    int64_t out_size, index_size, diff_size; /* of one image's arenas */
    float *outputs, *diffs;            /* (kept, out_size), (lanes, diff_size) */
    int32_t *indices;                  /* (kept, index_size) */
    ps_field *fields;                  /* (kept): borrowed from forward to backward */
    float *spaces;                     /* (threads, space_size) */
    int64_t space_size, strips_size;   /* strips_size: of lane_gradients beyond field_count */
    ps_dense *dense;                   /* (n_dense) */
    float *logits, *diff_rows;         /* (batch, classes), (images, n of the first dense) */
    float *lane_gradients[64], *tree[PS_TREE_LEVELS];
    int64_t first;                     /* of the step's images: where this process's share begins */
    int64_t done, ahead;               /* images of it: through backward, through forward */
    int is_head_back;                  /* those ahead: through the head's backward */
    int64_t rows;                      /* images whose gradient is there to be used */
    int64_t bytes, executed;
};

extern const ps_layer_type *const ps_layer_types[]; /* ends with NULL */
int ps_net_claim(ps_net *self, ps_layer *layer, const ps_pair *pair); /* against the limit */
int ps_describe(ps_net *self, const char *description);
int ps_plan_arenas(ps_net *self);
int ps_make_arrays(ps_net *self);
const ps_layer *ps_net_last_field_layer(const ps_net *self);
void ps_mark_shares(ps_net *self);
/* Rows [at, at + n) of the head: its input from slots [0, n), its logits, losses and gradients of
 * the rows ahead, down to diff_rows. */
void ps_head_take(ps_net *self, int64_t at, int64_t n);
void ps_head_forward(ps_net *self, int64_t at, int64_t n);
int ps_head_loss(ps_net *self, const char *loss_name, const int64_t *labels, const double *weights,
                 double smoothing, double *losses);
void ps_head_backward(ps_net *self);
/* Field layers from diff_rows [first, first + n) up; with `stops` those after the shared ones. */
int ps_backward_pass(ps_net *self, int64_t first, int64_t n, int stops);
void ps_sum_strips(const ps_net *self, float *gradient);
void ps_tree_add(ps_net *self, float **gradient);

#endif
