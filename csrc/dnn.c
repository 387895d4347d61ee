/* SPDX-License-Identifier: BSD-3-Clause */
/* Convolutions through oneDNN 3.x, so that layer_conv.c reads like its formula.
 *
 * Every primitive is for one image and one thread, and is run inside our own parallel loop: then
 * its bits do not depend on the number of threads (oneDNN splits a sum of gradients by threads).
 * All maps are channels last (nhwc): measured as fast as oneDNN's blocked layouts, forward and
 * backward, and no layer needs to know about blocks.  Weights stay oihw in the flat arrays;
 * prepare() copies them into the layout each primitive wants. */
#include "dnn.h"

#include <dnnl.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define DNN(call)                                                                             \
    do {                                                                                      \
        dnnl_status_t status_ = (call);                                                       \
        if (status_ != dnnl_success)                                                          \
            FAIL(status_ == dnnl_out_of_memory ? PS_NO_MEMORY : PS_DNN,                       \
                 "oneDNN answered %d to %.60s", (int)status_, #call);                         \
    } while (0)

struct ps_dnn {
    int threads;
    size_t scratch_size; /* of one thread: the largest any primitive asked for */
    dnnl_engine_t engine;
    dnnl_stream_t *stream; /* (threads) */
    char *scratch;         /* (threads, scratch_size) */
    ps_account *memory;
};

enum { FORWARD, DATA, WEIGHTS, PASSES };                  /* the three primitives */
enum { SOURCE, KERNEL, BIAS, OUT, SCRATCH, ROLES };        /* the arguments of each */

/* What one primitive reads and writes. */
typedef struct {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t *memory; /* (threads, ROLES) */
    dnnl_primitive_t reorder; /* flat oihw <-> the primitive's own layout; NULL where equal */
    float *kernel;            /* in that layout: one, or for WEIGHTS one a thread */
    size_t kernel_size;       /* bytes of one */
} pass;

struct ps_dnn_conv {
    ps_dnn *dnn;
    dnnl_memory_desc_t source, flat, any, bias, out;
    dnnl_memory_t *plain; /* (threads): the flat oihw weights */
    pass pass[PASSES];
};

static const int arguments[PASSES][ROLES] = {
    [FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST,
                 DNNL_ARG_SCRATCHPAD},
    [DATA] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, 0, DNNL_ARG_DIFF_DST, DNNL_ARG_SCRATCHPAD},
    [WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS, DNNL_ARG_DIFF_DST,
                 DNNL_ARG_SCRATCHPAD}};

/* oneDNN heeds this until its first primitive is made. */
void
ps_dnn_limit(const char *isa)
{
    if (strcmp(isa, "avx512") != 0)
        dnnl_set_max_cpu_isa(strcmp(isa, "avx2") == 0 ? dnnl_cpu_isa_avx2 : dnnl_cpu_isa_sse41);
}

int
ps_dnn_init(ps_dnn **self, int threads, ps_account *memory)
{
    int ret = PS_OK;
    ps_dnn *dnn = NULL;

    TRY(ps_array_zeroed(&dnn, 1, sizeof *dnn));
    *self = dnn;
    dnn->threads = threads;
    dnn->memory = memory;
    DNN(dnnl_engine_create(&dnn->engine, dnnl_cpu, 0));
    TRY(ps_array_zeroed(&dnn->stream, threads, sizeof *dnn->stream));
    for (int t = 0; t < threads; t++)
        DNN(dnnl_stream_create(&dnn->stream[t], dnn->engine, dnnl_stream_default_flags));
out:
    return ret;
}

int
ps_dnn_finish(ps_dnn *self)
{
    int ret = PS_OK;

    self->scratch_size = (self->scratch_size + 4095) / 4096 * 4096;
    TRY(ps_hold(self->memory, &self->scratch, self->threads, (int64_t)self->scratch_size, 1));
out:
    return ret;
}

