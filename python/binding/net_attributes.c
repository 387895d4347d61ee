/* SPDX-License-Identifier: BSD-3-Clause */
/* The attributes of the class Net. */
#include "binding.h"

static PyObject *
sums_pair(Net *self)
{
    int64_t n[2] = {0, 0};
    float *sums = ps_net_sums(self->net, &n[0], &n[1]);
    npy_intp fields = sums ? n[0] : 0, dense = sums ? n[1] : 0;
    PyObject *owner = (PyObject *)self;
    PyObject *of_fields = view(owner, 1, &fields, NPY_FLOAT32, sums);
    PyObject *of_dense = view(owner, 1, &dense, NPY_FLOAT32, sums ? sums + n[0] : sums);

    if (of_fields && of_dense)
        return Py_BuildValue("(NN)", of_fields, of_dense);
    Py_XDECREF(of_fields);
    Py_XDECREF(of_dense);
    return NULL;
}

/* [(batch, columns)] views: of each dense layer its inputs, and the gradients by its outputs. */
static PyObject *
factors_list(Net *self)
{
    PyObject *list = PyList_New(0);
    npy_intp shape[2] = {self->batch, 0};
    int64_t columns;
    float *factor;

    for (int k = 0; list && (factor = ps_net_factor(self->net, k, &columns)); k++) {
        shape[1] = columns;
        append(&list, view((PyObject *)self, 2, shape, NPY_FLOAT32, factor));
    }
    return list;
}

static PyObject *
slices_list(const ps_net *net)
{
    int64_t n;
    const ps_slice *slices = ps_net_slices(net, &n);
    PyObject *list = PyList_New(0);

    for (int64_t i = 0; list && i < n; i++) {
        PyObject *shape = PyTuple_New(slices[i].n_dims);
        for (int k = 0; shape && k < slices[i].n_dims; k++)
            PyTuple_SetItem(shape, k, PyLong_FromLongLong(slices[i].shape[k]));
        PyObject *item = shape ? Py_BuildValue("(sLNO)", slices[i].name,
                                               (long long)slices[i].offset, shape,
                                               slices[i].is_bias ? Py_True : Py_False)
                               : NULL;
        append(&list, item);
    }
    return list;
}

/* One getter for all attributes: a table of {name, what}. */
enum {
    PARAMETERS, GRADIENTS, SUMS, FACTORS, SLICES, CLASSES, EMBEDDING, IMAGES, TRAINING, EXECUTED,
    MEMORY
};

/* A copy: the dense layers' part is formed for it. */
static PyObject *
net_gradients(Net *self, npy_intp count)
{
    PyObject *array = PyArray_SimpleNew(1, &count, NPY_FLOAT32);

    if (array && ps_net_gradients(self->net, PyArray_DATA((PyArrayObject *)array)) != PS_OK)
        Py_CLEAR(array);
    if (!array && !PyErr_Occurred())
        Py_RETURN_NONE;
    return array;
}

static PyObject *
net_get(PyObject *object, void *what)
{
    Net *self = (Net *)object;

    if (!self->net) {
        PyErr_SetString(PyExc_RuntimeError, "this Net was not initialised");
        return NULL;
    }
    if (((intptr_t)what == GRADIENTS || (intptr_t)what == SUMS || (intptr_t)what == FACTORS) &&
        self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "this Net is busy in another thread: its gradient is "
                                            "half done");
        return NULL;
    }
    npy_intp count = ps_net_count(self->net);
    switch ((intptr_t)what) {
    case PARAMETERS:
        return view(object, 1, &count, NPY_FLOAT32, ps_net_parameters(self->net));
    case GRADIENTS:
        return net_gradients(self, count);
    case SUMS:
        return sums_pair(self);
    case FACTORS:
        return factors_list(self);
    case SLICES:
        return slices_list(self->net);
    case CLASSES:
        return PyLong_FromLongLong(ps_net_classes(self->net));
    case EMBEDDING:
        return PyLong_FromLongLong(ps_net_embedding(self->net));
    case IMAGES:
        return PyLong_FromLongLong(self->images);
    case TRAINING:
        return PyBool_FromLong(self->is_training);
    case EXECUTED:
        return PyLong_FromLongLong(ps_net_executed(self->net));
    default:
        return PyLong_FromLongLong(ps_net_memory(self->net));
    }
}

PyGetSetDef net_attributes[] = {
    {"parameters", net_get, NULL, "All weights and biases, (count,) float32, a view.",
     (void *)PARAMETERS},
    {"gradients", net_get, NULL,
     "Their gradients in the step that gradient() ended, a copy; None before that.",
     (void *)GRADIENTS},
    {"sums", net_get, NULL,
     "(by the field layers, by the dense ones): gradients that shares of a step are summed of, "
     "float32, views; those of the dense layers with forms_dense only.", (void *)SUMS},
    {"factors", net_get, NULL,
     "[(batch, columns)] float32, views: each dense layer's inputs, and the gradients by its "
     "outputs, image by image of the step.", (void *)FACTORS},
    {"training", net_get, NULL, "Whether it was made for training.", (void *)TRAINING},
    {"executed", net_get, NULL, "Floating-point operations of the field layers so far.",
     (void *)EXECUTED},
    {"slices", net_get, NULL, "[(name, offset, shape, is_bias)] of the tensors within.",
     (void *)SLICES},
    {"classes", net_get, NULL, "Number of classes.", (void *)CLASSES},
    {"embedding", net_get, NULL, "Numbers in an embedding: inputs of the last dense layer.",
     (void *)EMBEDDING},
    {"images", net_get, NULL, "Most images of one forward in training.", (void *)IMAGES},
    {"memory", net_get, NULL, "Bytes held.", (void *)MEMORY},
    {NULL, NULL, NULL, NULL, NULL}};
