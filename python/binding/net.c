/* SPDX-License-Identifier: BSD-3-Clause */
/* The class Net: made, predicting, explaining; its attributes lie in net_attributes.c, the calls of
 * a training step in net_step.c. */
#include "binding.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_S 0.05 /* between two looks at Ctrl-C while computing */

static double
clock_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Before a call computes without the GIL; the first look is one period later. */
void
net_release(Net *self)
{
    self->looked = clock_s();
    self->saved = PyEval_SaveThread();
}

/* The GIL is taken back for a moment to look for Ctrl-C.  Beside a busy thread of Python that takes
 * 5 ms of waiting, so the clock decides when, and not the library, which asks at every task. */
static int
poll_signals(void *context)
{
    Net *self = context;
    int stop;

    if (clock_s() < self->looked + POLL_S)
        return 0;
    PyEval_RestoreThread(self->saved);
    stop = PyErr_CheckSignals() != 0;
    net_release(self);
    return stop;
}

static int
net_init(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *words[] = {"description", "threads", "training", "images", "batch",
                            "limit", "forms_dense", "memory", NULL};
    Net *self = (Net *)object;
    const char *description;
    ps_net_plan plan = {.threads = 1};
    long long images = 1, batch = 0, limit = 0, memory = 0;
    int status;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "s|ipLLLpL", words, &description,
                                     &plan.threads, &plan.is_training, &images, &batch, &limit,
                                     &plan.forms_dense, &memory))
        return -1;
    if (self->net) {
        PyErr_SetString(PyExc_RuntimeError, "a Net is initialised once");
        return -1;
    }
    if (!enter(&self->busy))
        return -1;
    self->is_training = plan.is_training;
    plan.images = self->images = images;
    plan.batch = self->batch = batch ? batch : images;
    plan.limit = limit;
    plan.memory = memory;
    plan.poll = poll_signals;
    plan.context = self;
    Py_BEGIN_ALLOW_THREADS
    status = ps_net_init(&self->net, description, &plan);
    Py_END_ALLOW_THREADS
    self->busy = 0;
    if (status == PS_UNSUPPORTED || status == PS_LIMIT)
        status = PS_BAD_VALUE; /* not an image's fault */
    if (status != PS_OK)
        raise_error(status);
    return status == PS_OK ? 0 : -1;
}

int
net_enter(Net *self)
{
    if (!self->net) {
        PyErr_SetString(PyExc_RuntimeError, "this Net was not initialised");
        return 0;
    }
    return enter(&self->busy);
}

void
fields_free(Fields *self)
{
    for (Py_ssize_t i = 0; self->arrays && i < self->n; i++)
        Py_XDECREF(self->arrays[i]);
    free(self->arrays);
    free(self->fields);
    Py_XDECREF((PyObject *)self->scale);
    Py_XDECREF((PyObject *)self->offset);
    Py_XDECREF((PyObject *)self->gain);
    memset(self, 0, sizeof *self);
}

/* What field i of n has of an array (c), for all of them, or (n, c); NULL of another shape. */
static const float *
fields_row(PyArrayObject *array, Py_ssize_t n, Py_ssize_t i, npy_intp c)
{
    const float *first = PyArray_DATA(array);
    int dims = PyArray_NDIM(array);

    if (PyArray_DIM(array, dims - 1) != c || (dims == 2 && PyArray_DIM(array, 0) != n))
        return NULL;
    return dims == 2 ? first + i * c : first;
}

static int
fields_take(Fields *self, Py_ssize_t i, PyObject *list)
{
    PyObject *item = PySequence_GetItem(list, i);
    PyArrayObject *array = item ? (PyArrayObject *)PyArray_FROM_OF(item, NPY_ARRAY_CARRAY_RO |
                                                                      NPY_ARRAY_NOTSWAPPED)
                                : NULL;

    Py_XDECREF(item);
    if (!array)
        return 0;
    self->arrays[i] = (PyObject *)array;
    int dtype = to_dtype(PyArray_TYPE(array));
    if (PyArray_NDIM(array) != 3 || !dtype) {
        PyErr_SetString(PyExc_ValueError,
                        "a field is an array (channels, height, width) of uint8, uint16 or "
                        "float32");
        return 0;
    }
    npy_intp *shape = PyArray_DIMS(array);
    const float *scale = fields_row(self->scale, self->n, i, shape[0]);
    const float *offset = fields_row(self->offset, self->n, i, shape[0]);
    if (!scale || !offset ||
        (self->gain && !(PyArray_NDIM(self->gain) == 3 &&
                         memcmp(PyArray_DIMS(self->gain), shape, 3 * sizeof *shape) == 0))) {
        PyErr_SetString(PyExc_ValueError,
                        "scale and offset have one number a channel, or a row of them a field, "
                        "gain the field's shape");
        return 0;
    }
    self->fields[i] = (ps_field){.c = shape[0],
                                 .h = shape[1],
                                 .w = shape[2],
                                 .dtype = (ps_dtype)dtype,
                                 .pixels = PyArray_DATA(array),
                                 .scale = scale,
                                 .offset = offset,
                                 .gain = self->gain ? PyArray_DATA(self->gain) : NULL};
    return 1;
}

