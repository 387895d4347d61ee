# SPDX-License-Identifier: BSD-3-Clause
"""serve: work for other programs."""

from __future__ import annotations

import click

from phenoscale.hosts.serve import serve

__all__ = ["verb"]


@click.command("serve")
def verb():
    """Work for other programs: JSON lines on stdin and stdout (docs/serve.md)."""
    return serve()
