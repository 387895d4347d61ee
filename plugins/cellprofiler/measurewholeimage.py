# SPDX-License-Identifier: BSD-3-Clause
"""\
MeasureWholeImage
=================

**MeasureWholeImage** classifies whole fields of view with a network that phenoscale trained, and
measures how sure it is.

No objects are needed: the network sees all pixels of a field at several scales at once. A model
comes from **TrainWholeImage**, or from ``phenoscale train`` on the command line. Each field gets a
class, a probability for each class, the distance from the control wells if the model was trained
with controls, and if you want an embedding: numbers that describe the field, for profiles.

|

============ ============ ===============
Supports 2D? Supports 3D? Respects masks?
============ ============ ===============
YES          NO           NO
============ ============ ===============

What do I need as input?
^^^^^^^^^^^^^^^^^^^^^^^^

The images of one field, one for each channel of the model, of the kind that the model was trained
on: the same stains, magnification, binning and depth. An image that no module changed is read from
its TIFF file, so that the numbers are those of ``phenoscale predict`` to the last digit. Of an
image that a module made or changed, the counts are found from CellProfiler's numbers.

**The 12-bit trap.** Cameras with 12 bits are often saved in 16-bit files, and some of these files
name 4095 as their maximum. CellProfiler divides by that number with "Set intensity range from:
Image metadata" (in **LoadData**: "Rescale intensities: Yes"), but by 65535 without, and then the
counts of a *changed* image come out 16 times too small. Leave that setting on. Unchanged images are
not affected. Counts that lie far from those of the training are warned of, in the window and in
CellProfiler's log.

What do the results mean?
^^^^^^^^^^^^^^^^^^^^^^^^^

The window shows the field, the evidence in it, and the probability of each class. Red pixels
argue for the class that was found, blue ones against it.

Measurements made by this module
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

-  *Phenoscale_Class:* The most probable class.
-  *Phenoscale_Prob_<class>:* The probability of each class, 0 to 1. They sum to 1.
-  *Phenoscale_ControlDistance:* How far the field is from the controls that the model was trained
   on; the controls themselves are at 1 (root mean square). Only with a model that has controls.
-  *Phenoscale_Set* and *Phenoscale_Set90*: The classes that hold the true one in 95 and 90 % of
   fields, by the names in the columns of their probabilities, with blanks between;
   *(none of these)* for a field that is unlike every class, or whose answer is less clear than
   nearly all. Only with a model that knows them: of **train --cv**, or that watched enough wells.
-  *Phenoscale_Novelty:* How unlike every class the field is: above 1 hardly any field of the
   classes is. Only with a model whose classes come from measures.
-  *Phenoscale_Emb0000* and on: The embedding, if it is asked for.
-  *Count_WholeImageCells:* Cells, counted without objects, if the field is measured: because the
   classes of the model come from measures, or because they are asked for.
-  *Phenoscale_Quality:* What is wrong with the field, if it is measured: *empty*, *crowded*,
   *saturated*, or nothing.
-  *Intensity_MeanIntensity_DNA*, *Granularity_3_DNA* and on: The classic measures, if they are
   asked for, by the names of the model's channels, and those of CellProfiler's own measurements
   where they are the same.

See also
^^^^^^^^

See also **TrainWholeImage**, **LoadData**, **ExportToSpreadsheet**.
"""

import logging
import os
import textwrap

import numpy
from _phenoscale_backend import Failure, NoWorker, threads_of, unpacked
from _phenoscale_images import counts_of, entry_of
from _phenoscale_settings import alter_place, folder_setting, place_of, place_settings
from cellprofiler_core.constants.measurement import (
    COLTYPE_FLOAT,
    COLTYPE_VARCHAR_FORMAT,
    IMAGE,
)
from cellprofiler_core.module import Module
from cellprofiler_core.preferences import DEFAULT_INPUT_FOLDER_NAME
from cellprofiler_core.setting import (
    Binary,
    HiddenCount,
    SettingsGroup,
    ValidationError,
)
from cellprofiler_core.setting.subscriber import ImageSubscriber
from cellprofiler_core.setting.text import Filename, Integer, Text

