# SPDX-License-Identifier: BSD-3-Clause
"""The settings that both modules have: where phenoscale runs."""

from _phenoscale_backend import Place
from cellprofiler_core.setting.text import Text

__all__ = ["alter_place", "place_of", "place_settings"]


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
