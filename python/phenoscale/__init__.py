# SPDX-License-Identifier: BSD-3-Clause
"""phenoscale: whole-image networks for high-content screens, on CPUs.

    >>> import phenoscale
    >>> sorted(phenoscale.__all__)[:3]
    ['Evidence', 'Explainer', 'ImageError']

What is named here is found when it is first used: importing the package needs only numpy, and
predicting only safetensors beside it.
"""

import importlib
import sys
import types

__version__ = "0.1.0"

#: name -> module that has it
_HOMES = {
    "Evidence": "phenoscale.evidence",
    "Explainer": "phenoscale.evidence",
    "ImageError": "phenoscale._core",
    "InputError": "phenoscale.errors",
    "Model": "phenoscale.model_file",
    "Predictions": "phenoscale.predict",
    "Recipe": "phenoscale.recipe",
    "UnsupportedImage": "phenoscale._core",
    "WholeImageClassifier": "phenoscale.estimator",
    "load": "phenoscale.model_file",
    "predict": "phenoscale.predict",
    "predict_table": "phenoscale.predict",
    "read_image": "phenoscale.image_file",
    "read_table": "phenoscale.table",
    "simulate": "phenoscale.simulate",
    "train_run": "phenoscale.run",
    "write_report": "phenoscale.report",
}
__all__ = list(_HOMES)


class _Package(types.ModuleType):
    """Where a function has the name of its module, phenoscale.NAME is the function."""

    def __setattr__(self, name, value):
        if not (name in _HOMES and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'phenoscale' has no attribute '{name}'")


def __dir__():
    return [*globals(), *__all__]