CATEGORY = "Phenoscale"
CLASS, DISTANCE = f"{CATEGORY}_Class", f"{CATEGORY}_ControlDistance"
COUNT, QUALITY = "Count_WholeImageCells", f"{CATEGORY}_Quality"
NOVELTY = f"{CATEGORY}_Novelty"
SETS = {"95": (f"{CATEGORY}_Set", "set"), "90": (f"{CATEGORY}_Set90", "set90")}
TEXTS = {CLASS, QUALITY, *(name for name, _ in SETS.values())}
PROBABILITY, EMBEDDING = f"{CATEGORY}_Prob_{{}}", f"{CATEGORY}_Emb{{:04d}}"
FIXED = 9  # settings before those of the channels
SIDE = 512  # pixels of the pictures in the window, at most


class MeasureWholeImage(Module):
    module_name = "MeasureWholeImage"
    category = "Measurement"
    variable_revision_number = 2
    doi = {"Please cite the network when publishing: Godinez et al., Bioinformatics 2017":
           "https://doi.org/10.1093/bioinformatics/btx069"}

    def create_settings(self):
        self.model_folder = folder_setting(
            "Model folder", DEFAULT_INPUT_FOLDER_NAME,
            doc="The folder of the model file, as a rule the folder of a training run. As a "
            "sub-folder of a default folder it may begin with *..*, as in *../run*.")
        self.model_file = Filename(
            "Model file", "model.safetensors",
            get_directory_fn=self.model_folder.get_absolute_path,
            set_directory_fn=lambda path: self.model_folder.join_parts(
                *self.model_folder.get_parts_from_path(path)),
            browse_msg="Choose a model file", exts=[("Models", "*.safetensors")],
            doc="The *model.safetensors* that a training wrote. Its channels appear below once it "
            "is chosen.")
        self.wants_embedding = Binary(
            "Measure the embedding?", False,
            doc="Select \"*Yes*\" to add the numbers by which the network describes the field "
            "(2048 for *mcnn-gap*, 512 for *mcnn*): features for profiles and clustering.")
        self.wants_measures = Binary(
            "Record the measures?", False,
            doc="Select \"*Yes*\" to add the classic measures of the whole field: intensity, "
            "granularity, texture, focus and more, some 84 of each channel. *Yes* by itself once a "
            "model is chosen whose classes come from them; *No* leaves the classes as they are.")
        self.threads = Integer(
            "Threads, 0 for automatic", 0, minval=0,
            doc="How many cores one field uses. With 0, each of CellProfiler's worker processes "
            "uses one, since there is a worker for each core; test mode and runs without a window "
            "use all cores. The results do not depend on it.")
        self.place = place_settings()
        self.channels = []
        self.channel_count = HiddenCount(self.channels, "Number of channels")

    def settings(self):
        return [self.model_folder, self.model_file, self.wants_embedding,
                self.wants_measures, self.threads, *self.place, self.channel_count,
                *(setting for group in self.channels for setting in group.settings)]

    def visible_settings(self):
        return [self.model_folder, self.model_file, *(group.image for group in self.channels),
                self.wants_embedding, self.wants_measures, self.threads, *self.place]

    def upgrade_settings(self, setting_values, variable_revision_number, module_name):
        if variable_revision_number == 1:  # nothing was measured
            setting_values = [*setting_values[:3], "No", *setting_values[3:]]
            variable_revision_number = 2
        return setting_values, variable_revision_number

    def prepare_settings(self, setting_values):
        self._set_channels(setting_values[FIXED::2])

    def _set_channels(self, names):
        """A setting for each channel of the model; those known keep their image."""
        chosen = {group.channel.value: group.image.value for group in self.channels}
        self.channels[:] = []
        for name in names:
            group = SettingsGroup()
            group.append("channel", Text("Channel of the model", name))
            group.append("image", ImageSubscriber(
                # a pipeline file ends the text of a setting at its first colon
                f"Image for channel {name.replace(':', ' ')}", chosen.get(name, name),
                doc=f"The image of this pipeline that shows what the model knows as {name}."))
            self.channels.append(group)

    def on_setting_changed(self, setting, pipeline):
        if setting in (self.model_folder, self.model_file, *self.place):
            try:
                about = self._about()
            except Failure:  # validate_module says what is wrong
                return
            names = about["channels"]
            if setting is self.model_file:
                self.wants_measures.value = _needs_measures(about)
            if names != [group.channel.value for group in self.channels]:
                self._set_channels(names)

    # ---- what is wrong, before the run -----------------------------------------------------------

    def validate_module(self, pipeline):
        try:
            names = self._about()["channels"]
        except Failure as error:
            mark = self.place[0] if isinstance(error, NoWorker) else self.model_file
            raise ValidationError(str(error), mark) from None
        if names != [group.channel.value for group in self.channels]:
            raise ValidationError(
                f"The model {self._model()} has the channels {', '.join(names)}, this module has "
                f"images for {', '.join(group.channel.value for group in self.channels) or 'none'}"
                ": choose the model file again, then an image for each channel", self.model_file)
        images = [group.image.value for group in self.channels]
        for group in self.channels:
            if images.count(group.image.value) > 1:
                raise ValidationError(f"{group.image.value} is chosen for several channels: choose "
                                      "another image for each", group.image)
        if any(type(module) is type(self) for module in pipeline.modules()[: self.module_num - 1]):
            raise ValidationError("A pipeline has one MeasureWholeImage: its measurements would be "
                                  "written over; use a second pipeline", self.model_file)
        self._check_others(pipeline)

    def _check_others(self, pipeline):
        """ValidationError where an earlier module measures what would be written over."""
        ours = {name for _, name, _ in self.get_measurement_columns(pipeline)}
        for module in pipeline.modules()[: self.module_num - 1]:
            twice = [name for where, name, *_ in module.get_measurement_columns(pipeline)
                     if where == IMAGE and name in ours]
            if twice:
                raise ValidationError(f"{module.module_name} measures {twice[0]}, too: take it "
                                      "away, or record no measures here", self.wants_measures)

    def prepare_run(self, workspace):
        try:  # CellProfiler itself does not validate a pipeline that runs without a window
            self.test_valid(workspace.pipeline)
        except ValidationError as error:
            raise Failure(str(error)) from None
        return True

    def prepare_to_create_batch(self, workspace, fn_alter_path):
        self.model_folder.alter_for_create_batch_files(fn_alter_path)
        alter_place(self.place, fn_alter_path)
        return True

    def get_dictionary_for_worker(self):
        return {}

    # ---- measurements ----------------------------------------------------------------------------

    def _place(self):
        return place_of(self.place)

    def _model(self):
        return os.path.join(self.model_folder.get_absolute_path(), self.model_file.value)

    def _about(self):
        return self._place().about(self._model())

    def _features(self):
        """Names of the measurements, of the model alone."""
        try:
            about = self._about()
        except Failure:  # a run stops before it asks
            return []
        names = [CLASS, *map(PROBABILITY.format, about["keys"])]
        if about["has_controls"]:
            names.append(DISTANCE)
        names += [name for name, _ in _sets(about)]
        if about.get("has_novelty"):
            names.append(NOVELTY)
        if self.wants_embedding.value:
            names += map(EMBEDDING.format, range(about["embedding"]))
        if self.wants_measures.value or _needs_measures(about):
            names += [COUNT] * _counts_cells(about) + [QUALITY]
        if self.wants_measures.value:
            names += map(_plain, about["measure_names"])
        return names

    def get_measurement_columns(self, pipeline):
        names = self._features()
        widest = 0
        if names:  # of a class, or a set of all keys
            about = self._about()
            widest = max(max(map(len, about["classes"])), len(" ".join(about["keys"])))
        text = COLTYPE_VARCHAR_FORMAT % max(64, widest)
        return [(IMAGE, name, text if name in TEXTS else COLTYPE_FLOAT)
                for name in names]

    def get_categories(self, pipeline, object_name):
        if object_name != IMAGE:
            return []
        return list(dict.fromkeys([CATEGORY, *(name.split("_")[0] for name in self._features())]))

    def get_measurements(self, pipeline, object_name, category):
        if object_name != IMAGE:
            return []
        return [name[len(category) + 1:] for name in self._features()
                if name.startswith(f"{category}_")]

    # ---- the run ---------------------------------------------------------------------------------

    def run(self, workspace):
        place, about = self._place(), self._about()
        field = [entry_of(place, workspace.image_set, group.image.value, about["z"])
                 for group in self.channels]
        task = {"model": place.shared(self._model()), "threads": threads_of(self.threads.value)}
        found = place.execute("predict", {**task, "fields": [field],
                                          "embeddings": self.wants_embedding.value,
                                          "measures": self.wants_measures.value})
        warnings = found.get("warnings", [])  # a worker of an earlier version has none
        for words in warnings:
            logging.warning("MeasureWholeImage, image set %d: %s",
                            workspace.measurements.image_set_number, words)
        values = [found["class"][0], *found["probabilities"][0]]
        if about["has_controls"]:
            values.append(found["distance"][0])
        values += [found[word][0] for _, word in _sets(about)]
        if about.get("has_novelty"):
            values.append(_number(found["novelty"][0]))
        if self.wants_embedding.value:
            values += found["embeddings"][0]
        if self.wants_measures.value or _needs_measures(about):
            values += [_number(found["cells"][0])] * _counts_cells(about) + [found["quality"][0]]
        if self.wants_measures.value:
            values += map(_number, found["measures"][0])
        for name, value in zip(self._features(), values):
            workspace.measurements.add_image_measurement(name, value)
        if self.show_window:
            evidence = place.execute("evidence", {**task, "field": field,
                                                  "class": found["class"][0]})
            images = [workspace.image_set.get_image(group.image.value, must_be_grayscale=True)
                      for group in self.channels]
            shown = workspace.display_data
            shown.classes, shown.probabilities = about["classes"], found["probabilities"][0]
            shown.distance, shown.warnings = found["distance"][0], warnings
            shown.note = " (coarse)" if evidence["is_coarse"] else ""
            shown.field, shown.heat = _pictures(images, unpacked(evidence["heat"]))

    def display(self, workspace, figure):
        shown = workspace.display_data
        best = int(numpy.argmax(shown.probabilities))
        figure.set_subplots((2, 2))
        figure.subplot_imshow_color(0, 0, shown.field, title="Field", normalize=False)
        figure.subplot_imshow_color(1, 0, shown.heat, normalize=False,
                                    title=f"Evidence for {shown.classes[best]}{shown.note}")
        grid = figure.subplot(0, 0).get_subplotspec().get_gridspec()
        axes = figure.figure.add_subplot(grid[1, :])
        rows = numpy.arange(len(shown.classes))
        axes.barh(rows, shown.probabilities,
                  color=["salmon" if row == best else "lightgray" for row in rows])
        for row, name, probability in zip(rows, shown.classes, shown.probabilities):
            axes.text(0.01, row, f"{name}   {probability:.2f}", va="center")
        axes.set_yticks([])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("Probability")
        if shown.warnings:
            figure.figure.suptitle(textwrap.fill(shown.warnings[0], 90), fontsize=8, color="red")
        if shown.distance is not None:
            axes.set_title(f"Distance from the controls: {shown.distance:.2f}")


