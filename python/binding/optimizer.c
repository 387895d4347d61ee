/* SPDX-License-Identifier: BSD-3-Clause */
/* The class Optimizer: one update of a Net's parameters, and the state beside them. */
#include "binding.h"

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
    for (int i = 0; list && i < ps_optimizer_states(self->optimizer); i++)
        append(&list, view(object, 1, &self->count, NPY_FLOAT32,
                           ps_optimizer_state(self->optimizer, i)));
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
    if (steps < 0 || steps > PS_LIMIT_STEPS) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "steps is a number of updates, from 0 to 2**53");
        return -1;
    }
    if (!enter(&self->busy))
        return -1;
    *ps_optimizer_steps(self->optimizer) = steps;
    self->busy = 0;
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

PyType_Spec optimizer_spec = {"phenoscale._core.Optimizer", sizeof(Optimizer), 0,
                                     Py_TPFLAGS_DEFAULT, optimizer_slots};
