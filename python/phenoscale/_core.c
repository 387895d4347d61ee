/* SPDX-License-Identifier: BSD-3-Clause */
/* The binding: convert arguments, release the GIL, call the library, wrap the result.
 * The only file that knows Python; limited API, one build for every Python from 3.9. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03090000
#define NPY_NO_DEPRECATED_API NPY_1_20_API_VERSION
#include <Python.h>
#include <numpy/arrayobject.h>

#include "phenoscale.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LOADER_WAIT_S 0.05 /* between two looks at Ctrl-C while waiting for a field */
#define MOST_DESCRIPTION (1 << 24) /* bytes of a TIFF's that anyone needs */

static PyObject *ImageError, *UnsupportedImage;

/* ---- errors ----------------------------------------------------------------------------- */

/* Raise what a failed call means; NULL for convenience. */
static PyObject *
raise_error(int status)
{
    PyObject *kind = status == PS_NO_MEMORY                        ? PyExc_MemoryError
                     : status == PS_IO                             ? PyExc_OSError
                     : status == PS_UNSUPPORTED                    ? UnsupportedImage
                     : status == PS_BAD_IMAGE || status == PS_LIMIT ? ImageError
                     : status == PS_BAD_VALUE                      ? PyExc_ValueError
                                                                   : PyExc_RuntimeError;

    if (!PyErr_Occurred()) { /* an exception from a signal handler stands */
        PyObject *sentence = PyUnicode_DecodeFSDefault(ps_error_detail()); /* it names files */
        if (sentence)
            PyErr_SetObject(kind, sentence);
        Py_XDECREF(sentence);
    }
    return NULL;
}

/* One object serves one call at a time: a second thread gets an exception, not a race. */
static int
enter(int *busy)
{
    if (*busy) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this object is busy in another thread: use one object a thread");
        return 0;
    }
    *busy = 1;
    return 1;
}

/* Computing without the GIL; poll() takes it back for a moment to look for Ctrl-C. */
static int
poll_signals(void *context)
{
    PyThreadState **saved = context;
    int stop;

    PyEval_RestoreThread(*saved);
    stop = PyErr_CheckSignals() != 0;
    *saved = PyEval_SaveThread();
    return stop;
}

/* OpenMP's threads do not come along through a fork, and the child would wait for them for ever:
 * they are sent home before it and come back when they are next needed.  In a parallel region of
 * this thread (a signal handler that forks, under poll_signals) there is nothing to be done. */
static void
before_fork(void)
{
    if (!omp_in_parallel())
        omp_pause_resource_all(omp_pause_soft);
}

/* ---- arrays ----------------------------------------------------------------------------- */

static PyArrayObject *
as_array(PyObject *object, int type, int n_dims)
{
    int flags = NPY_ARRAY_CARRAY_RO | (type == NPY_INT64 ? 0 : NPY_ARRAY_FORCECAST);

    return (PyArrayObject *)PyArray_FROMANY(object, type, n_dims, n_dims, flags);
}

/* A view of memory that `owner` keeps alive. */
static PyObject *
view(PyObject *owner, int n_dims, npy_intp *shape, int type, void *data)
{
    PyObject *array = PyArray_SimpleNewFromData(n_dims, shape, type, data);

    if (array) {
        Py_INCREF(owner);
        if (PyArray_SetBaseObject((PyArrayObject *)array, owner) < 0) {
            Py_DECREF(array);
            return NULL;
        }
    }
    return array;
}

static int
to_dtype(int type)
{
    return type == NPY_UINT8 ? PS_UINT8 : type == NPY_UINT16 ? PS_UINT16
                                        : type == NPY_FLOAT32 ? PS_FLOAT32 : 0;
}

static const char *
dtype_name(ps_dtype dtype)
{
    return dtype == PS_UINT8 ? "uint8" : dtype == PS_UINT16 ? "uint16" : "float32";
}

static PyObject *
names(const char *(*name)(int))
{
    PyObject *list = PyList_New(0);

    for (int row = 0; list && name(row); row++) {
        PyObject *text = PyUnicode_FromString(name(row));
        if (!text || PyList_Append(list, text) < 0)
            Py_CLEAR(list);
        Py_XDECREF(text);
    }
    return list;
}

/* ---- images ----------------------------------------------------------------------------- */

/* Open the image that (path, page) name; NULL and an exception where that fails. */
static ps_image *
open_image(PyObject *args, PyObject *keywords)
{
    static char *words[] = {"path", "page", NULL};
    PyObject *path = NULL;
    long long page = 0;
    ps_image *image = NULL;
    int status;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|L", words, PyUnicode_FSConverter, &path,
                                     &page))
        return NULL;
    const char *text = PyBytes_AsString(path);
    Py_BEGIN_ALLOW_THREADS
    status = ps_image_open(&image, text, page);
    Py_END_ALLOW_THREADS
    Py_DECREF(path);
    if (status != PS_OK)
        raise_error(status);
    return status == PS_OK ? image : NULL;
}

