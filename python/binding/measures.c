/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of fields: the classic numbers, and what each is. */
#include "binding.h"

static PyObject *
core_numbers(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"field", "nuclei", NULL};
    PyObject *object, *out = NULL;
    int nuclei = -1, status = PS_OK;

    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|i", names, &object, &nuclei))
        return NULL;
    PyArrayObject *pixels = as_pixels(object, 3);
    if (!pixels)
        return NULL;
    npy_intp *shape = PyArray_DIMS(pixels);
    npy_intp n = (npy_intp)ps_numbers_count(shape[0], nuclei);
    out = PyArray_SimpleNew(1, &n, NPY_DOUBLE);
    if (out) {
        ps_field field = {.c = shape[0], .h = shape[1], .w = shape[2],
                          .dtype = (ps_dtype)to_dtype(PyArray_TYPE(pixels)),
                          .pixels = PyArray_DATA(pixels)};
        double *to = PyArray_DATA((PyArrayObject *)out);
        Py_BEGIN_ALLOW_THREADS
        status = ps_numbers(&field, nuclei, to);
        Py_END_ALLOW_THREADS
    }
    Py_DECREF((PyObject *)pixels);
    if (status != PS_OK) {
        raise_error(status);
        Py_CLEAR(out);
    }
    return out;
}

static PyObject *
core_number_rows(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"channels", "nuclei", NULL};
    PyObject *out;
    long long channels;
    int nuclei = -1;

    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "L|i", names, &channels, &nuclei))
        return NULL;
    int64_t n = ps_numbers_count(channels, nuclei);
    if (n == 0)
        return raise_error(PS_BAD_VALUE);
    out = PyList_New(0);
    for (int64_t row = 0; out && row < n; row++) {
        ps_number about;
        int status = ps_number_about(channels, nuclei, row, &about);
        if (status != PS_OK) {
            Py_DECREF(out);
            return raise_error(status);
        }
        append(&out, Py_BuildValue("{s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:z}", "name", about.name, "a",
                                   about.a, "b", about.b, "gain", about.gain, "offset",
                                   about.offset, "flip", about.flip, "turn", about.turn,
                                   "undefined", about.undefined));
    }
    return out;
}

PyMethodDef measure_functions[] = {
    {"numbers", (PyCFunction)(void (*)(void))core_numbers, METH_VARARGS | METH_KEYWORDS,
     "numbers(field, nuclei=-1)\n--\n\nThe classic numbers of a field (c, h, w), float64, in the "
     "order of number_rows; nuclei: the channel whose cells are counted, or -1."},
    {"number_rows", (PyCFunction)(void (*)(void))core_number_rows, METH_VARARGS | METH_KEYWORDS,
     "number_rows(channels, nuclei=-1)\n--\n\nWhat the numbers of so many channels are: name with "
     "{0} and {1} for channels a and b, whether gain, offset, flip and turn leave it, and where "
     "it is undefined."},
    {NULL, NULL, 0, NULL}};
