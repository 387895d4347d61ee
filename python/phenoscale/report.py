# SPDX-License-Identifier: BSD-3-Clause
"""The report of a run: one HTML page that stands alone, made from the files of the run folder.

Last in the flow.  A field the network was trained on is taken out when the files are read and
reaches no score, map or curve.  A part that cannot be made is left out with one line why.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass

from phenoscale import figures
from phenoscale.csv_file import FORMULA
from phenoscale.errors import InputError
from phenoscale.evaluate import classification, dose_response, z_prime
from phenoscale.model_file import class_key
from phenoscale.page import count, encode, number, write_page
from phenoscale.profiles import aggregate, log_odds, probability_columns
from phenoscale.report_fields import evidence_section, gallery_section

__all__ = ["write_report"]

_SIDES = ("train", "val", "test", "unlabelled")
_MOST_PLATES, _MOST_CURVES = 12, 24


@dataclass
class _Run:
    """What the files say; a frame is None where its file is absent or empty."""

    folder: str
    config: dict
    classes: list
    notes: list
    log: object = None  # one row an epoch, numbers
    fields: object = None  # every field of split.csv: Metadata_*, Side, Truth, Mark
    scored: object = None  # predictions of fields not trained on, with Side, Truth, Mark
    positive: str | None = None  # of two classes, the one that is not `negative`
    negative: str | None = None  # the class of the negative controls


def write_report(run):
    """Write ``report.html`` into the folder of a training run.

    Parameters
    ----------
    run : str or path
        What ``phenoscale train --out`` wrote; all but ``config.json`` may be missing.

    Returns
    -------
    str
        Path of the page: one file, a few MB at most, that needs no other.

    Raises
    ------
    InputError
        No readable config.json, a table that `train` did not write, or no room for the page.
    """
    data = _read_run(os.path.abspath(run))
    sections = {name: {"why": "", **make(data)} for name, make in _SECTIONS.items()}
    path = os.path.join(data.folder, "report.html")
    write_page(path, "report.html.j2", run=data, **sections)
    return path


def _read_run(folder):
    import pandas

    path = os.path.join(folder, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        run = _Run(folder, config, list(map(str, config["classes"])), notes=[])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} is missing or damaged: give a folder that train wrote") from None
    log, split, predictions = (_read_cells(os.path.join(folder, name))
                               for name in ("log.csv", "split.csv", "predictions.csv"))
    if log is not None and {"epoch", "loss"} <= set(log):
        run.log = log.apply(pandas.to_numeric, errors="coerce").dropna(subset="epoch")
    if split is not None and "Split" in split:
        run.fields = _own_columns(config, split)
        known = run.fields[(run.fields["Mark"] == "-") & run.fields["Truth"].isin(run.classes)]
        run.negative = known["Truth"].mode().iloc[0] if len(known) else None
    if len(run.classes) == 2:
        run.negative = run.negative or run.classes[0]
        run.positive = run.classes[1 - run.classes.index(run.negative)]
    if predictions is not None:
        run.scored = _not_trained_on(run, _own_columns(config, predictions))
    return run


def _read_cells(path):
    """A CSV as text, without embeddings and without the apostrophes that keep formulas off."""
    import pandas

    try:
        frame = pandas.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig",
                                usecols=lambda name: "Phenoscale_Emb" not in name)
    except (FileNotFoundError, pandas.errors.EmptyDataError):
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from None
    for name in frame.columns:
        if "FileName_" not in name and "PathName_" not in name:
            frame[name] = [cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell
                           for cell in frame[name]]
    return frame if len(frame) else None


def _own_columns(config, cells):
    """Roles as Metadata_<Role>; Side; Truth, the label; Mark, "-" and "+" controls, "c" others."""
    frame = cells.rename(columns=lambda name: name.removeprefix("Image_"))
    frame = frame[[c for c in frame if c.startswith(
        ("Metadata_", "Phenoscale_", "FileName_", "PathName_", "Frame_", "Sample_"))]].copy()
    for name in [c for c in frame if c.startswith("FileName_")]:
        frame[name] = frame[name].map(os.path.basename)  # as predict writes them
    for role, column in (config.get("roles") or {}).items():
        if column in cells:
            frame["Metadata_" + role.capitalize()] = cells[column]
    frame["Truth"], frame["Side"] = cells.get(config.get("label"), ""), cells.get("Split", "")
    for name in ("Metadata_Plate", "Phenoscale_Class"):
        frame[name] = frame.get(name, "")
    kinds = {"n": "-", "p": "+", "": ""}
    frame["Mark"] = ([kinds.get(cell[:1].lower(), "c") for cell in cells["Metadata_Control"]]
                     if "Metadata_Control" in cells else "")
    for column, values in _named_values(config.get("controls")):
        if column in cells:
            frame.loc[cells[column].isin(values) & (frame["Mark"] == ""), "Mark"] = "-"
    if (frame["Mark"] == "").all() and "Metadata_Compound" in frame:
        frame.loc[frame["Metadata_Compound"].str.upper() == "DMSO", "Mark"] = "-"
    return frame


def _named_values(option):
    """A recorded option {column: value or values} as pairs of column and list of text."""
    return [(column, [str(v) for v in (values if isinstance(values, list) else [values])])
            for column, values in (option or {}).items()]


def _not_trained_on(run, frame):
    """Predictions with the side of each field, without those that were or may be trained on."""
    import pandas

    if run.fields is None:
        run.notes.append("No prediction is used: there is no split.csv with a column Split that "
                         "says which fields were trained on.")
        return None
    keys = ["Metadata_Plate", *[c for c in run.fields if c in frame and c.startswith(
        ("FileName_", "Metadata_Well", "Metadata_Site"))]]
    known = run.fields[[*keys, "Side", "Truth"]].drop_duplicates()
    known = known[~known.duplicated(keys, keep=False)]  # a field on two sides is on none
    frame = frame.drop(columns=["Side", "Truth"]).merge(known, how="left", on=keys)
    probabilities = probability_columns(frame, run.classes)
    frame[probabilities] = frame[probabilities].apply(pandas.to_numeric, errors="coerce")
    is_ours = frame["Phenoscale_Class"].isin(run.classes) & frame[probabilities].notna().all(axis=1)
    for keep, why in ((frame["Side"] != "train", "trained on"),
                      (frame["Side"].isin(_SIDES), "not to be found in split.csv"),
                      (is_ours, "without a class of this run")):
        left_out = int((~keep[frame.index]).sum())
        if left_out:
            run.notes.append("Left out of every score and picture: "
                             f"{count(left_out, 'field')} of predictions.csv {why}.")
        frame = frame[keep[frame.index]]
    return frame.reset_index(drop=True) if len(frame) else None


def _wells(run, frame, *extra):
    """Fields to wells by `aggregate`, with Mark; None where there are no wells."""
    if frame is None or "Metadata_Well" not in frame or (frame["Metadata_Well"] == "").all():
        return None
    by, frame = ["Metadata_Plate", "Metadata_Well", *extra], frame[frame["Metadata_Well"] != ""]
    wells = aggregate(frame.drop(columns="Mark"), by, run.classes)
    return wells.merge(frame.groupby(by, as_index=False)["Mark"].first(), on=by)


# The sections follow: each a dict for the template, or only "why" it is left out.


def _result(run):
    """The headline: how the fields that were not trained on are told apart."""
    labelled = None if run.scored is None else run.scored[run.scored["Truth"].isin(run.classes)]
    sides = set() if labelled is None else set(labelled["Side"])
    side = next((s for s in ("test", "val") if s in sides), None)
    view = {"side": side, "z": None, "holdout": _named_values(run.config.get("holdout")),
            **{name: {} if frame is None else frame[[column, "Side"]].value_counts().to_dict()
               for name, frame, column in (("sides", run.fields, "Truth"),
                                           ("calls", run.scored, "Phenoscale_Class"))}}
    if side is None:
        return view | {"why": "No labelled field outside the training fields has a prediction."}
    fields = labelled[labelled["Side"] == side]
    wells = _wells(run, fields, "Truth")
    by_field, by_well = _score(run, fields), None if wells is None else _score(run, wells)
    if run.positive and wells is not None:
        score = log_odds(wells, run.positive, run.negative)
        is_positive = (wells["Truth"] == run.positive).to_numpy()
        view["z"] = z_prime(score[is_positive], score[~is_positive])
    return view | {
        "field": by_field, "well": by_well, "best": by_well or by_field,
        "unit": "well" if by_well else "field", "chance": 1 / sum(n > 0 for n in by_field["of"]),
        "shared": _shared_with_training(run, fields),
        "confusion": encode(figures.confusion(by_field["confusion"], run.classes), "svg+xml")}


def _score(run, frame):
    """`classification` of fields or wells, with the 95 % interval of the accuracy (Wilson)."""
    found = classification(list(frame["Truth"]), list(frame["Phenoscale_Class"]), run.classes)
    right, n, z = int(found["confusion"].trace()), found["n"], 1.96
    middle = (right + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(right * (n - right) / n + z * z / 4)
    return found | {"right": right, "of": found["confusion"].sum(axis=1).tolist(),
                    "hits": found["confusion"].diagonal().tolist(),
                    "low": max(middle - half, 0.0), "high": min(middle + half, 1.0)}


def _shared_with_training(run, held):
    """Wells, plates, ... of the held-out fields: (role, how many, how many also trained on)."""
    trained, facts = run.fields[run.fields["Side"] == "train"], []
    for role in ("Well", "Plate", "Batch", "Compound"):
        columns = ["Metadata_Plate"] * (role == "Well") + ["Metadata_" + role]
        if columns[-1] in held:
            # of compounds, those that are more than a control
            real = run.fields[run.fields["Mark"] == ""] if role == "Compound" else held
            ours, theirs, real = (set(frame[columns].itertuples(index=False, name=None))
                                  for frame in (held, trained, real))
            ours = {name for name in ours & real if name[-1]}
            facts += [(role.lower(), len(ours), len(ours & theirs))] if ours else []
    return facts


def _curves(run):
    if run.log is None or not len(run.log):
        return {"why": "The folder holds no log.csv with epochs."}
    return {"image": encode(figures.curves(run.log, 1 / len(run.classes)), "svg+xml"),
            "epochs": len(run.log), "loss": run.log["loss"].iloc[-1]}


def _plates(run):
    wells = _wells(run, run.scored)
    layout = figures.plate_layout(run.fields["Metadata_Well"]) if wells is not None else None
    if layout is None:
        return {"why": "No predictions of wells, named A01 to AF48, that were not trained on."}
    name, wells["Score"] = _plate_score(run, wells)
    most = max(float(wells["Score"].abs().quantile(0.98)), 0.5)
    limits = (-most, most) if run.positive else (0, 1)
    held = set(run.fields.loc[run.fields["Side"] == "test", "Metadata_Plate"])
    plates = sorted(dict.fromkeys(wells["Metadata_Plate"]), key=lambda plate: plate not in held)
    frames = run.fields[run.fields["Metadata_Well"] != ""].groupby(
        ["Metadata_Plate", "Metadata_Well"], as_index=False)[["Mark", "Truth"]].first()
    frames = frames.merge(wells.drop(columns=["Mark", "Truth"], errors="ignore"), how="left",
                          on=["Metadata_Plate", "Metadata_Well"])
    seen = frames["Phenoscale_Class"].notna()
    frames["Asked"] = seen & frames["Truth"].isin(run.classes)
    frames["Wrong"] = frames["Asked"] & (frames["Truth"] != frames["Phenoscale_Class"])
    maps = []
    for plate in plates[:_MOST_PLATES]:
        frame = frames[frames["Metadata_Plate"] == plate].fillna({"Phenoscale_Class": ""})
        figure = figures.plate_map(frame, run.classes, "Score", name, limits, plate, layout=layout)
        maps.append({"name": plate or "plate", "image": encode(figure, "png", 125),
                     "held": plate in held, "wells": len(frame), "asked": int(frame["Asked"].sum()),
                     "wrong": int(frame["Wrong"].sum()), "scored": int(seen[frame.index].sum())})
    return {"maps": maps, "score": name, "left_out": plates[_MOST_PLATES:]}


def _plate_score(run, wells):
    """What the heat map shows: its name in words, and its values."""
    if run.positive:
        return (f"log-odds, {run.positive} : {run.negative}",
                log_odds(wells, run.positive, run.negative))
    if run.negative:
        return (f"probability of any class but {run.negative}",
                1 - wells["Phenoscale_Prob_" + class_key(run.negative)])
    columns = probability_columns(wells, run.classes)
    return "probability of the predicted class", wells[columns].max(axis=1)


def _doses(run):
    found = _dose_wells(run)
    if isinstance(found, str):
        return {"why": found}
    wells, controls, label = found
    steps = sorted(set(wells["Dose"]))
    is_rank = len(steps) > 2 and steps == list(range(1, len(steps) + 1))
    names = "Metadata_Compound", "dose rank" if is_rank else "concentration", "Score"
    wells = wells.rename(columns={"Dose": names[1]})
    table = dose_response(wells, *names).sort_values(
        "spearman", ascending=False, key=abs, na_position="last")
    rows = table.to_dict("records")
    notes = {r["compound"]: f"Spearman {number(r['spearman'])}, {count(r['n'], 'well')}"
             for r in rows}
    drawn = wells[wells["Metadata_Compound"].isin(table["compound"][:_MOST_CURVES])]
    return {"image": encode(figures.dose_curves(drawn, *names, controls, label, notes), "svg+xml"),
            "rows": rows, "shown": min(len(rows), _MOST_CURVES), "label": label, "is_rank": is_rank,
            "has_marked": bool((drawn["Mark"] != "").any()),
            "controls": max(len(scores) for scores in controls.values())}


def _dose_wells(run):
    """Wells with Dose and Score, control scores by compound, label; or why there are none."""
    import pandas

    by = ["Metadata_Compound", "Metadata_Concentration"]
    if run.scored is None or not {"Metadata_Well", *by} <= set(run.scored):
        return "There are no predictions of wells with a compound and a concentration."
    if run.negative is None:
        return "No control class is known, so there is nothing to measure a dose against."
    wells = _wells(run, run.scored, *by)
    wells["Dose"] = pandas.to_numeric(wells["Metadata_Concentration"], errors="coerce")
    background = wells[(wells["Mark"] == "-") & ~(wells["Dose"] > 0)]
    effects = run.fields[~run.fields["Truth"].isin(["", run.negative])]
    own = effects.groupby("Metadata_Compound")["Truth"].agg(lambda truth: truth.mode().iloc[0])
    treated, parts, controls = wells[wells["Dose"] > 0], [], {}
    for name, part in treated.groupby("Metadata_Compound", sort=False):
        target = run.positive or own.get(name)
        if name and target is not None and part["Dose"].nunique() > 1:
            parts.append(part.assign(Score=log_odds(part, target, run.negative)))
            controls[name] = log_odds(background, target, run.negative)
    if not parts:
        return "No compound of a known class has two doses or more in wells not trained on."
    label = f"log-odds, {run.positive or 'own class'} : {run.negative}"
    return pandas.concat(parts), controls, label


_SECTIONS = {"result": _result, "curves": _curves, "plates": _plates, "doses": _doses,
             "gallery": gallery_section, "evidence": evidence_section}
