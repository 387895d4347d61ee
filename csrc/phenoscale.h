/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * phenoscale: whole-image networks for microscopy, in C.  This header is the manual of the
 * library and follows the data: files -> fields -> network -> loss -> gradient -> weights.
 *
 * Throughout: n, c, h, w are images (fields), channels, height, width.  Every function that can
 * fail returns PS_OK (0) or a negative kind of error; the sentence that explains it is then in
 * ps_error_detail() of the same thread.  Who calls an _init, _open frees with _free, _close, both
 * of which accept NULL.  Inputs are borrowed, outputs are arrays of the caller.  The library
 * prints nothing and keeps no state outside its objects.  One object serves one thread at a time.
 */
#ifndef PHENOSCALE_H
#define PHENOSCALE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors (error.c) ----------------------------------------------------------------------- */

enum {
    PS_OK = 0,
    PS_NO_MEMORY = -1,
    PS_IO = -2,          /* a file cannot be opened or read */
    PS_BAD_IMAGE = -3,   /* a file that is damaged or is not what it says */
    PS_UNSUPPORTED = -4, /* a legal file or request that is not served */
    PS_LIMIT = -5,       /* over one of the limits below */
    PS_BAD_VALUE = -6,   /* an argument that makes no sense */
    PS_DNN = -7,         /* oneDNN refused */
    PS_STOPPED = -8,     /* the poll function asked to stop */
    PS_AGAIN = -9,       /* nothing ready yet: call again */
    PS_OVERFLOW = -10    /* numbers within a network that float32 cannot hold */
};

const char *ps_error_name(int status); /* "PS_IO" and so on, for any number */
const char *ps_error_detail(void);     /* the sentence of this thread's last error */

/* ---- images (image.c, blocks.c) ------------------------------------------------------------- */

#define PS_LIMIT_PIXELS 178956970            /* of one plane, as Pillow */
#define PS_LIMIT_IMAGE_BYTES (2147483648LL)  /* decoded, of one image */
#define PS_LIMIT_EXPANSION 1100              /* decoded bytes per byte of file, + 1 KiB */
#define PS_LIMIT_EXPANSION_ZSTD 64
#define PS_LIMIT_SMALL (33554432LL) /* decoded bytes up to which it does not stand: black fields */
#define PS_LIMIT_SAMPLES 16
#define PS_LIMIT_PAGES 4096

typedef enum { PS_UINT8 = 1, PS_UINT16 = 2, PS_FLOAT32 = 4 } ps_dtype; /* value = bytes */

typedef struct {
    int64_t pages, samples, height, width;
    ps_dtype dtype;     /* the library's type for these samples */
    const char *native; /* the type that holds them exactly: "uint8", "int16", "float64", ... */
    int native_bytes;
    int is_min_white;   /* 0 is white in this file; the counts are given as stored */
} ps_image_info;

typedef struct ps_image ps_image;

/* Open page `page` of a TIFF and check its geometry before anything is decoded.
 * Errors: PS_IO, PS_BAD_IMAGE, PS_UNSUPPORTED, PS_LIMIT, PS_NO_MEMORY, and PS_BAD_VALUE for a page
 * that is not there. */
int ps_image_open(ps_image **self, const char *path, int64_t page);
const ps_image_info *ps_image_about(const ps_image *self);
/* Whether a page is a thumbnail, a smaller copy of another, or a mask, and so no plane; the first
 * question reads the sizes of all pages.  PS_IO where that cannot be done. */
int ps_image_is_reduced(ps_image *self, int64_t page);
/* Decode to pixels (samples, h, w) of type `dtype`: that of ps_image_about, or a wider one. What
 * float32 cannot hold is rounded to it, and asked as ps_check_floats does.  Signed samples may be
 * asked for as counts of their width: PS_BAD_IMAGE where one is negative. */
int ps_image_read(ps_image *self, ps_dtype dtype, void *pixels);
int ps_image_read_native(ps_image *self, void *pixels); /* the same of the native type */
const char *ps_image_description(const ps_image *self); /* of the page: a text, or "" */
void ps_image_close(ps_image *self);

/* ---- planes (reduce.c, measure.c, numbers.c) ------------------------------------------------- */

#define PS_LIMIT_BIN 64
#define PS_OCTAVES 5

/* How several planes of a z-stack become one: "max", "mean"; NULL past the last row. */
const char *ps_z_name(int row);
/* Planes (planes, h, w) -> out (h, w); both of one type.  A NaN stays one. */
int ps_z(const char *name, ps_dtype, int64_t planes, int64_t pixels, const void *stack, void *out);
/* Means of bin x bin pixels: (h, w) -> (h / bin, w / bin); whole numbers are rounded. */
void ps_bin(ps_dtype dtype, int64_t h, int64_t w, int64_t bin, const void *plane, void *out);

