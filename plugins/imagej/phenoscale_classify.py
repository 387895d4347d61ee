# SPDX-License-Identifier: BSD-3-Clause
# A script for Fiji: asks for its parameters in a dialog of Fiji's own, or takes them from
#
#   ImageJ --ij2 --headless --console --run macros/phenoscale_classify.py
#       'model="run/model.safetensors",source="screen/screen.csv",output="predictions.csv"'
#
# and has the plugin do the work.
# ruff: noqa: F821 (Fiji makes these names)
#@ File(label="Model", style="open") model
#@ File(label="Folder, or the path of a table", style="directory") source
#@ String(label="Preset, or none", value="none") preset
#@ File(label="Output (CSV)", style="save") output

from ij import IJ

IJ.run("Phenoscale Classify Folder...", u"model=[%s] folder=[%s] preset=[%s] output=[%s]" % (
    model.getPath(), source.getPath(), preset, output.getPath()))
