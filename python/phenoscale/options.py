# SPDX-License-Identifier: BSD-3-Clause
"""Options that several verbs share, and what their words mean."""

from __future__ import annotations

import functools
import os

import click

from phenoscale import _core
from phenoscale.models import NETWORKS, TOWERS

__all__ = ["bin_option", "given", "launch_options", "listed_words", "network_option", "pairs",
           "quiet_option", "size_of", "table_options", "threads_option", "tower_option",
           "verb_behind", "z_option"]


_LIMITS = _core.limits()
_RANKED = ("train", "predict")  # verbs that know of other ranks


def pairs(words, option: str) -> dict[str, list[str]]:
    """("A=x,y", "B=z") -> {"A": ["x", "y"], "B": ["z"]}."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, values = word.partition("=")
        if not (name and equals and values):
            raise click.UsageError(f"{option} {word}: write it as {option} COLUMN=VALUE")
        found.setdefault(name, []).extend(values.split(","))
    return found


def roles_of(words) -> dict[str, str]:
    """("plate=Barcode",) -> {"plate": "Barcode"}."""
    roles = {}
    for word in words:
        role, equals, column = word.partition("=")
        if not (role and equals and column) or role in roles:
            raise click.UsageError(f"--role {word}: write it as --role ROLE=COLUMN, each role once")
        roles[role] = column
    return roles


def path_maps(words) -> dict[str, str]:
    """("C:\\data=/mnt",) -> {"C:\\data": "/mnt"}; of several "=" the first before a folder."""
    maps = {}
    for word in words:
        cuts = [at for at, letter in enumerate(word) if letter == "=" and 0 < at < len(word) - 1]
        if not cuts:
            raise click.UsageError(f"--path-map {word}: write it as --path-map OLD=NEW")
        cut = next((at for at in cuts if os.path.isdir(word[at + 1 :])), cuts[0])
        maps[word[:cut]] = word[cut + 1 :]
    return maps


def given() -> dict:
    """The verb under way and its options, but for those that each rank may have of its own."""
    context = click.get_current_context()
    return {"verb": context.info_name, **{name: value for name, value in context.params.items()
                                          if name not in ("threads", "quiet")}}


def size_of(word: str) -> tuple[int, int]:
    """ "1024x1280" -> (1024, 1280)."""
    height, _, width = word.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise click.UsageError(f"--size {word}: write it as HEIGHTxWIDTH, for example 1024x1280")
    return int(height), int(width)


def listed_words(word: str | None) -> list[str] | None:
    """ "DNA, Actin" -> ["DNA", "Actin"]."""
    return None if word is None else [part.strip() for part in word.split(",") if part.strip()]


def verb_behind(words, commands):
    """("train", "x.csv", ...) -> (verb, the words behind it, {option: value} as it reads them)."""
    verb, *rest = words
    if verb not in _RANKED:
        raise click.UsageError(f"{verb} does not run over ranks: only {' and '.join(_RANKED)} do")
    return verb, rest, commands[verb].make_context(f"phenoscale {verb}", list(rest)).params


network_option = click.option("--network", default="mcnn", show_default=True,
                              type=click.Choice(list(NETWORKS)))
tower_option = click.option("--tower", default="fused", show_default=True,
                            type=click.Choice(list(TOWERS)),
                            help="plain: the slow twin through oneDNN, the same up to rounding.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress.")
threads_option = click.option("--threads", type=click.IntRange(1, _LIMITS["threads"]),
                              help="Default: every processor. Results do not depend on it.")
_TABLE_OPTIONS = [
    click.option("--channels", metavar="NAME,...",
                 help="In the order wanted: DNA,Actin; DNA=w1 for a column of another name, "
                 "DNA=RGB:2 for the third channel of its files."),
    click.option("--role", "roles", multiple=True, metavar="ROLE=COLUMN",
                 help="plate, well, site, compound, concentration, batch or z."),
    click.option("--join", multiple=True, type=click.Path(), metavar="TABLE",
                 help="More about wells or compounds: a list, or the plate as a grid."),
    click.option("--root", help="Where relative paths begin, and outside of which nothing is "
                 "read. Default: they begin at the table."),
    click.option("--path-map", "path_map", multiple=True, metavar="OLD=NEW",
                 help="Beginnings of paths as the table has them, and what they are here.")]
z_option = click.option("--z", metavar="max|mean|NUMBER",
                        help="How a stack of planes becomes one; 0 is its first plane.")
bin_option = click.option("--bin", default=1, show_default=True,
                          type=click.IntRange(1, _LIMITS["bin"]),
                          help="Means of so many pixels each way.")


def table_options(function):
    """The options of every verb that reads a table; it gets them as `how`."""

    @functools.wraps(function)
    def call(channels, roles, join, root, path_map, **others):
        how = {"channels": listed_words(channels), "roles": roles_of(roles), "join": join,
               "root": root, "path_map": path_maps(path_map)}
        return function(how=how, **others)

    for option in reversed(_TABLE_OPTIONS):
        call = option(call)
    return call


_LAUNCH_OPTIONS = [
    click.option("-n", "ranks", required=True, metavar="RANKS", type=click.IntRange(1, 65536),
                 help="Processes: one a machine, or one a socket."),
    click.option("--hosts", type=click.Path(), metavar="FILE", help="A host a line: NAME, or "
                 "NAME:SLOTS for at most so many ranks. Default: this one, or those of Slurm."),
    click.option("--threads", type=click.IntRange(1, _LIMITS["threads"]),
                 help="Of each rank. Default: the processors of a host, shared evenly."),
    click.option("--restarts", default=0, show_default=True, type=click.IntRange(0, 1000),
                 help="Go on from the last checkpoint so often after a rank was lost."),
    click.option("--allow-run-as-root", "as_root", is_flag=True, help="Tell Open MPI that root "
                 "is meant, as in a container."),
    click.option("--dry-run", is_flag=True, help="Print the command."),
    click.argument("words", nargs=-1, required=True, metavar="-- VERB ...",
                   type=click.UNPROCESSED)]


def launch_options(function):
    """The options of `launch`, and the words that it starts."""
    for option in reversed(_LAUNCH_OPTIONS):
        function = option(function)
    return function
