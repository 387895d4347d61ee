/* SPDX-License-Identifier: BSD-3-Clause */
/* The class Loader: fields from TIFFs, read ahead in threads. */
#include "binding.h"

#include <stdlib.h>

#define LOADER_WAIT_S 0.05 /* between two looks at Ctrl-C while waiting for a field */

typedef struct {
    PyObject_HEAD
    ps_loader *loader;
    npy_intp shape[3];
    int dtype, busy;
} Loader;

/* The bytes of n paths, a tuple; `kept` keeps them alive.  A path may be asked for by a call into
 * Python, which changes what it likes: a list of paths, the arrays of a spec. */
static int
take_paths(PyObject *paths, Py_ssize_t n, PyObject **kept, const char **list)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!PyUnicode_FSConverter(PyTuple_GetItem(paths, i), &kept[i]))
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

/* The loader of a spec that lacks its files and planes. */
static void
make_loader(Loader *self, ps_loader_spec *spec, PyObject *files, PyObject *planes, PyObject *ends)
{
    PyObject *paths = PyList_AsTuple(files);
    PyArrayObject *plane_array = paths ? as_array(planes, NPY_INT64, 2) : NULL;
    PyArrayObject *end_array = plane_array ? as_array(ends, NPY_INT64, 1) : NULL;

    spec->n_files = paths ? PyTuple_Size(paths) : 0;
    const char **list = calloc((size_t)spec->n_files + 1, sizeof *list);
    PyObject **kept = calloc((size_t)spec->n_files + 1, sizeof *kept);
    if (!kept || !list)
        PyErr_NoMemory();
    else if (end_array && take_paths(paths, spec->n_files, kept, list) &&
             take_planes(spec, plane_array, end_array)) {
        spec->files = list;
        int status = ps_loader_init(&self->loader, spec);
        if (status != PS_OK)
            raise_error(status);
    }
    for (int64_t k = 0; kept && k < spec->n_files; k++)
        Py_XDECREF(kept[k]);
    free(kept);
    free(list);
    Py_XDECREF(paths);
    Py_XDECREF((PyObject *)plane_array);
    Py_XDECREF((PyObject *)end_array);
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
    int type = descr->type_num;
    Py_DECREF(descr);
    if (self->loader || !to_dtype(type) || c < 1 || c > PS_LIMIT_CHANNELS || bin < 1) {
        PyErr_Format(PyExc_ValueError, "a Loader is initialised once, for fields of 1 to %d "
                                       "channels of uint8, uint16 or float32", PS_LIMIT_CHANNELS);
        return -1;
    }
    if (!enter(&self->busy))
        return -1;
    spec.c = c;
    spec.h = h;
    spec.w = w;
    spec.bin = bin;
    spec.n_slots = slots;
    spec.dtype = (ps_dtype)to_dtype(type);
    self->dtype = type;
    self->shape[0] = (npy_intp)c;
    self->shape[1] = (npy_intp)(h / bin);
    self->shape[2] = (npy_intp)(w / bin);
    make_loader(self, &spec, files, planes, ends);
    self->busy = 0;
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
    PyArrayObject *order_array = NULL, *sample_array = NULL;
    unsigned rows = 0;
    unsigned long long seed = 0, epoch = 0;
    int status = PS_BAD_VALUE;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|IKKO", words, &order, &rows, &seed,
                                     &epoch, &samples) ||
        !(order_array = as_array(order, NPY_INT64, 1)) ||
        (samples != Py_None && !(sample_array = as_array(samples, NPY_INT64, 1))))
        goto out;
    npy_intp n = PyArray_DIM(order_array, 0);
    if (sample_array && PyArray_DIM(sample_array, 0) != n) {
        PyErr_SetString(PyExc_ValueError, "samples has one number for each of order");
        goto out;
    }
    if (!loader_enter(self))
        goto out;
    const int64_t *numbers = PyArray_DATA(order_array);
    const int64_t *of = sample_array ? PyArray_DATA(sample_array) : NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ps_loader_start(self->loader, numbers, of, n, rows, seed, epoch);
    Py_END_ALLOW_THREADS
    self->busy = 0;
    if (status != PS_OK)
        raise_error(status);
out:
    Py_XDECREF((PyObject *)order_array);
    Py_XDECREF((PyObject *)sample_array);
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

PyType_Spec loader_spec = {"phenoscale._core.Loader", sizeof(Loader), 0,
                                  Py_TPFLAGS_DEFAULT, loader_slots};
