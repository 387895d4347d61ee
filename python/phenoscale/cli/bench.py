# SPDX-License-Identifier: BSD-3-Clause
"""bench: speed and memory beside other frameworks; more ranks."""

from __future__ import annotations

import click

__all__ = ["verb"]


@click.command("bench")
@click.option("--json", is_flag=True, help="One JSON object.")
@click.option("--quick", is_flag=True, help="Fewer batches, one repeat, nothing compiled.")
@click.option("--peer-python", type=click.Path(), help="Python that has torch or tensorflow.")
@click.option("--repeats", type=click.IntRange(1, 100), help="Default: 3.")
@click.option("--equality/--no-equality", default=None, help="Default: with.")
@click.option("--scaling", is_flag=True, help="Instead: more ranks, measured here and on emulated "
              "nodes, and by a model beyond (docs/scaling.md).")
@click.option("--picture", type=click.Path(), help="With --scaling: PNG to write.")
def verb(scaling, json, quick, picture, **of_peers):
    """Numbers, speed and memory, side by side with PyTorch and TensorFlow."""
    given = {name: value for name, value in of_peers.items() if value is not None}
    if scaling:
        from phenoscale.bench.scaling import run_scaling

        if given:
            raise click.UsageError(f"--{min(given).replace('_', '-')} does not go with --scaling")
        run_scaling(json=json, quick=quick, picture=picture)
        return
    from phenoscale.bench.run import run_bench

    if picture is not None:
        raise click.UsageError("--picture goes with --scaling")
    run_bench(json=json, quick=quick, **given)
