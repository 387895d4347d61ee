/* SPDX-License-Identifier: BSD-3-Clause */
/* The module: its errors, what all its classes convert with, and the small functions. */
#define IMPORTS_NUMPY
#include "binding.h"

#include <omp.h>
#include <pthread.h>

static PyObject *ImageError, *UnsupportedImage;
PyTypeObject *NetType;

/* ---- errors ----------------------------------------------------------------------------- */

PyObject *
raise_error(int status)
{
    PyObject *kind = status == PS_NO_MEMORY                        ? PyExc_MemoryError
                     : status == PS_IO                             ? PyExc_OSError
                     : status == PS_UNSUPPORTED                    ? UnsupportedImage
                     : status == PS_BAD_IMAGE || status == PS_LIMIT ? ImageError
                     : status == PS_BAD_VALUE                      ? PyExc_ValueError
                     : status == PS_OVERFLOW                       ? PyExc_OverflowError
                                                                   : PyExc_RuntimeError;

    if (!PyErr_Occurred()) { /* an exception from a signal handler stands */
        PyObject *sentence = PyUnicode_DecodeFSDefault(ps_error_detail()); /* it names files */
        if (sentence)
            PyErr_SetObject(kind, sentence);
        Py_XDECREF(sentence);
    }
    return NULL;
}

int
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

PyArrayObject *
as_array(PyObject *object, int type, int n_dims)
{
    int flags = NPY_ARRAY_CARRAY_RO | (type == NPY_INT64 ? 0 : NPY_ARRAY_FORCECAST);

    return (PyArrayObject *)PyArray_FROMANY(object, type, n_dims, n_dims, flags);
}

PyObject *
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

void
append(PyObject **list, PyObject *item)
{
    if (!item || PyList_Append(*list, item) < 0)
        Py_CLEAR(*list);
    Py_XDECREF(item);
}

int
to_dtype(int type)
{
    return type == NPY_UINT8 ? PS_UINT8 : type == NPY_UINT16 ? PS_UINT16
                                        : type == NPY_FLOAT32 ? PS_FLOAT32 : 0;
}

static PyObject *
names(const char *(*name)(int))
{
    PyObject *list = PyList_New(0);

    for (int row = 0; list && name(row); row++)
        append(&list, PyUnicode_FromString(name(row)));
    return list;
}

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

/* Those that Python needs to know before it calls. */
static const struct {
    const char *name;
    long long value;
} limits[] = {{"pixels", PS_LIMIT_PIXELS},     {"expansion", PS_LIMIT_EXPANSION},
              {"small", PS_LIMIT_SMALL},       {"bin", PS_LIMIT_BIN},
              {"channels", PS_LIMIT_CHANNELS}, {"side", PS_LIMIT_SIDE},
              {"threads", PS_LIMIT_THREADS}};

static PyObject *
core_limits(PyObject *module, PyObject *unused)
{
    PyObject *dict = PyDict_New();

    (void)module;
    (void)unused;
    for (size_t row = 0; dict && row < sizeof limits / sizeof *limits; row++) {
        PyObject *value = PyLong_FromLongLong(limits[row].value);
        if (!value || PyDict_SetItemString(dict, limits[row].name, value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *
core_versions(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return Py_BuildValue("{s:s,s:s}", "oneDNN", ps_dnn_version(), "libtiff", ps_tiff_version());
}

static PyMethodDef functions[] = {
    {"softmax", core_softmax, METH_O,
     "softmax(logits, /)\n--\n\nProbabilities (n, k), float32, of logits (n, k)."},
    {"loss", core_loss, METH_VARARGS,
     "loss(name, logits, label, smoothing=0.0, /)\n--\n\n(loss, gradient (k,)) of one image."},
    {"layer_names", core_layer_names, METH_NOARGS, "Names of the layer types."},
    {"loss_names", core_loss_names, METH_NOARGS, "Names of the losses."},
    {"optimizer_names", core_optimizer_names, METH_NOARGS, "Names of the optimizers."},
    {"z_names", core_z_names, METH_NOARGS, "Names of the projections of a stack."},
    {"augment_names", core_augment_names, METH_NOARGS, "Names of the augmentations."},
    {"limits", core_limits, METH_NOARGS,
     "limits()\n--\n\n{pixels, expansion, small, bin, channels, side, threads}: what the library "
     "takes at most, the PS_LIMIT_ of phenoscale.h."},
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
    if (PyModule_AddFunctions(module, image_functions) < 0 ||
        PyModule_AddFunctions(module, measure_functions) < 0 ||
        !add(module, "ImageError", ImageError) ||
        !add(module, "UnsupportedImage", UnsupportedImage) ||
        !add(module, "Net", (PyObject *)NetType) ||
        !add(module, "Loader", PyType_FromSpec(&loader_spec)) ||
        !add(module, "Optimizer", PyType_FromSpec(&optimizer_spec)))
        Py_CLEAR(module);
    return module;
}