void
ps_dnn_free(ps_dnn *self)
{
    if (!self)
        return;
    for (int t = 0; self->stream && t < self->threads; t++)
        dnnl_stream_destroy(self->stream[t]);
    dnnl_engine_destroy(self->engine);
    free(self->stream);
    free(self->scratch);
    free(self);
}

/* Scratchpads are ours, so that memory is known before the run; ReLU rides on the convolution. */
static int
make_attributes(dnnl_primitive_attr_t *attributes, int is_relu)
{
    int ret = PS_OK;
    dnnl_post_ops_t after = NULL;

    *attributes = NULL;
    DNN(dnnl_primitive_attr_create(attributes));
    DNN(dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user));
    if (is_relu) {
        DNN(dnnl_post_ops_create(&after));
        DNN(dnnl_post_ops_append_eltwise(after, dnnl_eltwise_relu, 0, 0));
        DNN(dnnl_primitive_attr_set_post_ops(*attributes, after));
    }
out:
    dnnl_post_ops_destroy(after);
    return ret;
}

static int
make_descriptors(ps_dnn_conv *self, const ps_dnn_conv_shape *s)
{
    int ret = PS_OK;
    dnnl_dims_t source = {1, s->in, s->h, s->w}, weights = {s->out, s->in, s->kernel, s->kernel};
    dnnl_dims_t bias = {s->out}, out = {1, s->out, s->h, s->w};

    DNN(dnnl_memory_desc_create_with_tag(&self->source, 4, source, dnnl_f32, dnnl_nhwc));
    DNN(dnnl_memory_desc_create_with_tag(&self->flat, 4, weights, dnnl_f32, dnnl_oihw));
    DNN(dnnl_memory_desc_create_with_tag(&self->any, 4, weights, dnnl_f32, dnnl_format_tag_any));
    DNN(dnnl_memory_desc_create_with_tag(&self->bias, 1, bias, dnnl_f32, dnnl_x));
    DNN(dnnl_memory_desc_create_with_tag(&self->out, 4, out, dnnl_f32, dnnl_nhwc));
out:
    return ret;
}

static int
make_primitives(ps_dnn_conv *self, const ps_dnn_conv_shape *s)
{
    int ret = PS_OK;
    dnnl_dims_t one = {1, 1}, none = {0, 0}, pad = {s->kernel / 2, s->kernel / 2};
    dnnl_primitive_attr_t relu = NULL, plain = NULL;
    pass *p = self->pass;

    TRY(make_attributes(&relu, s->is_relu));
    TRY(make_attributes(&plain, 0));
    DNN(dnnl_convolution_forward_primitive_desc_create(
        &p[FORWARD].desc, self->dnn->engine,
        s->is_training ? dnnl_forward_training : dnnl_forward_inference, dnnl_convolution_direct,
        self->source, self->any, self->bias, self->out, one, none, pad, pad, relu));
    if (s->is_training)
        DNN(dnnl_convolution_backward_weights_primitive_desc_create(
            &p[WEIGHTS].desc, self->dnn->engine, dnnl_convolution_direct, self->source, self->any,
            self->bias, self->out, one, none, pad, pad, p[FORWARD].desc, plain));
    if (s->is_training && s->wants_diff_source)
        DNN(dnnl_convolution_backward_data_primitive_desc_create(
            &p[DATA].desc, self->dnn->engine, dnnl_convolution_direct, self->source, self->any,
            self->out, one, none, pad, pad, p[FORWARD].desc, plain));
    for (int i = 0; i < PASSES; i++)
        if (p[i].desc)
            DNN(dnnl_primitive_create(&p[i].primitive, p[i].desc));
out:
    dnnl_primitive_attr_destroy(relu);
    dnnl_primitive_attr_destroy(plain);
    return ret;
}

