# SPDX-License-Identifier: BSD-3-Clause
"""\
TrainWholeImage
===============

**TrainWholeImage** trains a network that classifies whole fields of view, for
**MeasureWholeImage**.

While the pipeline runs, this module only notes the files of each field and the metadata that is its
class. When the last field is done, phenoscale trains from those files with all cores, and writes a
run folder with the model and a report. Fields without a class (an empty value) are not trained on,
but classified.

With six wells or more of every class, some wells are kept out of the training, and the report has
the score of their fields. With fewer there is no score; the window and the log say so at the end.
To hold out whole plates there is ``phenoscale train`` on the command line.

|

============ ============ ===============
Supports 2D? Supports 3D? Respects masks?
============ ============ ===============
YES          NO           NO
============ ============ ===============

What do I need as input?
^^^^^^^^^^^^^^^^^^^^^^^^

Images as **NamesAndTypes** or **LoadData** loads them, TIFF files with one plane each: a training
reads every file many times, so images that another module changed cannot be used. Metadata for the
class of each field, from **Metadata** or a column *Metadata_...* of **LoadData** above this module;
what is there is offered as choices. The metadata *Plate*, *Well* and *Site* should be there too:
without *Well* no field is kept out of the training. Ten wells of a class are few.

Images, metadata, classes, the value of the controls and the output folder are checked before the
first image is loaded.

A training needs all fields at once. It cannot be cut into the jobs of **CreateBatchFiles**, nor run
with ``-f`` and ``-l`` or ``-g``: use "Analyze Images", or ``cellprofiler -c -r`` in one piece. Test
mode checks the settings and trains nothing.

What do I get as output?
^^^^^^^^^^^^^^^^^^^^^^^^

In the run folder: *model.safetensors* for **MeasureWholeImage**, *report.html*, *log.csv*, and in
*predictions.csv* the classes of all fields that were not trained on. Beside it, in
*<run folder>_fields.csv*, the table of the fields that were used. A training that you cancel after
its first step leaves a checkpoint; with the same settings the next run goes on from there.

Measurements made by this module
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

-  *Phenoscale_TrainingClass:* The class that the field had in the training.
-  *Phenoscale_TrainingFields:* How many fields the run has (of the experiment).

See also
^^^^^^^^

See also **MeasureWholeImage**.
"""

import csv
import logging
import os
import textwrap

from _phenoscale_backend import Cancelled, Failure
from _phenoscale_images import file_of
from _phenoscale_settings import (
    NONE,
    MetadataChoice,
    alter_place,
    folder_setting,
    place_of,
    place_settings,
)
from cellprofiler_core.constants.measurement import (
    COLTYPE_INTEGER,
    COLTYPE_VARCHAR_FORMAT,
    EXPERIMENT,
    IMAGE,
)
from cellprofiler_core.module import Module
from cellprofiler_core.preferences import DEFAULT_OUTPUT_FOLDER_NAME, get_headless
from cellprofiler_core.setting import ValidationError
from cellprofiler_core.setting.choice import Choice
from cellprofiler_core.setting.subscriber import ImageListSubscriber
from cellprofiler_core.setting.text import Integer, Text

CATEGORY = "Phenoscale"
FEATURE, FIELDS = f"{CATEGORY}_TrainingClass", f"{CATEGORY}_TrainingFields"
NAMES = {IMAGE: FEATURE, EXPERIMENT: FIELDS}
MOST = 20  # values in a sentence
WIDTH = 80  # letters of a line in the window at the end
NETWORKS = ["mcnn-gap", "mcnn"]
PIECES = ("TrainWholeImage needs all fields in one run: {}; use Analyze Images, or cellprofiler -c "
          "-r without -f, -l and -g")


