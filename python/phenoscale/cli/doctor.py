# SPDX-License-Identifier: BSD-3-Clause
"""doctor: what is installed, used, missing."""

from __future__ import annotations

import click

from phenoscale.hosts.doctor import examine

__all__ = ["verb"]


@click.command("doctor")
def verb():
    """What is installed, what is used, what is missing."""
    lines, is_well = examine()
    print("\n".join(lines))
    return 0 if is_well else 1