/* The private copy of the weights, and how to get there (or, for WEIGHTS, back). */
static int
make_kernel(ps_dnn_conv *self, pass *p, int is_weights, const_dnnl_memory_desc_t kernel)
{
    int ret = PS_OK;
    dnnl_primitive_desc_t reorder = NULL;
    const_dnnl_memory_desc_t from = is_weights ? kernel : self->flat;
    const_dnnl_memory_desc_t to = is_weights ? self->flat : kernel;
    int copies = is_weights ? self->dnn->threads : 1;

    p->kernel_size = (dnnl_memory_desc_get_size(kernel) + 63) / 64 * 64;
    TRY(ps_hold(self->dnn->memory, &p->kernel, copies, (int64_t)p->kernel_size, 1));
    if (p->kernel) /* of a block that is not full, the rest stays 0 */
        memset(p->kernel, 0, (size_t)copies * p->kernel_size);
    DNN(dnnl_reorder_primitive_desc_create(&reorder, from, self->dnn->engine, to,
                                           self->dnn->engine, NULL));
    DNN(dnnl_primitive_create(&p->reorder, reorder));
out:
    dnnl_primitive_desc_destroy(reorder);
    return ret;
}

static int
make_memory(ps_dnn_conv *self, int which)
{
    int ret = PS_OK;
    pass *p = &self->pass[which];
    dnnl_query_t query = which == WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
    const_dnnl_memory_desc_t kernel = dnnl_primitive_desc_query_md(p->desc, query, 0);
    const_dnnl_memory_desc_t scratch =
        dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0);
    const_dnnl_memory_desc_t of[ROLES] = {self->source, kernel, self->bias, self->out, scratch};
    size_t scratch_size = dnnl_memory_desc_get_size(scratch);

    if (scratch_size > self->dnn->scratch_size)
        self->dnn->scratch_size = scratch_size;
    TRY(make_kernel(self, p, which == WEIGHTS, kernel));
    TRY(ps_array_zeroed(&p->memory, (int64_t)self->dnn->threads * ROLES, sizeof *p->memory));
    for (int t = 0; t < self->dnn->threads; t++)
        for (int role = 0; role < ROLES; role++)
            DNN(dnnl_memory_create(&p->memory[t * ROLES + role], of[role], self->dnn->engine,
                                   DNNL_MEMORY_NONE));
out:
    return ret;
}

static int
make_all(ps_dnn_conv *self, const ps_dnn_conv_shape *shape)
{
    int ret = PS_OK;

    TRY(make_descriptors(self, shape));
    TRY(make_primitives(self, shape));
    for (int i = 0; i < PASSES; i++)
        if (self->pass[i].desc)
            TRY(make_memory(self, i));
    TRY(ps_array_zeroed(&self->plain, self->dnn->threads, sizeof *self->plain));
    for (int t = 0; t < self->dnn->threads; t++)
        DNN(dnnl_memory_create(&self->plain[t], self->flat, self->dnn->engine,
                               DNNL_MEMORY_NONE));
out:
    return ret;
}

int
ps_dnn_conv_init(ps_dnn_conv **self, ps_dnn *dnn, const ps_dnn_conv_shape *shape)
{
    int ret = PS_OK;
    ps_dnn_conv *conv = NULL;

    TRY(ps_array_zeroed(&conv, 1, sizeof *conv));
    *self = conv;
    conv->dnn = dnn;
    /* oneDNN plans for the threads it sees at creation.  Inside a region of its own the number
     * can be set to one without touching the caller's. */
#pragma omp parallel num_threads(1)
    {
        omp_set_num_threads(1);
        ret = make_all(conv, shape);
    }
out:
    return ret;
}

