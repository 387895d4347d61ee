/* SPDX-License-Identifier: BSD-3-Clause */
/* The binding: convert arguments, release the GIL, call the library, wrap the result.
 * The only folder that knows Python; limited API, one build for every Python from 3.9. */
#ifndef PHENOSCALE_BINDING_H
#define PHENOSCALE_BINDING_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03090000
#define NPY_NO_DEPRECATED_API NPY_1_20_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL phenoscale_numpy /* NumPy's table, which all files share */
#ifndef IMPORTS_NUMPY                           /* core.c fills it */
#define NO_IMPORT_ARRAY
#endif
#include <Python.h>
#include <numpy/arrayobject.h>

#include "phenoscale.h"

/* ---- errors (core.c) -------------------------------------------------------------------- */

PyObject *raise_error(int status); /* what a failed call means; NULL for convenience */
/* One object serves one call at a time: a second thread gets an exception, not a race. */
int enter(int *busy);

/* ---- arrays (core.c) -------------------------------------------------------------------- */

/* A contiguous array of this type and so many dimensions; integers only from integers. */
PyArrayObject *as_array(PyObject *object, int type, int n_dims);
/* A contiguous array of uint8, uint16 or float32 (images.c). */
PyArrayObject *as_pixels(PyObject *object, int n_dims);
/* A view of memory that `owner` keeps alive. */
PyObject *view(PyObject *owner, int n_dims, npy_intp *shape, int type, void *data);
/* Add an item, which is given away, to a list; without the item the list becomes NULL. */
void append(PyObject **list, PyObject *item);
int to_dtype(int type); /* the ps_dtype of a type of NumPy's, 0 for others */

/* ---- functions of the module ------------------------------------------------------------ */

extern PyMethodDef image_functions[], measure_functions[]; /* images.c, measures.c */

/* ---- classes ---------------------------------------------------------------------------- */

extern PyType_Spec loader_spec, net_spec, optimizer_spec;
extern PyTypeObject *NetType; /* made of net_spec; an Optimizer takes no other */

/* Fields as the library wants them, from a list of (c, h, w) arrays or one (n, c, h, w). */
typedef struct {
    Py_ssize_t n;
    ps_field *fields;
    PyObject **arrays; /* (n), kept alive */
    PyArrayObject *scale, *offset, *gain;
} Fields;

typedef struct {
    PyObject_HEAD
    ps_net *net;
    PyThreadState *saved; /* while the GIL is released */
    double looked;        /* for Ctrl-C, seconds of a clock */
    long long images, batch;
    int busy, is_training;
    Fields borrowed; /* of the last forward, until the next one or the backward */
} Net;

/* A call into the library without the GIL, but for moments in which it looks for Ctrl-C. */
#define RUN(self, status, call)                \
    do {                                       \
        net_release(self);                     \
        (status) = (call);                     \
        PyEval_RestoreThread((self)->saved);   \
        if ((status) != PS_OK)                 \
            raise_error(status);               \
    } while (0)

void net_release(Net *self);
int net_enter(Net *self); /* what was entered is left by busy = 0 */
/* (fields, scale, offset, gain=None) of predict and forward, and the net entered. */
int net_take(Net *self, Fields *given, PyObject *args, PyObject *keywords);
void fields_free(Fields *self);

extern PyGetSetDef net_attributes[]; /* net_attributes.c */

/* Methods of a training step (net_step.c). */
PyObject *net_begin(PyObject *object, PyObject *args);
PyObject *net_forward(PyObject *object, PyObject *args, PyObject *keywords);
PyObject *net_backward(PyObject *object, PyObject *args, PyObject *keywords);
PyObject *net_backward_head(PyObject *object, PyObject *args, PyObject *keywords);
PyObject *net_backward_fields(PyObject *object, PyObject *unused);
PyObject *net_sum(PyObject *object, PyObject *unused);
PyObject *net_form(PyObject *object, PyObject *unused);
PyObject *net_squares(PyObject *object, PyObject *args);
PyObject *net_end(PyObject *object, PyObject *args);
PyObject *net_gradient(PyObject *object, PyObject *unused);

#endif