static PyObject *
core_image_info(PyObject *module, PyObject *args, PyObject *keywords)
{
    ps_image *image = open_image(args, keywords);

    (void)module;
    if (!image)
        return NULL;
    const ps_image_info *info = ps_image_about(image);
    const char *text = ps_image_description(image);
    PyObject *result = Py_BuildValue(
        "{s:L,s:L,s:L,s:L,s:s,s:s,s:O,s:N}", "pages", (long long)info->pages, "samples",
        (long long)info->samples, "height", (long long)info->height, "width",
        (long long)info->width, "dtype", dtype_name(info->dtype), "native", info->native,
        "is_min_white", info->is_min_white ? Py_True : Py_False, "description",
        PyUnicode_DecodeUTF8(text, (Py_ssize_t)strnlen(text, MOST_DESCRIPTION), "replace"));
    ps_image_close(image);
    return result;
}

static PyObject *
core_read_image(PyObject *module, PyObject *args, PyObject *keywords)
{
    ps_image *image = open_image(args, keywords);
    PyArray_Descr *native = NULL;
    PyObject *array = NULL;
    int status = PS_OK;

    (void)module;
    if (!image)
        return NULL;
    const ps_image_info *info = ps_image_about(image);
    npy_intp shape[3] = {info->samples, info->height, info->width};
    PyObject *name = PyUnicode_FromString(info->native);
    if (name && PyArray_DescrConverter(name, &native))
        array = PyArray_NewFromDescr(&PyArray_Type, native, 3, shape, NULL, NULL, 0, NULL);
    Py_XDECREF(name);
    if (array) {
        void *pixels = PyArray_DATA((PyArrayObject *)array);
        Py_BEGIN_ALLOW_THREADS
        status = ps_image_read_native(image, pixels);
        Py_END_ALLOW_THREADS
    }
    ps_image_close(image);
    if (status != PS_OK) {
        raise_error(status);
        Py_CLEAR(array);
    }
    return array;
}

/* A contiguous array of n_dims and of one of the three types, or an exception. */
static PyArrayObject *
as_pixels(PyObject *object, int n_dims)
{
    PyArrayObject *array = (PyArrayObject *)PyArray_FromAny(
        object, NULL, n_dims, n_dims, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED, NULL);

    if (array && !to_dtype(PyArray_TYPE(array))) {
        PyErr_SetString(PyExc_ValueError, "pixels are uint8, uint16 or float32");
        Py_CLEAR(array);
    }
    return array;
}

static PyObject *
core_z(PyObject *module, PyObject *args)
{
    const char *name;
    PyObject *object, *out = NULL;
    int status = PS_OK;

    (void)module;
    if (!PyArg_ParseTuple(args, "sO", &name, &object))
        return NULL;
    PyArrayObject *stack = as_pixels(object, 3);
    if (stack)
        out = PyArray_SimpleNew(2, PyArray_DIMS(stack) + 1, PyArray_TYPE(stack));
    if (out) {
        ps_dtype dtype = (ps_dtype)to_dtype(PyArray_TYPE(stack));
        int64_t planes = PyArray_DIM(stack, 0), pixels = PyArray_SIZE((PyArrayObject *)out);
        const void *from = PyArray_DATA(stack);
        void *to = PyArray_DATA((PyArrayObject *)out);
        Py_BEGIN_ALLOW_THREADS
        status = ps_z(name, dtype, planes, pixels, from, to);
        Py_END_ALLOW_THREADS
    }
    Py_XDECREF((PyObject *)stack);
    if (status != PS_OK) {
        raise_error(status);
        Py_CLEAR(out);
    }
    return out;
}

static PyObject *
core_bin(PyObject *module, PyObject *args)
{
    PyObject *object, *out = NULL;
    long long bin;

    (void)module;
    if (!PyArg_ParseTuple(args, "OL", &object, &bin))
        return NULL;
    if (bin < 1 || bin > PS_LIMIT_BIN)
        return PyErr_Format(PyExc_ValueError, "bin is a number from 1 to %d", PS_LIMIT_BIN);
    PyArrayObject *plane = as_pixels(object, 2);
    if (plane) {
        npy_intp shape[2] = {PyArray_DIM(plane, 0) / bin, PyArray_DIM(plane, 1) / bin};
        out = PyArray_SimpleNew(2, shape, PyArray_TYPE(plane));
    }
    if (out) {
        ps_dtype dtype = (ps_dtype)to_dtype(PyArray_TYPE(plane));
        int64_t h = PyArray_DIM(plane, 0), w = PyArray_DIM(plane, 1);
        const void *from = PyArray_DATA(plane);
        void *to = PyArray_DATA((PyArrayObject *)out);
        Py_BEGIN_ALLOW_THREADS
        ps_bin(dtype, h, w, bin, from, to);
        Py_END_ALLOW_THREADS
    }
    Py_XDECREF((PyObject *)plane);
    return out;
}

