/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of images and planes: TIFFs, projections, binning, measures, augmentation. */
#include "binding.h"

#include <stdlib.h>
#include <string.h>

#define MOST_DESCRIPTION (1 << 24) /* bytes of a TIFF's that anyone needs */

static const char *
dtype_name(ps_dtype dtype)
{
    return dtype == PS_UINT8 ? "uint8" : dtype == PS_UINT16 ? "uint16" : "float32";
}

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

/* Numbers of the pages that are smaller copies of others, a tuple. */
static PyObject *
reduced_pages(ps_image *image, int64_t pages)
{
    PyObject *list, *found = NULL;
    int status;

    Py_BEGIN_ALLOW_THREADS
    status = ps_image_is_reduced(image, 0); /* reads the sizes of all */
    Py_END_ALLOW_THREADS
    if (status < 0)
        return raise_error(status);
    list = PyList_New(0);
    for (int64_t page = 0; list && page < pages; page++)
        if (ps_image_is_reduced(image, page))
            append(&list, PyLong_FromLongLong(page));
    if (list)
        found = PyList_AsTuple(list);
    Py_XDECREF(list);
    return found;
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
    if (result && info->pages > 1) {
        PyObject *reduced = reduced_pages(image, info->pages);
        if (!reduced || PyDict_SetItemString(result, "reduced", reduced) < 0)
            Py_CLEAR(result);
        Py_XDECREF(reduced);
    }
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

/* A contiguous array of n_dims, of the machine's byte order (of which PyArray_FromAny takes no
 * notice) and of one of the three types, or an exception. */
PyArrayObject *
as_pixels(PyObject *object, int n_dims)
{
    PyArrayObject *array = (PyArrayObject *)PyArray_CheckFromAny(
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
core_check_floats(PyObject *module, PyObject *object)
{
    int status;

    (void)module;
    PyArrayObject *plane = (PyArrayObject *)PyArray_FROMANY(object, NPY_FLOAT, 2, 2,
                                                            NPY_ARRAY_CARRAY_RO);
    if (!plane)
        return NULL;
    int64_t n = PyArray_SIZE(plane);
    const float *pixels = PyArray_DATA(plane);
    Py_BEGIN_ALLOW_THREADS
    status = ps_check_floats(n, pixels);
    Py_END_ALLOW_THREADS
    Py_DECREF((PyObject *)plane);
    if (status != PS_OK)
        return raise_error(status);
    Py_RETURN_NONE;
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
    int status = ps_augment(rows, &(ps_chance){seed, epoch, sample},
                            (int64_t[]){shape[0], shape[1], shape[2]}, (ps_dtype)dtype,
                            PyArray_DATA(array), spare);
    free(spare);
    if (status != PS_OK)
        return raise_error(status);
    Py_RETURN_NONE;
}

PyMethodDef image_functions[] = {
    {"read_image", (PyCFunction)(void (*)(void))core_read_image, METH_VARARGS | METH_KEYWORDS,
     "read_image(path, page=0)\n--\n\nPixels of a TIFF, (samples, height, width), of the type "
     "that holds the file's numbers exactly."},
    {"image_info", (PyCFunction)(void (*)(void))core_image_info, METH_VARARGS | METH_KEYWORDS,
     "image_info(path, page=0)\n--\n\n{pages, samples, height, width, dtype, native, "
     "is_min_white, description} of a TIFF, from its header alone, and of several pages "
     "reduced, the numbers of thumbnails and smaller copies; dtype: the type in a Loader, "
     "native: in read_image."},
    {"z", core_z, METH_VARARGS,
     "z(name, stack, /)\n--\n\nA stack (planes, h, w) as one plane (h, w): 'max' or 'mean'."},
    {"bin", core_bin, METH_VARARGS,
     "bin(plane, n, /)\n--\n\nMeans of n x n pixels: (h, w) -> (h // n, w // n), whole numbers "
     "rounded."},
    {"measure", core_measure, METH_O,
     "measure(plane, /)\n--\n\n{min, max, mean, at_max, bits, detail} of a plane (h, w): pixels "
     "at the maximum, bits set anywhere (whole numbers), energy of detail by octave."},
    {"check_floats", core_check_floats, METH_O,
     "check_floats(plane, /)\n--\n\nImageError where some pixels of a plane (h, w) of float32 are "
     "NaN, infinite, or the code of a program for missing pixels."},
    {"augment", core_augment, METH_VARARGS,
     "augment(field, rows, seed, epoch, sample, /)\n--\n\nAugment a field (c, h, w) in place; "
     "rows is a set of bits, row k of augment_names() being 1 << k."},
    {NULL, NULL, 0, NULL}};
