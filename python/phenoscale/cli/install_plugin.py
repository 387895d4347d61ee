# SPDX-License-Identifier: BSD-3-Clause
"""install-plugin: the modules and the plugin for other programs."""

from __future__ import annotations

import click

from phenoscale.hosts.install_plugin import install

__all__ = ["verb"]


@click.command("install-plugin")
@click.argument("host", type=click.Choice(["cellprofiler", "imagej"]))
@click.argument("folder", required=False, type=click.Path())
def verb(host, folder):
    """Put the modules for CellProfiler into its plugins FOLDER, or the plugin for ImageJ or Fiji
    into its FOLDER.  For CellProfiler the default is the folder in its preferences."""
    for line in install(host, folder):
        print(line)
