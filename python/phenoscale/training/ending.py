# SPDX-License-Identifier: BSD-3-Clause
"""The end of a run: the model that is kept, what it knows beside its weights, and how well it does
on the fields that were not trained on.

    weights -> controls, head of the measures -> model
    fields that were watched -> how certain its answers are, where folds did not say
    model, fields not trained on -> predictions.csv, errors.csv
    the same fields by network, measures, both, and by what any of them must beat -> heads.csv

The network and the files are those of the training: a second network would be in memory beside it.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from phenoscale.files.csv import write_csv
from phenoscale.images.measures import Measurer, cells_in
from phenoscale.models.averaged import as_one, joined
from phenoscale.models.certainty import Certainty
from phenoscale.models.controls import controls_of
from phenoscale.models.head import HEADS, Head
from phenoscale.models.model import Model
from phenoscale.models.novelty import Novelty
from phenoscale.prediction.frame import prediction_frame
from phenoscale.prediction.measure import measure_fields
from phenoscale.prediction.plates import find_plates
from phenoscale.prediction.predict import Network
from phenoscale.profiles.aggregate import aggregate
from phenoscale.ranks.crew import Crew
from phenoscale.scores.intervals import wilson
from phenoscale.tables.class_keys import class_keys
from phenoscale.tables.outputs import write_errors
from phenoscale.tables.predictions import probability_column, probability_columns
from phenoscale.tables.repeats import likely_wells, well_groups
from phenoscale.training.certain import found_on, what_lacks
from phenoscale.training.first_pass import Labelled
from phenoscale.training.head import Watched, fit_head, measurer_for, probabilities_of
from phenoscale.training.novelty import fit_novelty
from phenoscale.training.run_folder import RunFolder
from phenoscale.training.train import Trained
from phenoscale.words import count

__all__ = ["COUNT_ALONE", "UNTRAINED", "Ending", "model_of"]

#: what every head must beat: a regression on the cell count, and on a network of random weights
COUNT_ALONE, UNTRAINED = "cell count alone", "untrained network"


def model_of(fields: Labelled, trained: Trained, **known) -> Model:
    """The model as the training stands.

    known: its `controls`, `head`, `novelty` and `certainty`, where they are.
    """
    return trained.model(fields.classes, fields.table.channels, **fields.about, **known)


class Ending:
    """What is done once the last step is.

    Parameters
    ----------
    fields : Labelled
    trained : Trained
    keeper : phenoscale.training.keeper.Keeper or phenoscale.training.follower.Follower
    crew : Crew
    certainty : Certainty, optional
        Of models like this one, that the model is told.
    others : sequence of phenoscale._core.Net
        More members of the model, beside the network of the training.

    Attributes
    ----------
    notes : list of str
        What has to be said of it.
    """

    def __init__(self, fields: Labelled, trained: Trained, keeper, crew: Crew,
                 certainty: Certainty | None = None, others=()):
        self._certainty, self._others = certainty, others
        self._fields, self._trained, self._keeper, self._crew = fields, trained, keeper, crew
        lost = np.array(list(trained.lost), np.int64)
        self._train, self._val = (np.setdiff1d(fields.rows(side), lost)
                                  for side in ("train", "val"))
        self._measurer, words = measurer_for(trained.recipe, fields.table.channels, crew.threads,
                                             keeper.warn)
        self.notes = [words] * bool(words)
        self._numbers = np.empty((0, 0), np.float32)  # of the training fields, as the head has them

    # ---- the model -----------------------------------------------------------------------------

    def model(self, is_control) -> Model:
        """The model that is kept; the best one in the folder gets to know the same.

        is_control: whether a field is one, (fields,) bool.
        """
        net, keeper, ranks = self._trained.net, self._keeper, self._crew.ranks
        self._trained.optimizer = self._trained.average = None  # room for a second set of weights
        self._measure()
        is_best = self._trained.recipe.select == "best"
        controls = self._train[is_control[self._train]]
        knows = is_best or len(controls) or self._measurer
        if knows and ranks.spread(keeper.has_best()):
            last = keeper.swap_best(net.parameters)
            model = self._known(controls)
            keeper.save_best(model)
            if is_best:
                return model
            keeper.put_back(net.parameters, last)
        return self._known(controls)

    def _measure(self) -> None:
        """The measures of the training fields, once for all weights."""
        if not self._measurer:
            return
        found = measure_fields(self._fields.source, self._train, self._measurer,
                               self._keeper.on_error, self._crew)
        there = [i for i in range(len(self._train)) if i not in found.skipped]
        self._train, self._numbers = self._train[there], found.numbers[there]
        if self._trained.plates:
            self._trained.plates = find_plates(
                self._fields.source, self._fields.table, self._fields.about["feeding"],
                self._crew, self._measurer, self._trained.plates)
            self._numbers = self._trained.plates.select(self._train).relative(self._numbers)

    def _known(self, controls) -> Model:
        """The model of the weights that rank 0 has, and what it knows of controls and measures."""
        self._crew.ranks.copy(self._trained.net.parameters)
        _, found = self._ask(controls, self._network())
        rows, watched = self._ask(self._val, self._network(self._measurer))
        known = {"controls": controls_of(found.embeddings), "certainty": self._certainty}
        if self._measurer:
            known["head"] = self._head(rows, watched)
            known["novelty"] = self._novelty(known["head"])
            self._note(known["head"].why)
        model = joined(model_of(self._fields, self._trained, **known),
                       [net.parameters for net in self._others])
        if self._certainty is None and len(rows):
            model.certainty = self._certainty_by(model, rows, watched)
        return model

    def _network(self, measurer: Measurer | None = None) -> Network:
        """The networks as their model will ask them, and what measures the same fields."""
        trained = self._trained
        return replace(trained.network(self._crew.threads), measurer=measurer,
                       net=as_one([trained.net, *self._others], trained.recipe.views))

    def _ask(self, rows, network: Network):
        """The rows of some fields that could be read, and what a network says of them."""
        found = network.run(self._fields.source, rows, self._keeper.on_error,
                            ranks=self._crew.ranks)
        there = np.array([i for i in range(len(rows)) if i not in found.skipped], np.int64)
        return rows[there], found.only(there)

    def _head(self, rows, watched) -> Head:
        """The head, fitted by rank 0; of some fields watched their rows, and what is said of
        them."""
        fields, recipe, ranks = self._fields, self._trained.recipe, self._crew.ranks
        head = None if ranks.rank else fit_head(
            self._measurer, self._numbers, fields.labels[self._train], self._groups(self._train),
            recipe.balance == "class", recipe.head,
            Watched(watched.logits, watched.relative, fields.labels[rows]))
        about = ranks.spread(head and head.about())
        mine = Head(**about)
        mine.take(_flat(head, mine.shapes(len(fields.classes)), ranks), len(fields.classes))
        return mine

    def _novelty(self, head: Head) -> Novelty | None:
        """What is known of the classes' fields, found by rank 0."""
        fields, ranks = self._fields, self._crew.ranks
        found = None if ranks.rank else fit_novelty(
            head, self._numbers, fields.labels[self._train], self._groups(self._train))
        about = ranks.spread(found and found.about())
        if about is None:
            return None
        mine, classes = Novelty(**about), len(fields.classes)
        mine.take(_flat(found, mine.shapes(head, classes), ranks), head, classes)
        return mine

    def _certainty_by(self, model: Model, rows, watched) -> Certainty | None:
        """How certain the model's answers are, by the fields watched; None where they are few."""
        fields, recipe, ranks = self._fields, self._trained.recipe, self._crew.ranks
        wells, labels = well_groups(fields.table), fields.labels[rows]
        wells = [wells[row] for row in rows] if "well" in fields.table.roles else []
        lack = what_lacks(labels, wells, fields.classes)
        if lack:
            self._note(f"how certain the model's answers are is not known: {lack}")
            return None
        why = (f"found on {count(len(rows), 'field')} of {len(set(wells))} wells that the training "
               "watched" + ", and by which its end was chosen" * bool(
                   recipe.patience or recipe.select == "best"))
        self._note(f"how certain the model's answers are was {why}")
        novelty = (model.novelties(watched.relative)
                   if model.novelty is not None and model.head.asks_measures() else None)
        found = None if ranks.rank else asdict(found_on(
            model.probabilities(watched.logits, watched.numbers), labels, wells, why, novelty))
        return Certainty(**ranks.spread(found))

    def _note(self, words: str) -> None:
        """What has to be said, once."""
        if words not in self.notes:
            self.notes.append(words)

    def _groups(self, rows) -> list:
        """What stays together in inner folds: compounds where the split is by them, else wells."""
        table, split = self._fields.table, self._fields.about["split"]
        compound = table.roles.get("compound")
        if compound and (split["val_by"] == "compound" or compound in split["holdout"]):
            keys = list(table.role("compound"))
        else:
            keys = well_groups(table)
        return [keys[row] for row in rows]

    # ---- the fields that were not trained on ---------------------------------------------------

    def score_rest(self, folder: RunFolder, model: Model) -> None:
        """Write predictions.csv and heads.csv of the fields not trained on, and errors.csv of all
        left out."""
        fields, trained, crew = self._fields, self._trained, self._crew
        rest = np.flatnonzero(~np.isin(fields.sides, ("train", "skipped")))
        if len(rest):
            network = replace(self._network(self._measurer), model=model)
            found = network.run(fields.source, rest, "skip", crew.watch, crew.ranks)
            fields.usable.leave_out({int(rest[i]): why for i, why in found.skipped.items()})
            fields.sides[rest[list(found.skipped)]] = "skipped"
            if found.skipped:
                self.notes.append(f"{len(found.skipped)} of {len(rest)} fields not trained on "
                                  "cannot be read: see errors.csv")
            if crew.is_first:
                write_csv(prediction_frame(model, fields.table.select(rest), found),
                          folder.file(folder.PREDICTIONS))
            self._write_heads(folder, model, rest, found)
        fields.usable.leave_out(trained.lost)  # in the words of the time when they were lost
        if crew.is_first:
            write_errors(fields.usable.whole, fields.usable.left_out, folder.file(folder.ERRORS))

    def _write_heads(self, folder: RunFolder, model: Model, rest, found) -> None:
        """heads.csv, where there are fields to score."""
        import pandas

        sides = self._fields.sides[rest]
        side = next((side for side in ("test", "val") if (sides == side).any()), None)
        if side is None or model.head is None:
            return
        there = np.flatnonzero(sides == side)
        rows, found = rest[there], found.only(there)
        opinions = {kind: replace(model.head, kind=kind).probabilities(found.logits, found.relative)
                    for kind in HEADS}
        count, labels = cells_in(self._measurer.names), self._fields.labels[self._train]
        if count is not None:
            opinions[COUNT_ALONE] = probabilities_of(self._numbers[:, [count]], labels,
                                                     found.relative[:, [count]])
        opinions[UNTRAINED] = self._untrained(rows)
        if self._crew.is_first:
            truth = self._fields.labels[rows]
            table = [{"Head": name, "Side": side, "Chosen": name == model.head.kind,
                      **self._scores(chances, truth, rows)} for name, chances in opinions.items()]
            write_csv(pandas.DataFrame(table), folder.file(folder.HEADS))

    def _untrained(self, rows) -> np.ndarray:
        """What a regression on the embeddings of random weights says of some rows."""
        net, network = self._trained.net, self._trained.network(self._crew.threads)
        kept = net.parameters.copy()
        net.initialise(self._trained.recipe.seed)
        (train, ours), (_, theirs) = (self._ask(some, network) for some in (self._train, rows))
        net.parameters[:] = kept
        return probabilities_of(ours.embeddings, self._fields.labels[train], theirs.embeddings)

    def _scores(self, chances, truth, rows) -> dict:
        """How many fields, and wells by `aggregate`, are right; the interval is that of wells."""
        import pandas

        table, classes = self._fields.table, self._fields.classes
        right, n = int((chances.argmax(axis=1) == truth).sum()), len(truth)
        found = {"FieldsRight": right, "Fields": n}
        if "well" in table.roles:
            keys = likely_wells(table)
            frame = pandas.DataFrame({"Well": [str(keys[row]) for row in rows], "Truth": truth})
            frame[[probability_column(key) for key in class_keys(classes)]] = chances
            wells = aggregate(frame, ["Well", "Truth"], classes)
            columns = probability_columns(wells, classes)
            right, n = int((wells[columns].to_numpy().argmax(axis=1) == wells["Truth"]).sum()), len(
                wells)
            found |= {"WellsRight": right, "Wells": n}
        low, high = wilson(right, n)
        return found | {"Accuracy": right / n, "Low": low, "High": high}


def _flat(part, shapes, ranks) -> np.ndarray:
    """The tensors of rank 0's part of a model, one after the other, on every rank."""
    flat = (np.empty(sum(int(np.prod(shape)) for _, shape in shapes), np.float32) if ranks.rank
            else np.concatenate([numbers for *_, numbers in part.tensors()]))
    ranks.copy(flat)
    return flat