static PyObject *
core_measure(PyObject *module, PyObject *object)
{
    PyArrayObject *plane = as_pixels(object, 2);
    ps_measures found;
    int status;

    (void)module;
    if (!plane)
        return NULL;
    ps_dtype dtype = (ps_dtype)to_dtype(PyArray_TYPE(plane));
    int64_t h = PyArray_DIM(plane, 0), w = PyArray_DIM(plane, 1);
    const void *pixels = PyArray_DATA(plane);
    Py_BEGIN_ALLOW_THREADS
    status = ps_measure(dtype, h, w, pixels, &found);
    Py_END_ALLOW_THREADS
    Py_DECREF((PyObject *)plane);
    if (status != PS_OK)
        return raise_error(status);
    PyObject *detail = PyList_New(found.octaves);
    for (int k = 0; detail && k < found.octaves; k++)
        PyList_SetItem(detail, k, PyFloat_FromDouble(found.detail[k]));
    return Py_BuildValue("{s:d,s:d,s:d,s:L,s:K,s:N}", "min", found.min, "max", found.max, "mean",
                         found.mean, "at_max", (long long)found.at_max, "bits",
                         (unsigned long long)found.bits, "detail", detail);
}

static PyObject *
core_augment(PyObject *module, PyObject *args)
{
    PyObject *object;
    unsigned rows;
    unsigned long long seed, epoch, sample;

    (void)module;
    if (!PyArg_ParseTuple(args, "OIKKK", &object, &rows, &seed, &epoch, &sample))
        return NULL;
    if (!PyArray_Check(object) || PyArray_NDIM((PyArrayObject *)object) != 3 ||
        !PyArray_ISCARRAY((PyArrayObject *)object) ||
        !to_dtype(PyArray_TYPE((PyArrayObject *)object))) {
        PyErr_SetString(PyExc_ValueError,
                        "augment needs a contiguous writeable array (c, h, w) of uint8, uint16 "
                        "or float32");
        return NULL;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    npy_intp *shape = PyArray_DIMS(array);
    int dtype = to_dtype(PyArray_TYPE(array));
    void *spare = malloc((size_t)(shape[1] * shape[2]) * (size_t)dtype + 1);
    if (!spare)
        return PyErr_NoMemory();
    int status = ps_augment(rows, seed, epoch, sample, shape[0], shape[1], shape[2],
                            (ps_dtype)dtype, PyArray_DATA(array), spare);
    free(spare);
    if (status != PS_OK)
        return raise_error(status);
    Py_RETURN_NONE;
}

/* ---- Loader ----------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    ps_loader *loader;
    PyObject *kept[2]; /* order and samples: the pass under way reads them */
    npy_intp shape[3];
    int dtype, busy;
} Loader;

/* The bytes of n paths; `kept` keeps them alive. */
static int
take_paths(PyObject *paths, Py_ssize_t n, PyObject **kept, const char **list)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!PyUnicode_FSConverter(PyList_GetItem(paths, i), &kept[i]))
            return 0;
        list[i] = PyBytes_AsString(kept[i]);
    }
    return 1;
}

/* The arrays of a spec: planes (p, 3), ends (n * c). */
static int
take_planes(ps_loader_spec *spec, PyArrayObject *planes, PyArrayObject *ends)
{
    npy_intp n = planes && ends ? PyArray_DIM(ends, 0) : 0;

    if (!planes || !ends)
        return 0;
    spec->planes = PyArray_DATA(planes);
    spec->ends = PyArray_DATA(ends);
    spec->n_fields = n / spec->c;
    if (PyArray_DIM(planes, 1) != 3 || n % spec->c ||
        (n > 0 && spec->ends[n - 1] != PyArray_DIM(planes, 0))) {
        PyErr_SetString(PyExc_ValueError, "planes are (p, 3), ends (n * c) and the last of them p");
        return 0;
    }
    return 1;
}

