/* SPDX-License-Identifier: BSD-3-Clause */
/* The class Net in training: begin, forward and backward, the gradient; a step that is shared. */
#include "binding.h"

/* A call that takes nothing and gives nothing. */
static PyObject *
net_do(PyObject *object, int (*call)(ps_net *))
{
    Net *self = (Net *)object;
    int status;

    if (!net_enter(self))
        return NULL;
    RUN(self, status, call(self->net));
    self->busy = 0;
    if (status != PS_OK)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *
net_begin(PyObject *object, PyObject *args)
{
    Net *self = (Net *)object;
    long long first = 0;
    int status;

    if (!PyArg_ParseTuple(args, "|L", &first) || !net_enter(self))
        return NULL;
    RUN(self, status, ps_net_begin(self->net, first));
    self->busy = 0;
    if (status != PS_OK)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *
net_forward(PyObject *object, PyObject *args, PyObject *keywords)
{
    Net *self = (Net *)object;
    Fields given;
    int status;

    if (!net_take(self, &given, args, keywords))
        return NULL;
    RUN(self, status, ps_net_forward(self->net, given.fields, given.n));
    fields_free(&self->borrowed);
    if (status == PS_OK)
        self->borrowed = given; /* backward reads them again */
    else
        fields_free(&given);
    self->busy = 0;
    if (status != PS_OK)
        return NULL;
    Py_RETURN_NONE;
}

typedef int (*backward_call)(ps_net *, const char *, const int64_t *, const double *, double,
                             double *, float *);

static PyObject *
net_backward_by(PyObject *object, PyObject *args, PyObject *keywords, backward_call call)
{
    static char *words[] = {"labels", "weights", "smoothing", "loss", NULL};
    Net *self = (Net *)object;
    PyObject *labels, *weights, *losses = NULL, *logits = NULL;
    PyArrayObject *label_array = NULL, *weight_array = NULL;
    const char *loss_name = "softmax";
    double smoothing = 0;
    int status = PS_OK;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|ds", words, &labels, &weights, &smoothing,
                                     &loss_name) ||
        !net_enter(self))
        return NULL;
    label_array = as_array(labels, NPY_INT64, 1);
    weight_array = label_array ? as_array(weights, NPY_FLOAT64, 1) : NULL;
    if (weight_array) {
        npy_intp n = PyArray_DIM(label_array, 0);
        npy_intp shape[2] = {n, ps_net_classes(self->net)};
        if (n != PyArray_DIM(weight_array, 0) || n != ps_net_pending(self->net))
            PyErr_Format(PyExc_ValueError,
                         "%zd labels and %zd weights for the %zd images of the last forward",
                         (Py_ssize_t)n, (Py_ssize_t)PyArray_DIM(weight_array, 0),
                         (Py_ssize_t)ps_net_pending(self->net));
        else if ((losses = PyArray_SimpleNew(1, shape, NPY_FLOAT64)))
            logits = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    }
    if (logits) {
        const int64_t *of = PyArray_DATA(label_array);
        const double *by = PyArray_DATA(weight_array);
        double *loss = PyArray_DATA((PyArrayObject *)losses);
        float *to = PyArray_DATA((PyArrayObject *)logits);
        RUN(self, status, call(self->net, loss_name, of, by, smoothing, loss, to));
        if (ps_net_pending(self->net) == 0)
            fields_free(&self->borrowed);
    }
    Py_XDECREF((PyObject *)label_array);
    Py_XDECREF((PyObject *)weight_array);
    self->busy = 0;
    if (PyErr_Occurred()) {
        Py_XDECREF(losses);
        Py_XDECREF(logits);
        return NULL;
    }
    return Py_BuildValue("(NN)", losses, logits);
}

PyObject *
net_backward(PyObject *object, PyObject *args, PyObject *keywords)
{
    return net_backward_by(object, args, keywords, ps_net_backward);
}

PyObject *
net_backward_head(PyObject *object, PyObject *args, PyObject *keywords)
{
    return net_backward_by(object, args, keywords, ps_net_backward_head);
}

PyObject *
net_backward_fields(PyObject *object, PyObject *unused)
{
    (void)unused;
    PyObject *result = net_do(object, ps_net_backward_fields);
    if (((Net *)object)->net && ps_net_pending(((Net *)object)->net) == 0)
        fields_free(&((Net *)object)->borrowed);
    return result;
}

PyObject *
net_sum(PyObject *object, PyObject *unused)
{
    (void)unused;
    return net_do(object, ps_net_sum);
}

PyObject *
net_form(PyObject *object, PyObject *unused)
{
    (void)unused;
    return net_do(object, ps_net_form);
}

PyObject *
net_gradient(PyObject *object, PyObject *unused)
{
    Net *self = (Net *)object;
    double norm = 0;
    int status;

    (void)unused;
    if (!net_enter(self))
        return NULL;
    RUN(self, status, ps_net_gradient(self->net, &norm));
    self->busy = 0;
    return status == PS_OK ? PyFloat_FromDouble(norm) : NULL;
}

PyObject *
net_squares(PyObject *object, PyObject *args)
{
    Net *self = (Net *)object;
    long long n, part = 0, parts = 1;
    int status;

    if (!PyArg_ParseTuple(args, "L|LL", &n, &part, &parts) || !net_enter(self))
        return NULL;
    npy_intp count = n > 0 && n < 1 << 24 ? ps_net_squares_count(self->net, n) : 1;
    PyObject *squares = PyArray_SimpleNew(1, &count, NPY_FLOAT64);
    if (squares) {
        double *to = PyArray_DATA((PyArrayObject *)squares);
        RUN(self, status, ps_net_squares(self->net, n, part, parts, to));
        if (status != PS_OK)
            Py_CLEAR(squares);
    }
    self->busy = 0;
    return squares;
}

PyObject *
net_end(PyObject *object, PyObject *args)
{
    Net *self = (Net *)object;
    PyObject *squares;
    long long n;
    double norm = 0;
    int status = PS_BAD_VALUE;

    if (!PyArg_ParseTuple(args, "LO", &n, &squares) || !net_enter(self))
        return NULL;
    PyArrayObject *array = as_array(squares, NPY_FLOAT64, 1);
    if (array && n > 0 && n < 1 << 24 &&
        PyArray_DIM(array, 0) == ps_net_squares_count(self->net, n))
        RUN(self, status, ps_net_end(self->net, n, PyArray_DATA(array), &norm));
    else if (array)
        PyErr_SetString(PyExc_ValueError, "these are not the squares of such a step");
    Py_XDECREF((PyObject *)array);
    self->busy = 0;
    return status == PS_OK ? PyFloat_FromDouble(norm) : NULL;
}