class TrainWholeImage(Module):
    module_name = "TrainWholeImage"
    category = "Measurement"
    variable_revision_number = 2

    def create_settings(self):
        self.images = ImageListSubscriber(
            "Images to train on", [],
            doc="One image for each channel. Their names become the channels of the model.")
        self.label = MetadataChoice(
            self, "Metadata of the class", "Class",
            doc="The metadata that says the class of a field.")
        self.folder = folder_setting(
            "Output folder", DEFAULT_OUTPUT_FOLDER_NAME, doc="Where the run folder is made.")
        self.name = Text(
            "Name of the run folder", "run",
            doc="A folder of this name is made in the output folder. One that holds a finished "
            "training is never written over.")
        self.network = Choice(
            "Network", NETWORKS,
            doc="*mcnn-gap* for small data, and for fields of another size later; *mcnn* is the "
            "published network, for fields of one size and many of them.")
        self.epochs = Integer(
            "Epochs", 40, minval=1, doc="How often a field is seen, on the average.")
        self.control = MetadataChoice(
            self, "Metadata of the controls", NONE,
            doc="*(Optional)* The metadata that tells the control wells. With it, the model "
            "measures distances from the controls.")
        self.control_value = Text(
            "Its value for controls", "negative",
            doc="*(Used only with metadata of the controls)* The value that control wells have.")
        self.place = place_settings()

    def settings(self):
        return [self.images, self.label, self.folder, self.name, self.network, self.epochs,
                self.control, self.control_value, *self.place]

    def visible_settings(self):
        hidden = () if self.control.column else (self.control_value,)
        return [setting for setting in self.settings() if setting not in hidden]

    def upgrade_settings(self, setting_values, variable_revision_number, module_name):
        if variable_revision_number == 1:  # metadata were typed
            values = list(setting_values)
            for place in (1, 6):  # of the class, of the controls
                values[place] = values[place].strip().replace("Metadata_", "", 1) or NONE
            setting_values, variable_revision_number = values, 2
        return setting_values, variable_revision_number

    # ---- what is wrong, before the run -----------------------------------------------------------

    def validate_module(self, pipeline):
        if not self.images.value:
            raise ValidationError("Choose an image for each channel", self.images)
        if any(module.is_create_batch_module() for module in pipeline.modules()):
            raise ValidationError(PIECES.format("take CreateBatchFiles away"), self.images)
        columns = {name for _, name, *_ in pipeline.get_measurement_columns(self)}
        for name in self.images.value:
            if f"FileName_{name}" not in columns:
                raise ValidationError(f"the image {name} is made by a module, and a training reads "
                                      "files: choose the images as they were loaded", self.images)
        name = self.name.value.strip()
        if not name or name in (".", "..") or os.path.basename(name) != name:
            raise ValidationError(f"'{self.name.text}' is the name of one folder, without / and "
                                  "\\: the output folder says where it is", self.name)
        if os.path.exists(self._model()):
            raise ValidationError(f"{self._run()} holds a finished training: choose another name, "
                                  "or remove that folder", self.name)
        folder = self.folder.get_absolute_path()
        if os.path.exists(folder) and not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
            raise ValidationError(f"{folder} is no folder that can be written to: choose another "
                                  "output folder", self.folder)
        if any(type(module) is type(self) for module in pipeline.modules()[: self.module_num - 1]):
            raise ValidationError("A pipeline has one TrainWholeImage: its measurements would be "
                                  "written over; use a second pipeline", self.images)

    def prepare_run(self, workspace):
        if workspace.pipeline.test_mode:
            return True
        try:  # CellProfiler itself does not validate a pipeline that runs without a window
            self.test_valid(workspace.pipeline)
            self._check_values(workspace.measurements)
            os.makedirs(self._run(), exist_ok=True)
        except ValidationError as error:
            raise Failure(str(error)) from None
        except OSError as error:
            raise Failure(f"{error.filename} cannot be written ({error.strerror}): choose another "
                          "output folder") from None
        place = place_of(self.place)
        place.shared(self._run())
        place.execute("version", {})
        # all fields, before -f, -l and -g choose among them
        workspace.measurements.add_experiment_measurement(
            FIELDS, workspace.measurements.image_set_count)
        return True

    def _check_values(self, measurements):
        """The values of the metadata, of all fields, are such as can be trained on."""
        classes = _values(measurements, self.label.column)
        if len(classes) < 2:
            which = f"one class only, {classes[0]}" if classes else "no class"
            raise Failure(f"the metadata {self.label.value} has {which}, in all fields: two or "
                          "more are needed to train; choose another 'Metadata of the class', or "
                          "load more fields")
        there = _values(measurements, self.control.column) if self.control.column else []
        if there and self.control_value.value not in there:
            raise Failure(f"no field has '{self.control_value.value}' as its metadata "
                          f"{self.control.value}: 'Its value for controls' is one of "
                          f"{', '.join(there[:MOST])}")

    def prepare_to_create_batch(self, workspace, fn_alter_path):
        self.folder.alter_for_create_batch_files(fn_alter_path)
        alter_place(self.place, fn_alter_path)
        return True

    def get_dictionary_for_worker(self):
        return {}

    # ---- measurements ----------------------------------------------------------------------------

    def get_measurement_columns(self, pipeline):
        return [(EXPERIMENT, FIELDS, COLTYPE_INTEGER),
                (IMAGE, FEATURE, COLTYPE_VARCHAR_FORMAT % 255)]

    def get_categories(self, pipeline, object_name):
        return [CATEGORY] if object_name in NAMES else []

    def get_measurements(self, pipeline, object_name, category):
        is_ours = object_name in NAMES and category == CATEGORY
        return [NAMES[object_name][len(CATEGORY) + 1:]] if is_ours else []

    # ---- the run ---------------------------------------------------------------------------------

    def _run(self):
        return os.path.join(self.folder.get_absolute_path(), self.name.value.strip())

    def _model(self):
        return os.path.join(self._run(), "model.safetensors")

    def run(self, workspace):
        for name in self.images.value:
            if file_of(workspace.image_set, name) is None:
                raise Failure(f"the image {name} is no TIFF file with one plane that NamesAndTypes "
                              "or LoadData loaded: TrainWholeImage trains from files; choose the "
                              "images as they were loaded")
        column = self.label.column
        value = workspace.measurements.get_current_image_measurement(column)
        workspace.measurements.add_image_measurement(FEATURE, _text(value))
        if self.show_window:
            workspace.display_data.rows = [[column, str(value)]]

    def display(self, workspace, figure):
        figure.set_subplots((1, 1))
        figure.subplot_table(0, 0, workspace.display_data.rows, title="Class of this field")

    def post_run(self, workspace):
        measurements = workspace.measurements
        numbers = measurements.get_image_numbers()
        fields = int(measurements.get_experiment_measurement(FIELDS))
        if len(numbers) < fields:
            raise Failure(PIECES.format(f"this one had {len(numbers)} of {fields}"))
        # a field that a module failed at is left out
        numbers = [n for n in numbers if measurements.has_measurements(IMAGE, FEATURE, n)]
        place, table = place_of(self.place), self._run() + "_fields.csv"
        self._write_table(measurements, numbers, place, table)
        task = {"table": place.shared(table), "label": self.label.column,
                "how": {"channels": list(self.images.value)}, "on_error": "skip",
                "out": place.shared(self._run()), "resume": True,
                "recipe": {"network": self.network.value, "epochs": self.epochs.value}}
        if self.control.column:
            task["controls"] = {self.control.column: [self.control_value.value]}
        progress = _Lines() if get_headless() else _Window()
        workspace.display_data.rows = [["cancelled; the next run goes on with", self._run()]]
        try:
            found = place.execute("train", task, progress.update)
        except Cancelled:
            logging.warning("the training was cancelled; the next run goes on with %s", self._run())
            return
        finally:
            progress.close()
        for words in found.get("warnings", ()):
            logging.warning("TrainWholeImage: %s", words)
        logging.info("trained: %s, %s", found["model"], found["report"])
        workspace.display_data.rows = [["model", found["model"]], ["report", found["report"]]]
        unscored = found.get("unscored")  # a worker of an earlier version says nothing of it
        if unscored:
            logging.warning("TrainWholeImage: %s", unscored)
            workspace.display_data.rows += [["", line] for line in textwrap.wrap(unscored, WIDTH)]

    def display_post_run(self, workspace, figure):
        figure.set_subplots((1, 1))
        figure.subplot_table(0, 0, workspace.display_data.rows, title="Trained")

    def _write_table(self, measurements, numbers, place, path):
        """The fields as a LoadData table, with paths as the worker knows them."""
        metadata = _metadata(measurements)
        with open(path, "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow([f"Image_FileName_{name}" for name in self.images.value] + metadata)
            for n in numbers:
                parts = [(measurements[IMAGE, f"PathName_{name}", n],
                          measurements[IMAGE, f"FileName_{name}", n]) for name in self.images.value]
                files = [place.shared(os.path.abspath(os.path.join(*part))) for part in parts]
                lines.writerow(files + [_text(measurements[IMAGE, name, n]) for name in metadata])


def _values(measurements, column):
    """The values that fields have of a metadata, sorted, without those that are none."""
    if not measurements.has_feature(IMAGE, column):
        return []
    numbers = measurements.get_image_numbers()
    return sorted({_text(value) for value in measurements[IMAGE, column, numbers]} - {"", "nan"})


def _metadata(measurements):
    return [name for name in measurements.get_feature_names(IMAGE) if name.startswith("Metadata_")]


def _text(value):
    return "" if value is None else str(value)


# ---- progress ------------------------------------------------------------------------------------


class _Lines:
    """Progress as lines of CellProfiler's log, one for each kind of work and each epoch."""

    def __init__(self):
        self._said = None

    def update(self, done, of, words=""):
        what = words.partition(": loss")[0]
        if what != self._said:
            self._said = what
            logging.info("TrainWholeImage: %s", words)

    def close(self):
        pass


class _Window:
    """Progress in a window with a button to cancel, which lives on CellProfiler's main thread."""

    def __init__(self):
        import wx

        self._wx, self._window, self._is_cancelled = wx, None, False
        wx.CallAfter(self._open)

    def _open(self):
        wx = self._wx
        self._window = wx.ProgressDialog(
            "TrainWholeImage", "reading the fields" + " " * 40, maximum=1000,
            style=wx.PD_CAN_ABORT | wx.PD_APP_MODAL | wx.PD_ELAPSED_TIME)

    def update(self, done, of, words=""):
        if self._is_cancelled:
            raise Cancelled
        self._wx.CallAfter(self._show, int(999 * min(done, of) / max(of, 1)), words)

    def _show(self, value, words):
        if self._window is not None and not self._is_cancelled:
            self._is_cancelled = not self._window.Update(value, words)[0]

    def close(self):
        self._wx.CallAfter(self._destroy)

    def _destroy(self):
        self._window.Destroy()
        self._window = None