void
ps_dnn_conv_free(ps_dnn_conv *self)
{
    if (!self)
        return;
    for (int i = 0; i < PASSES; i++) {
        pass *p = &self->pass[i];
        for (int k = 0; p->memory && k < self->dnn->threads * ROLES; k++)
            dnnl_memory_destroy(p->memory[k]);
        dnnl_primitive_destroy(p->reorder);
        dnnl_primitive_destroy(p->primitive);
        dnnl_primitive_desc_destroy(p->desc);
        free(p->memory);
        free(p->kernel);
    }
    for (int t = 0; self->plain && t < self->dnn->threads; t++)
        dnnl_memory_destroy(self->plain[t]);
    dnnl_memory_desc_destroy(self->source);
    dnnl_memory_desc_destroy(self->flat);
    dnnl_memory_desc_destroy(self->any);
    dnnl_memory_desc_destroy(self->bias);
    dnnl_memory_desc_destroy(self->out);
    free(self->plain);
    free(self);
}

/* Copy weights between the flat array and the primitive's layout. */
static int
copy_kernel(ps_dnn_conv *self, int which, int thread, float *flat)
{
    int ret = PS_OK;
    pass *p = &self->pass[which];
    dnnl_memory_t kernel = p->memory[thread * ROLES + KERNEL], plain = self->plain[thread];
    float *own = p->kernel + (which == WEIGHTS ? thread : 0) * (int64_t)(p->kernel_size / 4);
    dnnl_exec_arg_t from_to[2] = {{DNNL_ARG_FROM, which == WEIGHTS ? kernel : plain},
                                  {DNNL_ARG_TO, which == WEIGHTS ? plain : kernel}};

    DNN(dnnl_memory_set_data_handle(kernel, own));
    DNN(dnnl_memory_set_data_handle(plain, flat));
    DNN(dnnl_primitive_execute(p->reorder, self->dnn->stream[thread], 2, from_to));
    DNN(dnnl_stream_wait(self->dnn->stream[thread]));
out:
    return ret;
}

int
ps_dnn_conv_prepare(ps_dnn_conv *self, int thread, float *weights)
{
    int ret = PS_OK;

    TRY(copy_kernel(self, FORWARD, thread, weights));
    if (self->pass[DATA].desc)
        TRY(copy_kernel(self, DATA, thread, weights));
out:
    return ret;
}

static int
execute(ps_dnn_conv *self, int which, int thread, float *source, float *bias, float *out)
{
    int ret = PS_OK, n = 0;
    pass *p = &self->pass[which];
    dnnl_memory_t *memory = p->memory + thread * ROLES;
    float *kernel = p->kernel + (which == WEIGHTS ? thread : 0) * (int64_t)(p->kernel_size / 4);
    void *data[ROLES] = {source, kernel, bias, out,
                         self->dnn->scratch + (size_t)thread * self->dnn->scratch_size};
    dnnl_exec_arg_t list[ROLES];

    for (int role = 0; role < ROLES; role++) {
        if (!arguments[which][role])
            continue;
        DNN(dnnl_memory_set_data_handle(memory[role], data[role]));
        list[n++] = (dnnl_exec_arg_t){arguments[which][role], memory[role]};
    }
    DNN(dnnl_primitive_execute(p->primitive, self->dnn->stream[thread], n, list));
    DNN(dnnl_stream_wait(self->dnn->stream[thread]));
out:
    return ret;
}

int
ps_dnn_conv_forward(ps_dnn_conv *self, int thread, float *source, float *bias, float *out)
{
    return execute(self, FORWARD, thread, source, bias, out);
}

int
ps_dnn_conv_backward(ps_dnn_conv *self, int thread, float *source, float *diff_out,
                     float *diff_source, float *diff_weights, float *diff_bias)
{
    int ret = PS_OK;

    TRY(execute(self, WEIGHTS, thread, source, diff_bias, diff_out));
    TRY(copy_kernel(self, WEIGHTS, thread, diff_weights));
    if (diff_source)
        TRY(execute(self, DATA, thread, diff_source, NULL, diff_out));
out:
    return ret;
}

#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

const char *
ps_dnn_version(void)
{
    const dnnl_version_t *loaded = dnnl_version();

    return loaded->major == DNNL_VERSION_MAJOR && loaded->minor == DNNL_VERSION_MINOR
               ? TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR)
               : "other than " TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR);
}