typedef struct {
    double min, max, mean;
    int64_t at_max;  /* pixels */
    uint64_t bits;   /* all those set in any pixel; 0 for floats */
    int octaves;     /* of detail, as many as the size allows */
    double detail[PS_OCTAVES]; /* mean variance of neighbours at distance 1, 2, 4, ... pixels */
} ps_measures;

int ps_measure(ps_dtype, int64_t h, int64_t w, const void *, ps_measures *out); /* no NaN */
/* What a reader asks of the n pixels of a plane of floats: PS_BAD_IMAGE where some are NaN,
 * infinite, or the code of a program for missing pixels (numbers.c). */
int ps_check_floats(int64_t n, const float *pixels);

/* ---- fields --------------------------------------------------------------------------------- */

#define PS_LIMIT_CHANNELS 64
#define PS_LIMIT_SIDE 65536 /* pixels, of a height or a width */

/* One field of view: counts as in the files, and how the network's first pass maps them:
 * (count * gain) * scale + offset; padding is 0 after that. */
typedef struct {
    int64_t c, h, w;
    ps_dtype dtype;
    const void *pixels;  /* (c, h, w) */
    const float *scale;  /* (c) */
    const float *offset; /* (c) */
    const float *gain;   /* (c, h, w) or NULL: illumination correction */
} ps_field;

/* The classic numbers of a field (measures/), of its counts as they are; nuclei: the channel whose
 * cells are counted, or -1.  A row's name has {0} and {1} for channels a and b. */
typedef struct {
    const char *name, *undefined; /* where its number is NaN; NULL: nowhere */
    int a, b, gain, offset, flip, turn; /* whether its number stays under these */
} ps_number;
int64_t ps_numbers_count(int64_t c, int nuclei); /* 0 where there is no such channel */
int ps_number_about(int64_t c, int nuclei, int64_t row, ps_number *about);
int ps_numbers(const ps_field *field, int nuclei, double *out); /* (count); of no NaN */

/* ---- augmentation (augment.c) --------------------------------------------------------------- */

/* The rows of the table of augmentations are bits: PS_AUGMENT(k) is row k. */
#define PS_AUGMENT(row) (1u << (row))
const char *ps_augment_name(int row); /* "flip", "turn", ...; NULL past the last */
/* What the random numbers of a field are a function of. */
typedef struct {
    uint64_t seed, epoch, sample;
} ps_chance;
/* Augment one field in place, native depth; `shape` is (c, h, w), `spare` has room for one plane
 * (h, w).  "turn" needs a square field: PS_BAD_VALUE. */
int ps_augment(unsigned rows, const ps_chance *chance, const int64_t *shape, ps_dtype dtype,
               void *pixels, void *spare);

/* ---- loader (loader.c) ---------------------------------------------------------------------- */

#define PS_LIMIT_FIELDS 100000000
#define PS_LIMIT_SLOTS 65536
#define PS_LIMIT_THREADS 1024 /* of a loader, of a network */

/* Where a plane of pixels lies. */
typedef struct {
    int64_t file, page, sample; /* file: of ps_loader_spec.files */
} ps_plane;

typedef struct {
    int64_t n_fields, c, h, w; /* every plane of every field must have this size */
    ps_dtype dtype;            /* files of a narrower type are widened */
    int64_t n_files;
    const char *const *files;  /* (n_files): paths */
    /* The planes of all channels of all fields; channel k of field i has those from
     * ends[i * c + k - 1] (0 for the first of all) up to ends[i * c + k]. */
    const ps_plane *planes;
    const int64_t *ends;       /* (n_fields * c) */
    const char *z;             /* how several planes become one; may be NULL where there is one */
    int64_t bin;               /* then means of bin x bin pixels; 1: all as they are */
    int64_t n_slots;           /* fields in the ring */
    int n_workers;             /* decoding threads */
} ps_loader_spec;

/* Its threads stay behind where the process is forked: in the child it can only be freed. */
typedef struct ps_loader ps_loader;

int ps_loader_init(ps_loader **self, const ps_loader_spec *spec);
/* Begin a pass over order[0..n) (indices of fields), samples[0..n) of the epoch, or 0, 1, ... where
 * that is NULL; both are copied.  What is drawn for a sample does not depend on the pass it is
 * in. */
int ps_loader_start(ps_loader *self, const int64_t *order, const int64_t *samples, int64_t n,
                    unsigned augment, uint64_t seed, uint64_t epoch);