static int
loader_init(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *words[] = {"files", "planes", "ends", "shape", "dtype", "z", "bin", "workers",
                            "slots", NULL};
    Loader *self = (Loader *)object;
    PyObject *files, *planes, *ends, *dtype;
    ps_loader_spec spec = {.n_workers = 2, .n_slots = 4, .bin = 1};
    PyArray_Descr *descr = NULL;
    long long c, h, w, slots = 4, bin = 1;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!OO(LLL)O|zLiL", words, &PyList_Type,
                                     &files, &planes, &ends, &c, &h, &w, &dtype, &spec.z, &bin,
                                     &spec.n_workers, &slots) ||
        !PyArray_DescrConverter(dtype, &descr))
        return -1;
    self->dtype = descr->type_num;
    Py_DECREF(descr);
    if (self->loader || !to_dtype(self->dtype) || c < 1 || c > 64 || bin < 1) {
        PyErr_SetString(PyExc_ValueError, "a Loader is initialised once, for fields of 1 to 64 "
                                          "channels of uint8, uint16 or float32");
        return -1;
    }
    spec.c = c;
    spec.h = h;
    spec.w = w;
    spec.bin = bin;
    spec.n_slots = slots;
    spec.dtype = (ps_dtype)to_dtype(self->dtype);
    spec.n_files = PyList_Size(files);
    PyArrayObject *plane_array = as_array(planes, NPY_INT64, 2);
    PyArrayObject *end_array = plane_array ? as_array(ends, NPY_INT64, 1) : NULL;
    const char **list = calloc((size_t)spec.n_files + 1, sizeof *list);
    PyObject **kept = calloc((size_t)spec.n_files + 1, sizeof *kept);
    if (!kept || !list)
        PyErr_NoMemory();
    else if (take_planes(&spec, plane_array, end_array) &&
             take_paths(files, spec.n_files, kept, list)) {
        spec.files = list;
        int status = ps_loader_init(&self->loader, &spec);
        if (status != PS_OK)
            raise_error(status);
        self->shape[0] = (npy_intp)c;
        self->shape[1] = (npy_intp)(h / bin);
        self->shape[2] = (npy_intp)(w / bin);
    }
    for (int64_t k = 0; kept && k < spec.n_files; k++)
        Py_XDECREF(kept[k]);
    free(kept);
    free(list);
    Py_XDECREF((PyObject *)plane_array);
    Py_XDECREF((PyObject *)end_array);
    return PyErr_Occurred() ? -1 : 0;
}

static int
loader_enter(Loader *self)
{
    if (!self->loader) {
        PyErr_SetString(PyExc_RuntimeError, "this Loader was not initialised");
        return 0;
    }
    return enter(&self->busy);
}

static PyObject *
loader_start(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *words[] = {"order", "augment", "seed", "epoch", "samples", NULL};
    Loader *self = (Loader *)object;
    PyObject *order, *samples = Py_None;
    PyArrayObject *kept[2] = {NULL, NULL};
    unsigned rows = 0;
    unsigned long long seed = 0, epoch = 0;
    int status = PS_BAD_VALUE;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|IKKO", words, &order, &rows, &seed,
                                     &epoch, &samples) ||
        !(kept[0] = as_array(order, NPY_INT64, 1)) ||
        (samples != Py_None && !(kept[1] = as_array(samples, NPY_INT64, 1))))
        goto out;
    npy_intp n = PyArray_DIM(kept[0], 0);
    if (kept[1] && PyArray_DIM(kept[1], 0) != n) {
        PyErr_SetString(PyExc_ValueError, "samples has one number for each of order");
        goto out;
    }
    if (!loader_enter(self))
        goto out;
    const int64_t *numbers = PyArray_DATA(kept[0]), *of = kept[1] ? PyArray_DATA(kept[1]) : NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ps_loader_start(self->loader, numbers, of, n, rows, seed, epoch);
    Py_END_ALLOW_THREADS
    self->busy = 0;
    if (status != PS_OK)
        raise_error(status);
out:
    for (int k = 0; k < 2; k++) {
        PyObject *old = status == PS_OK ? self->kept[k] : (PyObject *)kept[k];
        if (status == PS_OK)
            self->kept[k] = (PyObject *)kept[k];
        Py_XDECREF(old);
    }
    if (status != PS_OK)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
loader_next(PyObject *object, PyObject *unused)
{
    Loader *self = (Loader *)object;
    const void *pixels = NULL;
    int status = PS_AGAIN;

    (void)unused;
    if (!loader_enter(self))
        return NULL;
    while (status == PS_AGAIN && PyErr_CheckSignals() == 0) {
        Py_BEGIN_ALLOW_THREADS
        status = ps_loader_next(self->loader, LOADER_WAIT_S, &pixels);
        Py_END_ALLOW_THREADS
    }
    self->busy = 0;
    if (status != PS_OK)
        return raise_error(status);
    return view(object, 3, self->shape, self->dtype, (void *)pixels);
}

static PyObject *
loader_release(PyObject *object, PyObject *args)
{
    Loader *self = (Loader *)object;
    long long n;

    if (!PyArg_ParseTuple(args, "L", &n) || !loader_enter(self))
        return NULL;
    int status = ps_loader_release(self->loader, n);
    self->busy = 0;
    if (status != PS_OK)
        return raise_error(status);
    Py_RETURN_NONE;
}