def _needs_measures(about):
    """Whether the classes of a model come from measures."""
    return about.get("head", "network") != "network"  # a worker of an earlier version has none


def _sets(about):
    """Measurement and word of the task of each set that a model knows."""
    return [SETS[coverage] for coverage in about.get("sets", [])]  # an earlier worker knows none


def _counts_cells(about):
    return any("Cells_Count_" in name for name in about["measure_names"])


def _plain(name):
    """As CellProfiler, whose exports are of the Image table, has it."""
    return name[len("Image_"):]


def _number(value):
    """What is not defined is None from a worker."""
    return numpy.nan if value is None else value


def _pictures(images, heat):
    """The field in colours and the evidence over it, (height, width, 3) from 0 to 1, small."""
    step = max(1, -(-max(heat.shape) // SIDE))
    planes = []
    for image in images[:3]:
        plane = counts_of(image)[::step, ::step].astype(numpy.float32)
        low, high = numpy.percentile(plane, (1, 99.8))
        planes.append(((plane - low) / max(high - low, 1e-6)).clip(0, 1))
    gray = numpy.mean(planes, axis=0)
    planes += [planes[0] if len(planes) == 1 else numpy.zeros_like(gray)] * (3 - len(planes))
    heat = heat[::step, ::step, None]
    strength = numpy.sqrt(numpy.abs(heat)) * 0.8  # so that faint evidence is seen
    colour = numpy.where(heat > 0, numpy.float32((1, 0.1, 0)), numpy.float32((0.1, 0.3, 1)))
    over = gray[..., None] * 0.7 * (1 - strength) + colour * strength
    return numpy.dstack(planes[::-1]), over
