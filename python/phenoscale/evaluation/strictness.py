# SPDX-License-Identifier: BSD-3-Clause
"""How strictly a score is asked: what the scored fields share with those of the training, and which
classes cannot be told from where they lie.

After run.py; for evaluate.py and the headline of a report.
"""

from __future__ import annotations

from phenoscale.evaluation.predicted import PLATE, WELL, Predicted
from phenoscale.evaluation.run import Run
from phenoscale.tables.labels import single_homes
from phenoscale.words import listed

__all__ = ["confounded", "shared_with_training"]

_ROLES = ("Well", "Plate", "Batch", "Compound")
_PLACES = {"plate": PLATE, "batch": "Metadata_Batch", "well position": WELL}
_MOST_NAMED = 5


def shared_with_training(run: Run, held) -> list[tuple[str, int, int]]:
    """Wells, plates, ... of the held-out fields: (role, how many, how many also trained on)."""
    trained, facts = run.fields[run.fields["Side"] == "train"], []
    for role in _ROLES:
        columns = [PLATE] * (role == "Well") + ["Metadata_" + role]
        if columns[-1] in held:
            # of compounds, those that are more than a control
            real = run.fields[run.fields["Mark"] == ""] if role == "Compound" else held
            ours, theirs, real = (set(frame[columns].itertuples(index=False, name=None))
                                  for frame in (held, trained, real))
            ours = {name for name in ours & real if name[-1]}
            facts += [(role.lower(), len(ours), len(ours & theirs))] if ours else []
    return facts


def confounded(found: Predicted) -> list[str]:
    """A sentence for each sort of place, plate, batch or well position, of which some classes have
    one alone: a network may have learnt the place instead.

    Positions count where there are several plates.
    """
    fields, sentences = found.fields[found.fields["Truth"].isin(found.classes)], []
    several = fields[PLATE].nunique() > 1
    for place, column in _PLACES.items():
        if column in fields and (several or column != WELL):
            alone = single_homes(fields["Truth"], fields[column])
            names = listed((f"{name} ({where})" for name, where in alone.items()),
                           limit=_MOST_NAMED)
            if alone:
                sentences.append(f"In one {place} only: {names}. A network may have learnt the "
                                 f"{place} instead of the class.")
    return sentences