/* An array of a number a channel, or of a row of them a field. */
static PyArrayObject *
numbers_from(PyObject *object)
{
    return (PyArrayObject *)PyArray_FROMANY(object, NPY_FLOAT32, 1, 2,
                                            NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST);
}

static int
fields_from(Fields *self, PyObject *list, PyObject *scale, PyObject *offset, PyObject *gain)
{
    memset(self, 0, sizeof *self);
    self->scale = numbers_from(scale);
    self->offset = self->scale ? numbers_from(offset) : NULL;
    if (!self->offset)
        return 0;
    if (gain && gain != Py_None && !(self->gain = as_array(gain, NPY_FLOAT32, 3)))
        return 0;
    self->n = PySequence_Size(list);
    if (self->n < 0)
        return 0;
    self->fields = calloc((size_t)self->n + 1, sizeof *self->fields);
    self->arrays = calloc((size_t)self->n + 1, sizeof *self->arrays);
    if (!self->fields || !self->arrays) {
        PyErr_NoMemory();
        return 0;
    }
    for (Py_ssize_t i = 0; i < self->n; i++)
        if (!fields_take(self, i, list))
            return 0;
    return 1;
}

int
net_take(Net *self, Fields *given, PyObject *args, PyObject *keywords)
{
    static char *words[] = {"fields", "scale", "offset", "gain", NULL};
    PyObject *list, *scale, *offset, *gain = NULL;

    memset(given, 0, sizeof *given);
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO|O", words, &list, &scale, &offset,
                                     &gain) ||
        !net_enter(self))
        return 0;
    if (fields_from(given, list, scale, offset, gain))
        return 1;
    fields_free(given);
    self->busy = 0;
    return 0;
}

static PyObject *
net_predict(PyObject *object, PyObject *args, PyObject *keywords)
{
    Net *self = (Net *)object;
    Fields given;
    int status = PS_OK;

    if (!net_take(self, &given, args, keywords))
        return NULL;
    npy_intp shape[2] = {given.n, ps_net_classes(self->net)};
    PyObject *logits = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    shape[1] = ps_net_embedding(self->net);
    PyObject *embeddings = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    if (logits && embeddings) {
        float *to_logits = PyArray_DATA((PyArrayObject *)logits);
        float *to_embeddings = PyArray_DATA((PyArrayObject *)embeddings);
        RUN(self, status,
            ps_net_predict(self->net, given.fields, given.n, to_logits, to_embeddings));
    }
    fields_free(&given);
    self->busy = 0;
    if (PyErr_Occurred()) {
        Py_XDECREF(logits);
        Py_XDECREF(embeddings);
        return NULL;
    }
    return Py_BuildValue("(NN)", logits, embeddings);
}

/* Arrays of one map: (shares, places or None, window, pixel). */
static PyObject *
evidence_map(const ps_evidence_map *map)
{
    npy_intp shape[3] = {map->h, map->w, map->c};
    size_t count = (size_t)(map->h * map->w * map->c);
    PyObject *shares = PyArray_SimpleNew(3, shape, NPY_FLOAT32), *places = Py_None;

    if (shares)
        memcpy(PyArray_DATA((PyArrayObject *)shares), map->shares, count * sizeof(float));
    if (shares && map->places && (places = PyArray_SimpleNew(3, shape, NPY_INT32)))
        memcpy(PyArray_DATA((PyArrayObject *)places), map->places, count * sizeof(int32_t));
    if (places == Py_None)
        Py_INCREF(places);
    return Py_BuildValue("(NNLL)", shares, places, (long long)map->window, (long long)map->pixel);
}

static PyObject *
net_evidence(PyObject *object, PyObject *args)
{
    Net *self = (Net *)object;
    PyObject *list, *scale, *offset, *maps = NULL, *logits = NULL;
    Fields given = {0};
    ps_evidence about;
    ps_evidence_map map;
    long long class_number;
    int status = PS_BAD_VALUE;

    if (!PyArg_ParseTuple(args, "OOOL", &list, &scale, &offset, &class_number) || !net_enter(self))
        return NULL;
    if (!fields_from(&given, list, scale, offset, NULL))
        goto out;
    if (given.n != 1)
        PyErr_SetString(PyExc_ValueError, "evidence is of one field at a time");
    else
        RUN(self, status, ps_net_evidence(self->net, given.fields, class_number, &about));
    if (status != PS_OK)
        goto out;
    npy_intp classes = ps_net_classes(self->net);
    logits = PyArray_SimpleNew(1, &classes, NPY_FLOAT32);
    maps = PyList_New(0);
    if (logits)
        memcpy(PyArray_DATA((PyArrayObject *)logits), about.logits,
               (size_t)classes * sizeof(float));
    for (int k = 0; maps && k < about.n_maps; k++) {
        PyObject *one = NULL;
        if (ps_net_evidence_map(self->net, k, &map) == PS_OK)
            one = evidence_map(&map);
        append(&maps, one);
    }
out:
    fields_free(&given);
    self->busy = 0;
    if (!logits || !maps) {
        Py_XDECREF(logits);
        Py_XDECREF(maps);
        return NULL;
    }
    return Py_BuildValue("(LNdNLL)", (long long)about.class_number, logits, about.bias, maps,
                         (long long)about.top, (long long)about.left);
}

