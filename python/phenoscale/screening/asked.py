# SPDX-License-Identifier: BSD-3-Clause
"""What a user asks of `profile`: a bundle of words, checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from phenoscale.errors import InputError
from phenoscale.profiles.grouped import SUMMARIES
from phenoscale.profiles.standardise import METHODS
from phenoscale.tables.values import pairs_of, values_of, words_of
from phenoscale.words import listed

__all__ = ["NONE", "Asked"]

NONE = "none"  # of the ways to standardise


@dataclass(frozen=True)
class Asked:
    """How predictions become profiles and hits.

    Attributes
    ----------
    controls : dict of str to list of str
        Column to the values of negative controls; by default what the run, a column such as
        Metadata_Control, or a compound called DMSO says.
    treatment : str, optional
        Column of what was done to a well; by default compound and concentration, else the well
        itself.
    features : list of str, optional
        How the names of features begin; see `phenoscale.evaluation.features.choose_features`.
    roles : dict of str to str
        Role to column, where its name does not say it.
    join : list of path
        Tables that say more of wells or compounds.
    aggregate : {"mean", "median"}
        Of the fields of a well.
    standardise : {"mean", "robust", "none"}, optional
        On each plate's controls; by default what replicates find each other better by, and "none"
        where there are no controls.
    fit, apply : path, optional
        File to write the fit to; file of a fit to use unchanged.
    reversal : dict of str to (str, str)
        Column to its values of the disease and of the healthy state.
    """

    controls: Mapping = field(default_factory=dict)
    treatment: str | None = None
    features: Sequence | None = None
    roles: Mapping = field(default_factory=dict)
    join: Sequence = ()
    aggregate: str = "mean"
    standardise: str | None = None
    fit: str | os.PathLike | None = None
    apply: str | os.PathLike | None = None
    reversal: Mapping = field(default_factory=dict)

    def __post_init__(self):
        for name in ("controls", "reversal"):
            object.__setattr__(self, name, pairs_of(getattr(self, name), name))
        object.__setattr__(self, "roles", words_of(self.roles, "roles"))
        object.__setattr__(self, "join", values_of(self.join, "join"))
        if self.features is not None:
            object.__setattr__(self, "features", values_of(self.features, "features"))
        for name, known in (("aggregate", SUMMARIES), ("standardise", (*METHODS, NONE, None))):
            if getattr(self, name) not in known:
                raise InputError(f"{name}={getattr(self, name)}: give "
                                 f"{listed(filter(None, known))}")
        if self.reversal and [len(set(names)) for names in self.reversal.values()] != [2]:
            raise InputError("--reversal names two states of one column: write it as "
                             "COLUMN=DISEASE,HEALTHY")
        if self.apply is not None and (self.standardise or self.fit or self.reversal):
            raise InputError("--apply uses a fit as it is: leave out --standardise, --fit and "
                             "--reversal, or fit again")

    @classmethod
    def of(cls, words: Mapping) -> Asked:
        """From words and their values; InputError names a word that is none."""
        known = [entry.name for entry in fields(cls)]
        for word in words:
            if word not in known:
                raise InputError(f"unknown word {word}: profiles are asked for by "
                                 f"{listed(known, word)}")
        return cls(**words)
