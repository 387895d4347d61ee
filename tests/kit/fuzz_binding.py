# SPDX-License-Identifier: BSD-3-Clause
"""Calls of the whole binding at random, with arguments at random, on objects that live on from call
to call:

    python fuzz_binding.py SEED CALLS

A call may raise what the binding raises; it must not crash, hang, or give a number that is none.
The seed says it all: the last line on stderr is the number of the call at hand.
"""

import os
import sys
import tempfile

import numpy as np
import tifffile

from phenoscale import _core

#: What a call may end in.  Anything else is a fault.
ALLOWED = (ValueError, TypeError, RuntimeError, OverflowError, OSError, MemoryError,
           AttributeError, IndexError, KeyError)
INTEGERS = [0, 1, 2, 3, 4, 7, 8, 16, 31, 64, 65, 100, -1, -2, 2**16, 2**24, 2**31 - 1, 2**31,
            2**53, 2**62, 2**63 - 1, -(2**63), 2**64 - 1, 2**64]
FLOATS = [0.0, 1.0, 0.5, -1.0, 1e-30, 1e10, 1e38, 3.5e38, -1e300, np.inf, -np.inf, np.nan]
NETS = ["f: input channels=2 height=12 width=17 pad=4\na: conv filters=3 kernel=3 relu=1\n"
        "z: dense units=3",
        "f: input channels=2 height=12 width=17\np: pyramid levels=1\n"
        "s: tower filters=3 window=4\nt: tower filters=17 window=2 level=1 from=p\n"
        "m: merge from=s,t\nn: conv filters=4 kernel=1 relu=1\ng: gap rectify=1\nz: dense units=3",
        "f: input channels=2 height=12 width=17\nd: dense units=5 relu=1\nz: dense units=3 "
        "rectify=1"]
WORDS = ["input", "conv", "tower", "pyramid", "dense", "merge", "gap", "pool", "channels=", "f:",
         "height=", "units=", "from=", "=", ",", ":", "\n", " ", "\0", "é", "9" * 30, "-1", "0"]
SHAPE = (2, 12, 17)


