# SPDX-License-Identifier: BSD-3-Clause
"""phenoscale: whole-image networks for high-content screens, on CPUs.

    >>> import phenoscale
    >>> sorted(phenoscale.__all__)[:3]
    ['Crew', 'Evaluation', 'Evidence']

What is named here is found when it is first used: importing the package needs only numpy, and
predicting only safetensors beside it.
"""

import importlib

__version__ = "0.1.0"

#: name -> module that has it
_HOMES = {
    "Crew": "phenoscale.ranks.crew",
    "Evaluation": "phenoscale.evaluation.evaluate",
    "Evidence": "phenoscale.prediction.evidence",
    "Explainer": "phenoscale.prediction.evidence",
    "Folds": "phenoscale.evaluation.cross_validation",
    "ImageError": "phenoscale._core",
    "InputError": "phenoscale.errors",
    "Model": "phenoscale.models.model",
    "Predictions": "phenoscale.prediction.predict",
    "Reading": "phenoscale.tables.read",
    "Recipe": "phenoscale.training.recipe",
    "Running": "phenoscale.training.keeper",
    "Split": "phenoscale.tables.split",
    "UnsupportedImage": "phenoscale._core",
    "WholeImageClassifier": "phenoscale.estimator",
    "Writing": "phenoscale.prediction.file",
    "cross_validate": "phenoscale.evaluation.cross_validation",
    "evaluate": "phenoscale.evaluation.evaluate",
    "explain": "phenoscale.profiles.explain",
    "export": "phenoscale.exports.export",
    "hits": "phenoscale.screening.profile",
    "ladder": "phenoscale.evaluation.ladder",
    "load": "phenoscale.models.model",
    "match": "phenoscale.evaluation.matching",
    "measure_to_file": "phenoscale.prediction.measure",
    "predict": "phenoscale.prediction.predict",
    "predict_to_file": "phenoscale.prediction.file",
    "predict_table": "phenoscale.prediction.predict",
    "profile": "phenoscale.screening.profile",
    "read_image": "phenoscale.images.read",
    "read_table": "phenoscale.tables.read",
    "simulate": "phenoscale.simulation.simulate",
    "train_run": "phenoscale.training.run",
    "write_report": "phenoscale.reports.report",
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'phenoscale' has no attribute '{name}'")


def __dir__():
    return [*globals(), *__all__]