/* The next field of the pass, in order, (c, h / bin, w / bin); it stays valid until released.
 * PS_AGAIN after `timeout_s` without one; a field that cannot be read gives its error here, and
 * counts as handed out: release it too. */
int ps_loader_next(ps_loader *self, double timeout_s, const void **pixels);
int ps_loader_release(ps_loader *self, int64_t n); /* the n oldest fields handed out */
void ps_loader_free(ps_loader *self);

/* ---- network (describe.c, net.c, step.c, gradient.c) ---------------------------------------- */

/*
 * A network is described by text, one layer a line, the layers above named by `from`
 * (the line above when left out):
 *
 *     field: input channels=3 height=1024 width=1280 pad=128
 *     scale0: tower filters=16 window=64
 *     classes: dense units=13
 *
 * Layers before the first dense one work on one image (h, w, c) at a time; dense layers come
 * last, in a chain, and work on all images of a call as rows.
 */
#define PS_LIMIT_PARAMETERS (1LL << 30)
#define PS_LIMIT_BATCH (1 << 20) /* images of one step */

typedef int (*ps_poll)(void *context); /* nonzero: stop; called by the calling thread only */

typedef struct {
    int threads;     /* of the parallel loop; results do not depend on it */
    int is_training; /* 0: predictions only, no gradients, least memory */
    int64_t images;  /* most images of one forward call in training */
    int64_t batch;   /* most images of one step, over all its forward calls and processes */
    int forms_dense; /* keep the dense layers' gradient as a sum, not as factors: more memory */
    int64_t limit;   /* of parameters, checked before anything large is made; 0: the one above */
    int64_t memory;  /* bytes to hold at most, with its optimizer; 0: any number */
    ps_poll poll;    /* or NULL */
    void *context;
} ps_net_plan;

/* A named tensor within the flat arrays of parameters and gradients. */
typedef struct {
    char name[64];
    int64_t offset, count, shape[4];
    int n_dims, is_bias;
} ps_slice;

typedef struct ps_net ps_net;

const char *ps_layer_name(int row);              /* the table of layer types; NULL past the last */
int ps_net_init(ps_net **self, const char *description, const ps_net_plan *plan);
void ps_net_free(ps_net *self);
const ps_slice *ps_net_slices(const ps_net *self, int64_t *n);
int64_t ps_net_count(const ps_net *self);        /* of parameters */
float *ps_net_parameters(ps_net *self);          /* (count) */
/* The gradients (count) of the step that ps_net_gradient ended, until the next begins. */
int ps_net_gradients(const ps_net *self, float *out);
int64_t ps_net_executed(const ps_net *self);     /* floating-point operations so far */
int64_t ps_net_classes(const ps_net *self);
/* Inputs of the last dense layer; before their ReLU where that is written rectify=1. */
int64_t ps_net_embedding(const ps_net *self);
int64_t ps_net_memory(const ps_net *self);       /* bytes held */
int64_t ps_net_pending(const ps_net *self);      /* images gone forward and not yet backward */
void ps_net_initialise(ps_net *self, uint64_t seed); /* Glorot uniform, biases 0 */

/* Logits (n, classes) and, unless NULL, embeddings (n, embedding) of any number of fields.
 * PS_OVERFLOW, with all written, where those of a field are NaN or infinite. */
int ps_net_predict(ps_net *, const ps_field *fields, int64_t n, float *logits, float *embeddings);

/*
 * A training step: begin; then forward and backward for each part of the batch; then gradient.
 * Images are numbered over the whole step and summed in one fixed pairwise tree, so the bits do
 * not depend on the parts or the threads.  Nothing is updated before the caller says so.  Calls in
 * any other order are PS_BAD_VALUE. */
int ps_net_begin(ps_net *self, int64_t first); /* first: 0, but in shares (below) */
/* The fields' pixels, scales, offsets and gains stay borrowed until the backward or the next. */
int ps_net_forward(ps_net *self, const ps_field *fields, int64_t n);
/* Of the last forward: each image's loss times weights[i] to losses[i], sends its gradient back.
 * smoothing: of the labels (0..1). logits (n, classes) or NULL. */
int ps_net_backward(ps_net *self, const char *loss_name, const int64_t *labels,
                    const double *weights, double smoothing, double *losses, float *logits);
/* The same in two calls: through the dense layers, whose factors then are known; and the rest. */
int ps_net_backward_head(ps_net *self, const char *loss_name, const int64_t *labels,
                         const double *weights, double smoothing, double *losses, float *logits);
int ps_net_backward_fields(ps_net *self);
/* End the step: sum the gradients and give their Euclidean norm (not finite if any of them is
 * not). */
int ps_net_gradient(ps_net *self, double *norm);