class Fuzz:
    """The objects at hand, and one call of any kind at a time."""

    def __init__(self, seed, folder):
        self.random = np.random.default_rng(seed)
        self.files = self.write_files(folder)
        self.loaders, self.nets, self.optimizers, self.kept = [], [], [], []
        self.calls = [getattr(self, name) for name in dir(self) if name.startswith("do_")]
        self.done = dict.fromkeys((call.__name__ for call in self.calls), 0)

    def write_files(self, folder):
        random, paths = np.random.default_rng(0), []
        for k, (shape, dtype, words) in enumerate([
                ((12, 17), "u1", {}), ((12, 17), "u2", {}), ((5, 12, 17), "u2", {}),
                ((12, 17, 3), "u1", {"photometric": "rgb"}), ((12, 17), "f4", {}),
                ((12, 17, 4), "u2", {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
                ((13, 17), "u1", {}), ((12, 17), "u2", {"compression": "zlib"})]):
            paths.append(os.path.join(folder, f"{k}.tif"))
            tifffile.imwrite(paths[-1], random.integers(0, 250, shape).astype(dtype), **words)
        return [*paths, os.path.join(folder, "none.tif"), folder]

    # ---- arguments ----

    def one_of(self, things):
        return things[self.random.integers(len(things))]

    def often(self, right, wrong):
        """Mostly what is right: a call that is always refused goes nowhere."""
        return right() if self.random.random() < 0.85 else wrong()

    def integer(self):
        return self.one_of(INTEGERS)

    def small(self, top=4):
        return self.often(lambda: int(self.random.integers(top + 1)), self.integer)

    def number(self):
        return self.often(lambda: float(self.random.random()), lambda: self.one_of(FLOATS))

    def thing(self):
        return self.one_of([None, "x", b"x", [], {}, 3, -1.5, np.nan, object(), [[1], [1, 2]],
                            np.zeros((0, 3)), np.array("x"), np.array([None]), self.array((3,))])

    def array(self, shape, dtypes=("u1", "u2", "f4", ">u2", ">f4", "f8", "i8", "?", "c8")):
        dtype = np.dtype(self.one_of(dtypes))
        values = self.random.integers(0, 2 ** self.random.integers(1, 17), shape)
        with np.errstate(all="ignore"):
            array = values.astype(dtype)
        if dtype.kind == "f" and array.size and self.random.random() < 0.2:
            with np.errstate(all="ignore"):
                array.flat[self.random.integers(array.size)] = self.one_of(FLOATS)
        how = self.random.integers(8)
        if how == 0:
            array = np.asfortranarray(array)
        elif how == 1:
            array.flags.writeable = False
        elif how == 2 and array.ndim:
            array = np.repeat(array, 2, axis=-1)[..., ::2]
        elif how == 3:
            array = np.frombuffer(b"x" + array.tobytes(), dtype, offset=1).reshape(array.shape)
        return array

    def pixels(self, n_dims=3):
        shape = self.often(lambda: SHAPE[3 - n_dims:], lambda: tuple(
            int(self.random.integers(9)) for _ in range(self.random.integers(5))))
        return self.often(lambda: self.array(shape, ("u1", "u2", "f4", ">u2")),
                          lambda: self.often(lambda: self.array(shape), self.thing))

    def numbers(self, n, top=3):
        """n integers, mostly."""
        return self.often(lambda: self.random.integers(0, top, n),
                          lambda: self.often(lambda: [self.small(top) for _ in range(n)],
                                             self.thing))

    def fields(self):
        n = self.often(lambda: 2, lambda: int(self.random.integers(5)))
        fields = [self.pixels() for _ in range(n)]
        scale, offset = (self.often(lambda: self.random.random(2).astype("f4"),
                                    lambda: self.array((2,))) for _ in range(2))
        gain = [self.often(lambda: np.ones(SHAPE, "f4"), self.pixels)]
        return (fields, scale, offset, *(gain if self.random.random() < 0.2 else []))

    def path(self):
        return self.often(lambda: self.one_of(self.files), self.thing)

    def keep(self, thing):
        """What was handed out lives on for a while, and is read."""
        self.kept.append(thing)
        if len(self.kept) > 20:
            self.kept.pop(self.random.integers(20))
        for array in thing if isinstance(thing, (tuple, list)) else [thing]:
            if isinstance(array, np.ndarray) and array.dtype.kind in "fiu":
                array.sum(dtype="f8")

    # ---- functions ----

    def do_image(self):
        read = self.one_of([_core.read_image, _core.image_info])
        self.keep(read(self.path(), self.small()))

    def do_plane(self):
        name = self.one_of(["z", "bin", "measure", "check_floats", "numbers"])
        words = {"z": lambda: (self.one_of(["max", "mean", "no", ""]), self.pixels()),
                 "bin": lambda: (self.pixels(2), self.small(5)),
                 "numbers": lambda: (self.pixels(), self.one_of([-1, -1, 0, 1, 2, -2, 2**31]))}
        self.keep(getattr(_core, name)(*words.get(name, lambda: (self.pixels(2),))()))

    def do_augment(self):
        field = self.pixels()
        _core.augment(field, self.small(15), *(abs(self.small()) for _ in range(3)))
        self.keep(field)

    def do_table(self):
        self.one_of([lambda: _core.number_rows(self.small(), self.small()), _core.limits,
                     lambda: _core.softmax(self.often(lambda: self.array((3, 4)), self.thing)),
                     lambda: _core.loss(self.one_of(["softmax", "", "x"]), self.array((3,)),
                                        self.small(2), self.number())])()

    # ---- Loader ----

    def do_loader(self):
        files = self.often(lambda: [self.one_of(self.files[:6]) for _ in range(4)],
                           lambda: self.often(lambda: [self.path() for _ in range(4)], self.thing))
        ends = np.cumsum(self.random.integers(1, 3, 6))
        planes = np.stack([self.often(lambda: [self.random.integers(4), 0, 0],
                                      lambda: self.random.integers(0, (4, 3, 5)))
                           for _ in range(ends[-1])])
        if self.random.random() < 0.2:
            planes.flat[self.random.integers(planes.size)] = self.one_of(INTEGERS[:-2])
            ends[self.random.integers(6)] = self.small(9) % 2**62
        shape = self.often(lambda: SHAPE, lambda: (self.small(), self.small(), self.small()))
        self.loaders.append(_core.Loader(
            files, planes, ends, shape, self.one_of(["uint16", "float32", "float32", "f8", ">u2"]),
            self.one_of(["max", "mean", "mean", None, "no"]), self.one_of([1, 1, 2, 5, 13, 0, -3]),
            self.one_of([1, 2, 3, 0, 1025]), self.one_of([1, 2, 4, 0, -1, 2**40])))
        if len(self.loaders) > 3:
            self.loaders.pop(0)

    def do_start(self):
        order = self.numbers(4)
        self.one_of(self.loaders).start(
            order, self.one_of([0, 0, 1, 5, 15, 2**31]), 0, 0,
            self.one_of([None, None, self.numbers(4), self.numbers(3)]))
        if isinstance(order, np.ndarray) and order.flags.writeable and order.dtype.kind == "i":
            order[...] = 2**60

    def do_next(self):
        self.keep(self.one_of(self.loaders).next())

    def do_release(self):
        self.one_of(self.loaders).release(self.often(lambda: 1, self.integer))

    # ---- Net ----

    def text(self):
        text = self.one_of(NETS)
        for _ in range(self.often(lambda: 0, lambda: 3)):
            at = self.random.integers(len(text))
            text = text[:at] + self.one_of(WORDS) + text[at + self.random.integers(6):]
        return text

    def do_net(self):
        self.nets.append(_core.Net(
            self.text(), self.one_of([1, 1, 2, 3, 0, -1, 5000]), self.random.random() < 0.8,
            self.often(lambda: 3, self.integer), self.often(lambda: 5, self.integer),
            self.often(lambda: 0, self.integer), self.random.random() < 0.3,
            self.often(lambda: 10**7, self.integer)))
        self.nets[-1].initialise(1)
        if len(self.nets) > 3:
            self.nets.pop(0)

    def do_init_again(self):
        self.one_of([lambda: self.one_of(self.nets).__init__(self.text()),
                     lambda: self.one_of(self.optimizers).__init__("sgd", self.one_of(self.nets)),
                     lambda: _core.Net.__new__(_core.Net).begin(),
                     lambda: _core.Loader.__new__(_core.Loader).next(),
                     lambda: _core.Optimizer.__new__(_core.Optimizer).states])()

    def do_predict(self):
        logits, embeddings = self.one_of(self.nets).predict(*self.fields())
        assert np.isfinite(logits).all() and np.isfinite(embeddings).all()

    def do_evidence(self):
        fields, scale, offset = self.fields()[:3]
        self.keep(self.one_of(self.nets).evidence(fields[:1], scale, offset, self.small(3) - 1))

    def do_step(self):
        """Whole, on a net, so that there is a gradient now and then."""
        net = self.one_of(self.nets)
        net.begin()
        net.forward([self.array(SHAPE, ("u1", "u2")) for _ in range(2)], [0.01] * 2, [0.0] * 2)
        net.backward([0, 1], [0.5, 0.5])
        net.gradient()

    def do_parts_of_step(self):
        """Its calls, mostly in an order that does."""
        net, n = self.one_of(self.nets), self.often(lambda: 2, lambda: self.small(3))
        rows = n if 0 <= n < 9 else 1
        parts = [
            lambda: net.begin(self.often(lambda: 0, self.integer)),
            lambda: net.forward(*self.fields()),
            lambda: net.backward_head(self.numbers(rows), self.often(
                lambda: np.ones(rows), self.thing)),
            net.backward_fields,
            lambda: net.forward(*self.fields()),
            lambda: net.backward(self.numbers(rows), np.ones(rows), self.number(),
                                 self.one_of(["softmax", "softmax", "x"])),
            net.form, net.sum, lambda: net.squares(n, self.small(), self.small()),
            lambda: net.end(n, self.often(lambda: np.ones(1 + 2 * rows), self.thing)),
            net.gradient]
        for part in parts:
            try:
                self.keep(self.often(lambda part=part: part, lambda: self.one_of(parts))())
            except ALLOWED:
                pass

    def do_attributes(self):
        net = self.one_of(self.nets)
        for name in ("parameters", "gradients", "sums", "factors", "slices", "memory", "training"):
            self.keep(getattr(net, name))
        if self.random.random() < 0.05:
            net.parameters[self.random.integers(net.parameters.size)] = self.one_of(
                [np.nan, np.inf, 1e30, -3e38])
        elif self.random.random() < 0.3:
            net.initialise(abs(self.small()))

    # ---- Optimizer ----

    def do_optimizer(self):
        self.optimizers.append(_core.Optimizer(
            self.one_of([*_core.optimizer_names(), "x"]),
            self.often(lambda: self.one_of(self.nets), self.thing)))
        if len(self.optimizers) > 3:
            self.optimizers.pop(0)

    def do_update(self):
        self.one_of(self.optimizers).update(self.one_of(self.nets), *(
            abs(self.number()) for _ in range(self.random.integers(1, 7))))

    def do_states(self):
        optimizer = self.one_of(self.optimizers)
        self.keep(optimizer.states)
        optimizer.steps = self.small()

    def run(self, n):
        refused = 0
        for number in range(n):
            call = self.one_of(self.calls)
            try:
                call()
                self.done[call.__name__] += 1
            except ALLOWED:
                refused += 1
            except AssertionError:
                print(f"call {number}, {call.__name__}", file=sys.stderr)
                raise
        return refused


def main(seed, calls):
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(seed, folder)
        refused = fuzz.run(calls)
        print(f"seed {seed}: {calls} calls, {refused} refused;",
              ", ".join(f"{name[3:]} {n}" for name, n in fuzz.done.items()))
        fuzz.loaders.clear()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