static void
loader_dealloc(PyObject *object)
{
    Loader *self = (Loader *)object;
    PyTypeObject *type = Py_TYPE(object);

    Py_BEGIN_ALLOW_THREADS
    ps_loader_free(self->loader);
    Py_END_ALLOW_THREADS
    Py_XDECREF(self->kept[0]);
    Py_XDECREF(self->kept[1]);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyMethodDef loader_methods[] = {
    {"start", (PyCFunction)(void (*)(void))loader_start, METH_VARARGS | METH_KEYWORDS,
     "start(order, augment=0, seed=0, epoch=0, samples=None)\n--\n\n"
     "Begin a pass over the fields numbered in order (n,) int64, samples (n,) int64 of the epoch "
     "(None: 0, 1, ...); augment: bits, as of augment_names()."},
    {"next", loader_next, METH_NOARGS,
     "next()\n--\n\nThe next field of the pass, (c, h, w): a view that is overwritten once "
     "released.  A field that cannot be read raises; release it too."},
    {"release", loader_release, METH_VARARGS,
     "release(n, /)\n--\n\nGive the n oldest fields handed out back to the ring."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot loader_slots[] = {
    {Py_tp_doc, "Loader(files, planes, ends, shape, dtype, z=None, bin=1, workers=2, slots=4)"
                "\n--\n\n"
                "Reads fields ahead in threads. files: list of paths; planes (p, 3) int64: file, "
                "page and sample of each plane; ends (n * c) int64: channel k of field i has the "
                "planes up to ends[i * c + k], made one as z says; shape: (c, h, w) in the files, "
                "of which bin x bin pixels become one; dtype: uint8, uint16 or float32."},
    {Py_tp_init, loader_init},
    {Py_tp_dealloc, loader_dealloc},
    {Py_tp_methods, loader_methods},
    {0, NULL}};

static PyType_Spec loader_spec = {"phenoscale._core.Loader", sizeof(Loader), 0,
                                  Py_TPFLAGS_DEFAULT, loader_slots};

/* ---- Net -------------------------------------------------------------------------------- */

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
    long long images, batch;
    int busy, is_training;
    Fields borrowed; /* of the last forward, until the next one or the backward */
} Net;

static PyTypeObject *NetType;

static int
net_init(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *words[] = {"description", "threads", "training", "images", "batch",
                            "limit", "forms_dense", NULL};
    Net *self = (Net *)object;
    const char *description;
    ps_net_plan plan = {.threads = 1};
    long long images = 1, batch = 0, limit = 0;
    int status;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "s|ipLLLp", words, &description, &plan.threads,
                                     &plan.is_training, &images, &batch, &limit,
                                     &plan.forms_dense))
        return -1;
    if (self->net) {
        PyErr_SetString(PyExc_RuntimeError, "a Net is initialised once");
        return -1;
    }
    self->is_training = plan.is_training;
    plan.images = self->images = images;
    plan.batch = self->batch = batch ? batch : images;
    plan.limit = limit;
    plan.poll = poll_signals;
    plan.context = &self->saved;
    Py_BEGIN_ALLOW_THREADS
    status = ps_net_init(&self->net, description, &plan);
    Py_END_ALLOW_THREADS
    if (status == PS_UNSUPPORTED || status == PS_LIMIT)
        status = PS_BAD_VALUE; /* not an image's fault */
    if (status != PS_OK)
        raise_error(status);
    return status == PS_OK ? 0 : -1;
}

static int
net_enter(Net *self)
{
    if (!self->net) {
        PyErr_SetString(PyExc_RuntimeError, "this Net was not initialised");
        return 0;
    }
    return enter(&self->busy);
}

static void
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
    if (PyArray_DIM(self->scale, 0) != shape[0] || PyArray_DIM(self->offset, 0) != shape[0] ||
        (self->gain && !(PyArray_NDIM(self->gain) == 3 &&
                         memcmp(PyArray_DIMS(self->gain), shape, 3 * sizeof *shape) == 0))) {
        PyErr_SetString(PyExc_ValueError,
                        "scale and offset have one number a channel, gain the field's shape");
        return 0;
    }
    self->fields[i] = (ps_field){.c = shape[0],
                                 .h = shape[1],
                                 .w = shape[2],
                                 .dtype = (ps_dtype)dtype,
                                 .pixels = PyArray_DATA(array),
                                 .scale = PyArray_DATA(self->scale),
                                 .offset = PyArray_DATA(self->offset),
                                 .gain = self->gain ? PyArray_DATA(self->gain) : NULL};
    return 1;
}

