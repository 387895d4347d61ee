# SPDX-License-Identifier: BSD-3-Clause
"""The command line: one verb a capability, each a thin call into the package.

Results on stdout, progress and errors on stderr.  Status 0 all done; 1 failed; 2 wrong usage;
3 done with fields skipped; 64 no job of several processes; 75 stopped by a signal, to be resumed;
130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys

# Threads that wait sleep: on a shared machine a spinning one takes the core another needs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Ctrl-C waits for the end of this file: in the middle of an import it is a traceback, or lost.
_MASK = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

try:
    import click

    import phenoscale
    from phenoscale import mpi
    from phenoscale.endings import say_skipped, say_stopped, status_of
    from phenoscale.errors import INTERRUPTED, SKIPPED, InputError
    from phenoscale.launch import promised_size
    from phenoscale.options import (
        bin_option,
        given,
        launch_options,
        listed_words,
        network_option,
        pairs,
        quiet_option,
        size_of,
        table_options,
        threads_option,
        tower_option,
        verb_behind,
        z_option,
    )
    from phenoscale.progress import Progress
    from phenoscale.ranks import EXCHANGES
    from phenoscale.roll_call import agree, roll_call
    from phenoscale.stop import Stopped, Stopper
except ModuleNotFoundError:
    sys.exit("the command line of phenoscale needs more packages: pip install 'phenoscale[all]'")

#: verbs that several processes may share
_SHARED = ("train", "predict")


# ---- verbs ---------------------------------------------------------------------------------


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(phenoscale.__version__)
@click.pass_context
def cli(context):
    """Whole-image networks for high-content screens."""
    ranks = promised_size(os.environ) or 1
    if ranks > 1 and context.invoked_subcommand not in _SHARED:
        raise click.UsageError(f"'{context.invoked_subcommand}' is not shared by {ranks} ranks: "
                               "start it without mpiexec or srun, once")


@cli.command()
@click.argument("out", type=click.Path())
@click.option("--plates", default=4, show_default=True, type=click.IntRange(1, 1000))
@click.option("--phenotypes", default=6, show_default=True, type=click.IntRange(2, 100))
@click.option("--size", default="1024x1280", show_default=True, metavar="HxW")
@click.option("--wells", default=40, show_default=True, type=click.IntRange(1, 1536),
              help="On each plate.")
@click.option("--sites", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@quiet_option
def simulate(out, plates, phenotypes, size, wells, sites, seed, quiet):
    """Draw a simulated screen: TIFFs, a LoadData CSV, and the truth in it."""
    from phenoscale.simulate import simulate as run_simulate

    with Progress(quiet) as progress:
        path = run_simulate(
            out, plates=plates, phenotypes=phenotypes, size=size_of(size), seed=seed,
            wells=wells, sites=sites, progress=progress.counting("simulate"))
    print(path)


@cli.command()
@click.argument("source", type=click.Path())
@click.option("--preset", metavar="NAME", help="How the files of a folder are named: imagexpress, "
              "operetta, cellvoyager, incell, cellprofiler, bbbc013, bbbc021.")
@click.option("--pattern", metavar="REGEX", help="The same in your own words: named groups Well "
              "(or Row, Column), Channel, Plate, Site, Z.")
@click.option("--write", "out", type=click.Path(), help="Write a clean LoadData CSV.")
@click.option("--html", type=click.Path(), help="Write a page with pictures.")
@click.option("--label", help="Column of the classes: counts them by plate.")
@click.option("--batch", default=4, show_default=True, type=click.IntRange(1, 65536))
@z_option
@table_options
@threads_option
@quiet_option
def check(source, preset, pattern, out, html, label, batch, z, how, threads, quiet):
    """Look at a table or FOLDER and all its files before a long run."""
    from phenoscale.check import check as run_check
    from phenoscale.outputs import errors_beside, refuse_to_lose, write_errors
    from phenoscale.presets import read_source
    from phenoscale.table import clean_columns, write_table

    table = read_source(source, preset, pattern, z=z, **how)
    refuse_to_lose(*filter(None, (out, html)), inputs=[source, *how["join"]], table=table,
                   errors=errors_beside(out) if out else None)
    if out is not None:
        clean_columns(table)  # its complaints before the work
    with Progress(quiet) as progress:
        found = run_check(table, batch, threads, progress, label)
    print(found.text())
    bad = found.bad()
    if html is not None:
        from phenoscale.check_page import write_check_page

        write_check_page(found, html)
        print(f"written: {html}")
    if out is not None:
        write_table(table, out, bad)
        print(f"written: {out}" + (f", {len(bad)} fields in it marked not to be used" if bad
                                   else ""))
    if len(bad) == len(table):
        raise InputError("no field can be used, see the list")
    errors = write_errors(table, bad, out) if out is not None else None
    return say_skipped(errors) if errors else SKIPPED if bad else 0


@cli.command()
@click.argument("table", type=click.Path())
@click.option("--label", required=True, help="Column of the classes.")
@click.option("--out", required=True, type=click.Path(), help="Run folder to make.")
@network_option
@click.option("--epochs", default=20, show_default=True, type=click.IntRange(1))
@click.option("--batch", default=4, show_default=True, type=click.IntRange(1, 65536))
@click.option("--lr", "rate", type=float, help="Learning rate. Default: 0.01 for a batch of 4, in "
              "proportion to the batch, at most 0.032.")
@click.option("--schedule", default="linear", show_default=True,
              help="linear, cosine (both after a warm-up), constant, or published.")
@click.option("--optimizer", default="nesterov", show_default=True, help="nesterov, sgd, adam.")
@click.option("--momentum", default=0.9, show_default=True)
@click.option("--decay", default=5e-5, show_default=True, help="Weight decay.")
@click.option("--smoothing", default=0.1, show_default=True, help="Label smoothing.")
@click.option("--clip", default=5.0, show_default=True, help="Norm of gradients; 0: no limit.")
@click.option("--augment", default="flip", show_default=True,
              help="Any of flip,turn,shift,intensity; none: ''.")
@click.option("--balance", default="class", show_default=True, help="class or none.")
@click.option("--patience", default=0, show_default=True, type=click.IntRange(0),
              help="Stop after so many epochs without a smaller validation loss; 0: never.")
@click.option("--select", default="last", show_default=True, help="last or best epoch.")
@click.option("--fc-relu/--no-fc-relu", default=True, show_default=True,
              help="mcnn: a ReLU after the dense layer of 512.")
@tower_option
@click.option("--exchange", default="factors", show_default=True, type=click.Choice(EXCHANGES),
              help="What ranks send of the dense layers; matrix is for batches over 1,000, and its "
              "bits depend on the number of ranks (docs/mpi.md).")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--split", help="Column that says train, val or test.")
@click.option("--holdout", multiple=True, metavar="COLUMN=VALUE[,...]",
              help="Scored at the end, never used for a choice.")
@click.option("--val-by", default="well", show_default=True,
              type=click.Choice(["well", "plate", "compound"]))
@click.option("--val-fraction", type=float, help="0: none. Default: 0.15 where wells suffice.")
@click.option("--controls", multiple=True, metavar="COLUMN=VALUE", help="For the report.")
@click.option("--on-error", default="stop", show_default=True,
              type=click.Choice(["stop", "skip"]), help="For fields that cannot be used.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in RUN, to the same "
              "weights; begin where there is none.")
@click.option("--checkpoint-every", "checkpoint_s", default=60.0, show_default=True,
              type=click.FloatRange(0), help="Seconds.")
@click.option("--tensorboard", is_flag=True, help="Event files in RUN/tensorboard.")
@bin_option
@z_option
@table_options
@threads_option
@quiet_option
def train(table, label, out, split, holdout, val_by, val_fraction, controls, on_error, resume,
          checkpoint_s, tensorboard, exchange, how, threads, quiet, augment, **recipe):
    """Train a network on the labelled fields of a TABLE.

    Ctrl-C stops it with a checkpoint of the last finished step; --resume goes on from there.
    """
    from phenoscale.presets import read_source
    from phenoscale.recipe import Recipe
    from phenoscale.report import write_report
    from phenoscale.run import train_run

    if split is not None and (holdout or val_fraction is not None):
        raise click.UsageError("give either --split, or --holdout and --val-fraction")
    try:
        recipe = Recipe(augment=tuple(listed_words(augment)), **recipe)
    except InputError as error:
        raise click.UsageError(str(error)) from None
    ranks = mpi.join()
    agree(ranks, given)
    ranks.exchange = exchange
    quiet = quiet or ranks.rank > 0
    if ranks.spread(resume and os.path.exists(os.path.join(out, "model.safetensors"))):
        if ranks.rank:
            return 0
        print(f"{out} has ended: nothing to resume", file=sys.stderr)
        report = os.path.join(out, "report.html")  # a run may be stopped while it is written
        print(report if os.path.exists(report) else write_report(out))
        return 0
    holdout, controls = pairs(holdout, "--holdout"), pairs(controls, "--controls")
    fields = read_source(table, z=recipe.z, **how)
    try:
        with Progress(quiet) as progress:
            progress.notes(fields.notes)
            folder = train_run(
                fields, label, out, recipe, split=split, holdout=holdout, val_by=val_by,
                val_fraction=val_fraction, controls=controls, on_error=on_error, threads=threads,
                progress=progress, resume=resume, checkpoint_s=checkpoint_s,
                tensorboard=tensorboard, quiet=quiet, ranks=ranks)[1]
    except Stopped as error:  # here, since click takes every KeyboardInterrupt for its own
        return say_stopped(error, out)
    if ranks.rank:
        return 0
    del fields  # and the model is gone: the report has the memory to itself
    print(write_report(folder))
    errors = os.path.join(folder, "errors.csv")
    return say_skipped(errors) if os.path.exists(errors) else 0


@cli.command()
@click.argument("model", type=click.Path())
@click.argument("table", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="CSV to write.")
@click.option("--embedding", default="last", show_default=True,
              type=click.Choice(["last", "none"]))
@click.option("--on-error", default="skip", show_default=True,
              type=click.Choice(["skip", "stop"]), help="For fields that cannot be read.")
@click.option("--resume", is_flag=True, help="Go on from the blocks of fields that a stopped run "
              "left in OUT.parts, to the same file; begin where there are none.")
@table_options
@tower_option
@threads_option
@quiet_option
def predict(model, table, out, embedding, on_error, resume, how, tower, threads, quiet):
    """Classify every field of a TABLE: probabilities and embeddings.

    Ctrl-C stops it; what is done is kept in OUT.parts, and --resume goes on from there.
    """
    from phenoscale.fields import thread_count
    from phenoscale.model_file import load
    from phenoscale.parts import parts_beside
    from phenoscale.predict_file import predict_source

    ranks = mpi.join()
    agree(ranks, given)
    try:
        with Progress(quiet or ranks.rank > 0) as progress, Stopper() as stopper, \
                stopper.computing():
            roll_call(ranks, thread_count(threads), None, progress, progress.warn)
            errors = predict_source(
                load(model), table, out, threads, on_error, progress.counting("predict"),
                embedding, tower, progress.notes, [model], resume, progress.warn, ranks, **how)[1]
    except Stopped as error:
        return say_stopped(error, parts_beside(out))
    if ranks.rank:
        return 0
    print(out)
    return say_skipped(errors) if errors else 0


@cli.command(context_settings={"allow_interspersed_args": False})
@launch_options
def launch(words, **how):
    """Run a VERB, train or predict, as RANKS processes over MPI (docs/mpi.md)."""
    from phenoscale.launch import launch as run_launch

    return run_launch(*verb_behind(words, cli.commands), **how)


@cli.command()
@click.argument("model", type=click.Path())
@click.argument("table", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Folder to make.")
@click.option("--class", "name", help="Default: the class of each field.")
@click.option("--on-error", default="skip", show_default=True,
              type=click.Choice(["skip", "stop"]), help="For fields that cannot be read.")
@table_options
@threads_option
@quiet_option
def evidence(model, table, out, name, on_error, how, threads, quiet):
    """Show where in the fields of a TABLE the evidence for a class lies."""
    from phenoscale.evidence_files import write_evidence
    from phenoscale.model_file import load
    from phenoscale.predict import read_fields

    loaded = load(model)
    with Progress(quiet) as progress:
        fields = read_fields(loaded, table, **how)
        progress.notes(fields.notes)
        path, errors = write_evidence(loaded, fields, out, name, threads, on_error,
                                      progress.counting("predict"))
    print(path)
    return say_skipped(errors) if errors else 0


@cli.command()
@click.argument("run", type=click.Path())
def report(run):
    """Write RUN/report.html from what is in the run folder."""
    from phenoscale.report import write_report

    print(write_report(run))


@cli.command()
def serve():
    """Work for other programs: JSON lines on stdin and stdout (docs/serve.md)."""
    from phenoscale.serve import serve as run_serve

    return run_serve()


@cli.command("install-plugin")
@click.argument("host", type=click.Choice(["cellprofiler", "imagej"]))
@click.argument("folder", required=False, type=click.Path())
def install_plugin(host, folder):
    """Put the modules for CellProfiler into its plugins FOLDER, or the plugin for ImageJ or Fiji
    into its FOLDER.  For CellProfiler the default is the folder in its preferences."""
    from phenoscale.install_plugin import install

    for line in install(host, folder):
        print(line)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--quick", is_flag=True, help="Fewer batches, one repeat, nothing compiled.")
@click.option("--peer-python", type=click.Path(), help="Python that has torch or tensorflow.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1, 100))
@click.option("--equality/--no-equality", default=True, show_default=True)
@click.option("--scaling", is_flag=True, help="Instead: more ranks, measured here and on emulated "
              "nodes, and by a model beyond (docs/scaling.md).")
@click.option("--picture", type=click.Path(), help="With --scaling: PNG to write.")
def bench(as_json, quick, peer_python, repeats, equality, scaling, picture):
    """Numbers, speed and memory, side by side with PyTorch and TensorFlow."""
    from phenoscale.bench import run_bench

    if scaling:
        from phenoscale.bench_scaling import run_scaling

        run_scaling(json=as_json, quick=quick, picture=picture)
        return

    run_bench(json=as_json, quick=quick, peer_python=peer_python, repeats=repeats,
              equality=equality)


@cli.command()
def doctor():
    """What is installed, what is used, what is missing."""
    from phenoscale.doctor import examine

    lines, is_well = examine()
    print("\n".join(lines))
    return 0 if is_well else 1


# ---- the program ---------------------------------------------------------------------------


def main(arguments=None) -> None:
    """Run a verb, and leave with its status."""
    if hasattr(sys.stdout, "reconfigure"):  # a name that a terminal cannot show is no error
        sys.stdout.reconfigure(errors="backslashreplace")
    status = 1
    try:
        status = status_of(lambda: cli.main(arguments, prog_name="phenoscale",
                                            standalone_mode=False))
    finally:
        mpi.leave(status)
    sys.exit(status)


try:
    signal.pthread_sigmask(signal.SIG_SETMASK, _MASK)
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    sys.exit(INTERRUPTED)

if __name__ == "__main__":
    main()