/*
 * A step that several processes share (gradient.c).  Each begins at the number of its first image
 * in the step, and instead of gradient:
 *
 *   sum -> [the caller sums ps_net_sums over the processes, along the tree, and brings the rows of
 *   all images into ps_net_factor] -> squares, shared by rows -> [summed] -> end
 *
 * The bits are those of one process where every share but the last has the same power of two of
 * images.  With the plan's forms_dense each begins at 0 and forms the dense layers' part of
 * ps_net_sums too, once the last head's backward is done; the bits then depend on the shares.
 */
int ps_net_sum(ps_net *self);
int ps_net_form(ps_net *self);
/* (n_field) of the field layers, then (n_dense), 0 without forms_dense, of the dense ones. */
float *ps_net_sums(ps_net *self, int64_t *n_field, int64_t *n_dense);
/* Number 2 k: inputs of dense layer k, 2 k + 1: gradients by its outputs, (batch, columns), rows in
 * the order of the step; NULL past the last. */
float *ps_net_factor(ps_net *self, int number, int64_t *columns);
/* What the norm is summed from, (count) doubles; parts add up to it, each number in one alone. */
int64_t ps_net_squares_count(const ps_net *self, int64_t n);
int ps_net_squares(ps_net *self, int64_t n, int64_t part, int64_t parts, double *squares);
int ps_net_end(ps_net *self, int64_t n, const double *squares, double *norm); /* n: of the step */

/* Where the evidence for a class lies (evidence.c): one field through a network made for training;
 * a step that was under way is over. */
typedef struct {
    int64_t class_number;
    const float *logits; /* (classes) */
    double bias;         /* the logit of the class, less all shares of all maps */
    int n_maps;
    int64_t top, left;   /* of the field in its padding: pixels of the maps count from there */
} ps_evidence;

/* The shares of one layer's outputs (h, w, c).  Output (y, x, k) is the value at, or where there
 * are no places the outcome of, the pixels of (y, x)'s window; a pixel is `pixel` of the field's
 * pixels each way.  Borrowed until the network's next call. */
typedef struct {
    int64_t h, w, c, window, pixel;
    const float *shares;
    const int32_t *places; /* y * window + x of the pixel within the window; NULL: a coarse map */
} ps_evidence_map;

/* class_number: -1 for that of the largest logit. */
int ps_net_evidence(ps_net *self, const ps_field *field, int64_t class_number, ps_evidence *about);
int ps_net_evidence_map(const ps_net *self, int number, ps_evidence_map *map);

/* ---- losses (loss.c) ------------------------------------------------------------------------ */

const char *ps_loss_name(int row);
/* Loss of one image and, unless NULL, its gradient by the logits (k). */
int ps_loss(const char *name, int64_t k, const float *logits, int64_t label, double smoothing,
            double *loss, double *gradient);
void ps_softmax(int64_t n, int64_t k, const float *logits, float *probabilities); /* (n, k) */

/* ---- optimizers (optim.c) ------------------------------------------------------------------- */

typedef struct {
    double rate, momentum, second, epsilon; /* second: Adam's beta2, momentum its beta1 */
    double decay; /* times the weight is added to its gradient; not on biases */
    double scale; /* the gradient is first multiplied by this (clipping) */
} ps_recipe;

#define PS_LIMIT_STEPS (1LL << 53) /* what a double counts */
typedef struct ps_optimizer ps_optimizer;

const char *ps_optimizer_name(int row); /* "sgd", "nesterov", "adam" */
int ps_optimizer_init(ps_optimizer **self, const char *name, const ps_net *net);
/* One update from the gradients of the last ps_net_gradient; where it fails nothing has changed. */
int ps_optimizer_update(ps_optimizer *self, ps_net *net, const ps_recipe *recipe);
int ps_optimizer_states(const ps_optimizer *self);       /* flat arrays beside the parameters */
float *ps_optimizer_state(ps_optimizer *self, int which); /* (count) */
int64_t *ps_optimizer_steps(ps_optimizer *self); /* updates done, 0 to PS_LIMIT_STEPS; state */
void ps_optimizer_free(ps_optimizer *self);

/* ---- the build and the machine (isa.c, dnn.c, image.c) -------------------------------------- */

/* "avx512", "avx2" or "portable": what is used here; at most what PHENOSCALE_ISA names. */
const char *ps_isa_name(void);
double ps_fma_peak(void); /* GFLOP/s of one core with it: the best of several short bursts */
const char *ps_dnn_version(void);  /* of oneDNN, as loaded: "3.2" */
const char *ps_tiff_version(void); /* of libtiff, as loaded: "LIBTIFF, Version 4.5.0 ..." */

#ifdef __cplusplus
}
#endif
#endif