static int
fields_from(Fields *self, PyObject *list, PyObject *scale, PyObject *offset, PyObject *gain)
{
    memset(self, 0, sizeof *self);
    self->scale = as_array(scale, NPY_FLOAT32, 1);
    self->offset = self->scale ? as_array(offset, NPY_FLOAT32, 1) : NULL;
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

/* A call into the library without the GIL, poll_signals() excepted. */
#define RUN(self, status, call)                \
    do {                                       \
        (self)->saved = PyEval_SaveThread();   \
        (status) = (call);                     \
        PyEval_RestoreThread((self)->saved);   \
        if ((status) != PS_OK)                 \
            raise_error(status);               \
    } while (0)

/* (fields, scale, offset, gain=None) of predict and forward, and the net entered. */
static int
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

static PyObject *
net_forward(PyObject *object, PyObject *args, PyObject *keywords)
{
    Net *self = (Net *)object;
    Fields given;
    int status;

    if (!net_take(self, &given, args, keywords))
        return NULL;
    RUN(self, status, ps_net_forward(self->net, given.fields, given.n));
    fields_free(&self->borrowed);
    self->borrowed = given; /* backward reads them again */
    self->busy = 0;
    if (status != PS_OK)
        return NULL;
    Py_RETURN_NONE;
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
        if (!one || PyList_Append(maps, one) != 0)
            Py_CLEAR(maps);
        Py_XDECREF(one);
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

static PyObject *
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

static PyObject *
net_backward(PyObject *object, PyObject *args, PyObject *keywords)
{
    return net_backward_by(object, args, keywords, ps_net_backward);
}

static PyObject *
net_backward_head(PyObject *object, PyObject *args, PyObject *keywords)
{
    return net_backward_by(object, args, keywords, ps_net_backward_head);
}

static PyObject *
net_backward_fields(PyObject *object, PyObject *unused)
{
    (void)unused;
    PyObject *result = net_do(object, ps_net_backward_fields);
    if (((Net *)object)->net && ps_net_pending(((Net *)object)->net) == 0)
        fields_free(&((Net *)object)->borrowed);
    return result;
}

static PyObject *
net_sum(PyObject *object, PyObject *unused)
{
    (void)unused;
    return net_do(object, ps_net_sum);
}

static PyObject *
net_form(PyObject *object, PyObject *unused)
{
    (void)unused;
    return net_do(object, ps_net_form);
}

static PyObject *
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

static PyObject *
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

static PyObject *
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
        PyObject *array = view((PyObject *)self, 2, shape, NPY_FLOAT32, factor);
        if (!array || PyList_Append(list, array) < 0)
            Py_CLEAR(list);
        Py_XDECREF(array);
    }
    return list;
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
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
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

static PyGetSetDef net_attributes[] = {
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

static PyMethodDef net_methods[] = {
    {"initialise", net_initialise, METH_VARARGS,
     "initialise(seed, /)\n--\n\nGlorot uniform weights, biases 0 (Glorot, Bengio 2010)."},
    {"predict", (PyCFunction)(void (*)(void))net_predict, METH_VARARGS | METH_KEYWORDS,
     "predict(fields, scale, offset, gain=None)\n--\n\n"
     "Logits (n, classes) and embeddings (n, embedding), float32, of fields: a list of (c, h, w) "
     "arrays or one (n, c, h, w), uint8, uint16 or float32; the network sees "
     "counts * gain * scale + offset."},
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
                "forms_dense=False)\n--\n\n"
                "A network from its description (phenoscale.models).  A training step has at most "
                "batch images, at most images in one forward.  limit: of parameters, 0 for the "
                "library's own.  forms_dense: see phenoscale.h."},
    {Py_tp_init, net_init},
    {Py_tp_dealloc, net_dealloc},
    {Py_tp_methods, net_methods},
    {Py_tp_getset, net_attributes},
    {0, NULL}};

static PyType_Spec net_spec = {"phenoscale._core.Net", sizeof(Net), 0, Py_TPFLAGS_DEFAULT,
                               net_slots};

/* ---- Optimizer -------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    ps_optimizer *optimizer;
    npy_intp count;
    int busy;
} Optimizer;

static int
optimizer_init(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *words[] = {"name", "net", NULL};
    Optimizer *self = (Optimizer *)object;
    const char *name;
    Net *net;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "sO!", words, &name, NetType, &net))
        return -1;
    if (self->optimizer || !net->net) {
        PyErr_SetString(PyExc_RuntimeError, "an Optimizer is initialised once, with a Net");
        return -1;
    }
    int status = ps_optimizer_init(&self->optimizer, name, net->net);
    if (status != PS_OK) {
        raise_error(status);
        return -1;
    }
    self->count = ps_net_count(net->net);
    return 0;
}

static int
optimizer_is_made(const Optimizer *self)
{
    if (!self->optimizer)
        PyErr_SetString(PyExc_RuntimeError, "this Optimizer was not initialised");
    return self->optimizer != NULL;
}

static PyObject *
optimizer_update(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *words[] = {"net",   "rate",  "momentum", "second", "epsilon",
                            "decay", "scale", NULL};
    Optimizer *self = (Optimizer *)object;
    Net *net;
    ps_recipe recipe = {.momentum = 0.9, .second = 0.999, .epsilon = 1e-8, .scale = 1};
    int status;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!d|ddddd", words, NetType, &net,
                                     &recipe.rate, &recipe.momentum, &recipe.second,
                                     &recipe.epsilon, &recipe.decay, &recipe.scale))
        return NULL;
    if (!optimizer_is_made(self) || !net_enter(net))
        return NULL;
    if (!enter(&self->busy)) {
        net->busy = 0;
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    status = ps_optimizer_update(self->optimizer, net->net, &recipe);
    Py_END_ALLOW_THREADS
    self->busy = net->busy = 0;
    if (status != PS_OK)
        return raise_error(status);
    Py_RETURN_NONE;
}

static PyObject *
optimizer_states(PyObject *object, void *unused)
{
    Optimizer *self = (Optimizer *)object;

    (void)unused;
    if (!optimizer_is_made(self))
        return NULL;
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i < ps_optimizer_states(self->optimizer); i++) {
        PyObject *state = view(object, 1, &self->count, NPY_FLOAT32,
                               ps_optimizer_state(self->optimizer, i));
        if (!state || PyList_Append(list, state) < 0)
            Py_CLEAR(list);
        Py_XDECREF(state);
    }
    return list;
}

static PyObject *
optimizer_steps(PyObject *object, void *unused)
{
    Optimizer *self = (Optimizer *)object;

    (void)unused;
    return optimizer_is_made(self) ? PyLong_FromLongLong(*ps_optimizer_steps(self->optimizer))
                                   : NULL;
}

static int
optimizer_set_steps(PyObject *object, PyObject *value, void *unused)
{
    Optimizer *self = (Optimizer *)object;
    long long steps = value ? PyLong_AsLongLong(value) : -1;

    (void)unused;
    if (!optimizer_is_made(self))
        return -1;
    if (steps < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "steps is a number of updates, 0 or more");
        return -1;
    }
    *ps_optimizer_steps(self->optimizer) = steps;
    return 0;
}

static void
optimizer_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    ps_optimizer_free(((Optimizer *)object)->optimizer);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyGetSetDef optimizer_attributes[] = {
    {"states", optimizer_states, NULL, "[(count,) float32]: momentum and the like, views.", NULL},
    {"steps", optimizer_steps, optimizer_set_steps, "Updates done.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMethodDef optimizer_methods[] = {
    {"update", (PyCFunction)(void (*)(void))optimizer_update, METH_VARARGS | METH_KEYWORDS,
     "update(net, rate, momentum=0.9, second=0.999, epsilon=1e-8, decay=0, scale=1)\n--\n\n"
     "One update of the net's parameters from its gradients times scale."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot optimizer_slots[] = {
    {Py_tp_doc, "Optimizer(name, net)\n--\n\nOne of optimizer_names() for a training Net."},
    {Py_tp_init, optimizer_init},
    {Py_tp_dealloc, optimizer_dealloc},
    {Py_tp_methods, optimizer_methods},
    {Py_tp_getset, optimizer_attributes},
    {0, NULL}};

static PyType_Spec optimizer_spec = {"phenoscale._core.Optimizer", sizeof(Optimizer), 0,
                                     Py_TPFLAGS_DEFAULT, optimizer_slots};

/* ---- losses, tables, build -------------------------------------------------------------- */

static PyObject *
core_softmax(PyObject *module, PyObject *logits)
{
    PyArrayObject *in = as_array(logits, NPY_FLOAT32, 2);
    PyObject *out = in ? PyArray_SimpleNew(2, PyArray_DIMS(in), NPY_FLOAT32) : NULL;

    (void)module;
    if (out && PyArray_DIM(in, 1) > 0)
        ps_softmax(PyArray_DIM(in, 0), PyArray_DIM(in, 1), PyArray_DATA(in),
                   PyArray_DATA((PyArrayObject *)out));
    Py_XDECREF((PyObject *)in);
    return out;
}

static PyObject *
core_loss(PyObject *module, PyObject *args)
{
    const char *name;
    PyObject *object, *gradient = NULL;
    long long label;
    double smoothing = 0, loss = 0;

    (void)module;
    if (!PyArg_ParseTuple(args, "sOL|d", &name, &object, &label, &smoothing))
        return NULL;
    PyArrayObject *logits = as_array(object, NPY_FLOAT32, 1);
    if (logits)
        gradient = PyArray_SimpleNew(1, PyArray_DIMS(logits), NPY_FLOAT64);
    if (gradient) {
        int status = ps_loss(name, PyArray_DIM(logits, 0), PyArray_DATA(logits), label, smoothing,
                             &loss, PyArray_DATA((PyArrayObject *)gradient));
        if (status != PS_OK) {
            raise_error(status);
            Py_CLEAR(gradient);
        }
    }
    Py_XDECREF((PyObject *)logits);
    return gradient ? Py_BuildValue("(dN)", loss, gradient) : NULL;
}

#define NAMES(FUNCTION, TABLE)                        \
    static PyObject *FUNCTION(PyObject *m, PyObject *u) \
    {                                                 \
        (void)m;                                      \
        (void)u;                                      \
        return names(TABLE);                          \
    }
NAMES(core_layer_names, ps_layer_name)
NAMES(core_loss_names, ps_loss_name)
NAMES(core_optimizer_names, ps_optimizer_name)
NAMES(core_augment_names, ps_augment_name)
NAMES(core_z_names, ps_z_name)

static PyObject *
core_isa(PyObject *module, PyObject *unused)
{
    const char *name = ps_isa_name();

    (void)module;
    (void)unused;
    return name ? PyUnicode_FromString(name) : raise_error(PS_BAD_VALUE);
}

static PyObject *
core_fma_peak(PyObject *module, PyObject *unused)
{
    double peak;

    (void)module;
    (void)unused;
    Py_BEGIN_ALLOW_THREADS
    peak = ps_fma_peak();
    Py_END_ALLOW_THREADS
    return PyFloat_FromDouble(peak);
}

static PyObject *
core_versions(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return Py_BuildValue("{s:s,s:s}", "oneDNN", ps_dnn_version(), "libtiff", ps_tiff_version());
}

static PyMethodDef functions[] = {
    {"read_image", (PyCFunction)(void (*)(void))core_read_image, METH_VARARGS | METH_KEYWORDS,
     "read_image(path, page=0)\n--\n\nPixels of a TIFF, (samples, height, width), of the type "
     "that holds the file's numbers exactly."},
    {"image_info", (PyCFunction)(void (*)(void))core_image_info, METH_VARARGS | METH_KEYWORDS,
     "image_info(path, page=0)\n--\n\n{pages, samples, height, width, dtype, native, "
     "is_min_white, description} of a TIFF, from its header alone; dtype: the type in a Loader, "
     "native: in read_image."},
    {"z", core_z, METH_VARARGS,
     "z(name, stack, /)\n--\n\nA stack (planes, h, w) as one plane (h, w): 'max' or 'mean'."},
    {"bin", core_bin, METH_VARARGS,
     "bin(plane, n, /)\n--\n\nMeans of n x n pixels: (h, w) -> (h // n, w // n), whole numbers "
     "rounded."},
    {"measure", core_measure, METH_O,
     "measure(plane, /)\n--\n\n{min, max, mean, at_max, bits, detail} of a plane (h, w): pixels "
     "at the maximum, bits set anywhere (whole numbers), energy of detail by octave."},
    {"augment", core_augment, METH_VARARGS,
     "augment(field, rows, seed, epoch, sample, /)\n--\n\nAugment a field (c, h, w) in place; "
     "rows is a set of bits, row k of augment_names() being 1 << k."},
    {"softmax", core_softmax, METH_O,
     "softmax(logits, /)\n--\n\nProbabilities (n, k), float32, of logits (n, k)."},
    {"loss", core_loss, METH_VARARGS,
     "loss(name, logits, label, smoothing=0.0, /)\n--\n\n(loss, gradient (k,)) of one image."},
    {"layer_names", core_layer_names, METH_NOARGS, "Names of the layer types."},
    {"loss_names", core_loss_names, METH_NOARGS, "Names of the losses."},
    {"optimizer_names", core_optimizer_names, METH_NOARGS, "Names of the optimizers."},
    {"z_names", core_z_names, METH_NOARGS, "Names of the projections of a stack."},
    {"augment_names", core_augment_names, METH_NOARGS, "Names of the augmentations."},
    {"fma_peak", core_fma_peak, METH_NOARGS,
     "GFLOP/s of one core in multiply-adds with that instruction set, best of short bursts."},
    {"isa", core_isa, METH_NOARGS, "The instruction set in use: avx512, avx2 or portable."},
    {"versions", core_versions, METH_NOARGS, "Versions of the libraries inside."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "phenoscale._core",
                                        "The C library under phenoscale.", -1, functions,
                                        NULL, NULL, NULL, NULL};

static int
add(PyObject *module, const char *name, PyObject *object)
{
    int status = object ? PyModule_AddObject(module, name, object) : -1;

    if (status < 0)
        Py_XDECREF(object);
    return status == 0;
}

PyMODINIT_FUNC
PyInit__core(void)
{
    import_array();
    PyObject *module = PyModule_Create(&definition);
    if (!module)
        return NULL;
    ImageError = PyErr_NewExceptionWithDoc(
        "phenoscale.ImageError", "An image that is damaged or over a limit.", PyExc_ValueError,
        NULL);
    UnsupportedImage = PyErr_NewExceptionWithDoc(
        "phenoscale.UnsupportedImage", "A legal image of a kind that is not read.", ImageError,
        NULL);
    if (pthread_atfork(before_fork, NULL, NULL) != 0) {
        Py_DECREF(module);
        return PyErr_NoMemory();
    }
    NetType = (PyTypeObject *)PyType_FromSpec(&net_spec);
    Py_XINCREF(ImageError);
    Py_XINCREF(UnsupportedImage);
    Py_XINCREF((PyObject *)NetType);
    if (!add(module, "ImageError", ImageError) ||
        !add(module, "UnsupportedImage", UnsupportedImage) ||
        !add(module, "Net", (PyObject *)NetType) ||
        !add(module, "Loader", PyType_FromSpec(&loader_spec)) ||
        !add(module, "Optimizer", PyType_FromSpec(&optimizer_spec)))
        Py_CLEAR(module);
    return module;
}