static PyObject *
net_initialise(PyObject *object, PyObject *args)
{
    Net *self = (Net *)object;
    unsigned long long seed;

    if (!PyArg_ParseTuple(args, "K", &seed) || !net_enter(self))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    ps_net_initialise(self->net, seed);
    Py_END_ALLOW_THREADS
    self->busy = 0;
    Py_RETURN_NONE;
}

static void
net_dealloc(PyObject *object)
{
    Net *self = (Net *)object;
    PyTypeObject *type = Py_TYPE(object);

    ps_net_free(self->net);
    fields_free(&self->borrowed);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyMethodDef net_methods[] = {
    {"initialise", net_initialise, METH_VARARGS,
     "initialise(seed, /)\n--\n\nGlorot uniform weights, biases 0 (Glorot, Bengio 2010)."},
    {"predict", (PyCFunction)(void (*)(void))net_predict, METH_VARARGS | METH_KEYWORDS,
     "predict(fields, scale, offset, gain=None)\n--\n\n"
     "Logits (n, classes) and embeddings (n, embedding), float32, of fields: a list of (c, h, w) "
     "arrays or one (n, c, h, w), uint8, uint16 or float32; the network sees "
     "counts * gain * scale + offset, scale and offset being (c,) or of each field, (n, c)."},
    {"evidence", net_evidence, METH_VARARGS,
     "evidence(fields, scale, offset, class_number)\n--\n\n"
     "Of one field and a network made for training, class -1 being that of the largest logit: "
     "(class, logits (classes,), share of the biases, "
     "[(shares (h, w, c), places (h, w, c) or None, window, pixel)], top, left); see "
     "ps_evidence_map in phenoscale.h."},
    {"begin", net_begin, METH_VARARGS,
     "begin(first=0, /)\n--\n\nBegin a training step, or the share of one from image `first` on."},
    {"forward", (PyCFunction)(void (*)(void))net_forward, METH_VARARGS | METH_KEYWORDS,
     "forward(fields, scale, offset, gain=None)\n--\n\nThe next images of the step."},
    {"backward", (PyCFunction)(void (*)(void))net_backward, METH_VARARGS | METH_KEYWORDS,
     "backward(labels, weights, smoothing=0.0, loss='softmax')\n--\n\n"
     "(weighted losses (n,), logits) of the last forward; its gradients join the step's."},
    {"backward_head", (PyCFunction)(void (*)(void))net_backward_head,
     METH_VARARGS | METH_KEYWORDS,
     "backward_head(labels, weights, smoothing=0.0, loss='softmax')\n--\n\n"
     "The first half of backward: the dense layers; their factors then are known."},
    {"backward_fields", net_backward_fields, METH_NOARGS,
     "backward_fields()\n--\n\nThe second half of backward: the field layers."},
    {"sum", net_sum, METH_NOARGS, "sum()\n--\n\nFill sums with those of this share's images."},
    {"form", net_form, METH_NOARGS,
     "form()\n--\n\nFill the dense layers' part of sums (a network with forms_dense)."},
    {"squares", net_squares, METH_VARARGS,
     "squares(n, part=0, parts=1, /)\n--\n\n"
     "One part of what the norm of a step of n images is summed from, float64; the parts add up."},
    {"end", net_end, METH_VARARGS,
     "end(n, squares, /)\n--\n\nEnd a shared step of n images; the norm of its gradient."},
    {"gradient", net_gradient, METH_NOARGS,
     "gradient()\n--\n\nFinish the step: fill gradients and return their Euclidean norm."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot net_slots[] = {
    {Py_tp_doc, "Net(description, threads=1, training=False, images=1, batch=images, limit=0, "
                "forms_dense=False, memory=0)\n--\n\n"
                "A network from its description (phenoscale.models).  A training step has at most "
                "batch images, at most images in one forward.  limit: of parameters, 0 for the "
                "library's own.  forms_dense: see phenoscale.h.  memory: bytes that it may hold, 0 "
                "for any number."},
    {Py_tp_init, net_init},
    {Py_tp_dealloc, net_dealloc},
    {Py_tp_methods, net_methods},
    {Py_tp_getset, net_attributes},
    {0, NULL}};

PyType_Spec net_spec = {"phenoscale._core.Net", sizeof(Net), 0, Py_TPFLAGS_DEFAULT,
                               net_slots};
