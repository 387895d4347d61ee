# SPDX-License-Identifier: BSD-3-Clause
"""The settings of both modules: where phenoscale runs, metadata as choices, folders."""

from _phenoscale_backend import Place
from cellprofiler_core.constants.measurement import IMAGE
from cellprofiler_core.setting import ValidationError
from cellprofiler_core.setting.choice import Choice
from cellprofiler_core.setting.text import Directory, Text

__all__ = ["NONE", "MetadataChoice", "alter_place", "folder_setting", "place_of", "place_settings"]

NONE = "None"  # a choice that is not made
_METADATA = "Metadata_"


class MetadataChoice(Choice):
    """The name of a metadata, without Metadata_, out of those that the modules above bring.

    module : Module
        Whose setting it is.
    value : str
        At first; with `NONE` it may stay without a choice.
    """

    def __init__(self, module, text, value, doc):
        blank = [NONE] if value == NONE else []
        super().__init__(text, [value], doc=doc, choices_fn=lambda pipeline: blank + [
            name[len(_METADATA):] for kind, name, *_ in pipeline.get_measurement_columns(module)
            if kind == IMAGE and name.startswith(_METADATA)])

    @property
    def column(self):
        """The measurement that it names, None where there is no choice."""
        return None if self.value == NONE else _METADATA + self.value

    def test_valid(self, pipeline):
        try:
            super().test_valid(pipeline)  # asks for the choices anew
        except ValidationError:
            there = [name for name in self.choices if name != NONE]
            cure = f"choose one of {', '.join(there)}" if there else "there is none here yet"
            raise ValidationError(
                f"there is no metadata {self.value}: {cure}; Metadata above this module makes "
                f"more, or a column {_METADATA}{self.value} of LoadData's table", self) from None


def folder_setting(text, first, doc):
    """A setting for a folder, at first one of CellProfiler's default folders."""
    return Directory(text, f"{first}|", allow_metadata=False, doc=doc)


def place_settings():
    """Three settings, in the order of a pipeline file: command, folder here, folder there."""
    return [
        Text("Worker command", "", doc="""\
Leave it empty where phenoscale is installed in CellProfiler's own Python. The CellProfiler of the
Windows and Mac downloads brings a Python that nothing can be added to: give the command that starts
a worker there, such as ``C:\\phenoscale\\Scripts\\phenoscale serve``, or one on another computer:
``ssh host phenoscale serve``, ``docker run -i --rm -v /data:/data IMAGE phenoscale serve``. The
worker starts once and keeps the model; the results are the same. If it is empty and CellProfiler's
Python has no phenoscale, ``phenoscale serve`` is tried."""),
        Text("Folder that a worker shares", "", doc="""\
*(Used only with a worker on another computer)*

The folder of images and models on this computer, such as ``Z:\\screens``. Files in it are read by
the worker itself. Images elsewhere are sent to it; models have to be in it."""),
        Text("Name of that folder on the worker's computer", "", doc="""\
*(Used only with a worker on another computer)*

What the worker's computer calls the same folder, such as ``/mnt/screens``."""),
    ]


def place_of(settings):
    """The `Place` that the settings name."""
    return Place(*(setting.value.strip() for setting in settings))


def alter_place(settings, fn_alter_path):
    """Make the folder here that of the computers that run a batch."""
    if settings[1].value:
        settings[1].value = fn_alter_path(settings[1].value)
