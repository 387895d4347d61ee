# SPDX-License-Identifier: BSD-3-Clause
"""Options that several verbs share, gathered into the bundles that the package takes."""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Mapping

import click

from phenoscale import _core
from phenoscale.files.parquet import check_parquet
from phenoscale.models.networks import TOWERS
from phenoscale.tables.read import Reading

__all__ = ["LIMITS", "gathered", "given", "listed_words", "model_reading_options",
           "on_error_option", "pairs", "parquet_option", "path_maps", "profile_options",
           "quiet_option", "reading_options", "size_of", "threads_option", "tower_option",
           "writing_options"]

LIMITS = _core.limits()  # of the C library


# ---- what their words mean -----------------------------------------------------------------------


def pairs(words, option: str) -> dict[str, list[str]]:
    """('A=x,"y,z"', "B=u") -> {"A": ["x", "y,z"], "B": ["u"]}."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, values = word.partition("=")
        if not (name and equals and values):
            raise click.UsageError(f"{option} {word}: write it as {option} COLUMN=VALUE")
        cells = next(csv.reader([values], skipinitialspace=True))
        found.setdefault(name, []).extend(filter(None, cells))
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


# ---- bundles -------------------------------------------------------------------------------------


def gathered(name: str, make, options: Mapping):
    """A decorator: a verb gets one argument made of several options.

    Parameters
    ----------
    name : str
        Of the argument.
    make : callable
        Takes the values of the options by their names.
    options : dict of str to click option
        In the order of the help.
    """

    def decorate(function):
        @functools.wraps(function)
        def call(**words):
            mine = {option: words.pop(option) for option in options}
            return function(**{name: make(**mine)}, **words)

        for option in reversed(options.values()):
            call = option(call)
        return call

    return decorate


def _reading(channels=None, roles=(), path_map=(), **words) -> Reading:
    return Reading(channels=listed_words(channels), roles=roles_of(roles),
                   path_map=path_maps(path_map), **words)


_OF_FILES = {
    "preset": click.option("--preset", metavar="NAME", help="How the files of a FOLDER are named: "
                           "imagexpress, operetta, cellvoyager, incell, cellprofiler, bbbc013, "
                           "bbbc021."),
    "pattern": click.option("--pattern", metavar="REGEX", help="The same in your own words: named "
                            "groups Well (or Row, Column), Channel, Plate, Site, Z."),
    "channels": click.option("--channels", metavar="NAME,...",
                             help="In the order wanted: DNA,Actin; DNA=w1 for a column of another "
                             "name, DNA=RGB:2 for the third channel of its files."),
    "roles": click.option("--role", "roles", multiple=True, metavar="ROLE=COLUMN",
                          help="plate, well, site, compound, concentration, batch or z."),
    "join": click.option("--join", multiple=True, type=click.Path(), metavar="TABLE",
                         help="More about wells or compounds: a list, or the plate as a grid."),
    "root": click.option("--root", help="Where relative paths begin, and outside of which nothing "
                         "is read. Default: they begin at the table."),
    "path_map": click.option("--path-map", "path_map", multiple=True, metavar="OLD=NEW",
                             help="Beginnings of paths as the table has them, and what they are "
                             "here.")}
_Z = {"z": click.option("--z", metavar="max|mean|NUMBER",
                        help="How a stack of planes becomes one; 0 is its first plane.")}

#: what the columns of a table without images mean
profile_options = gathered(
    "about", lambda roles, join: {"roles": roles_of(roles), "join": join},
    {name: _OF_FILES[name] for name in ("roles", "join")})
#: how a table or folder is read
reading_options = gathered("reading", _reading, {**_OF_FILES, **_Z})
#: the same where a model says how stacks become planes
model_reading_options = gathered("reading", _reading, _OF_FILES)


# ---- single ones ---------------------------------------------------------------------------------


tower_option = click.option("--tower", default="fused", show_default=True,
                            type=click.Choice(list(TOWERS)),
                            help="plain: the slow twin through oneDNN, the same up to rounding.")
parquet_option = click.option("--parquet", is_flag=True, help="Each table as Parquet too, beside "
                              "its CSV.", callback=lambda context, option, value: (
                                  check_parquet("--parquet") if value else None, value)[1])
nuclei_option = click.option("--nuclei", metavar="CHANNEL", help="Whose cells are counted, or "
                             "none. Default: the one called DNA, DAPI, Hoechst, nuclei or the "
                             "like.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress.")
threads_option = click.option("--threads", type=click.IntRange(1, LIMITS["threads"]),
                              help="Default: OMP_NUM_THREADS, else every processor. Results do "
                              "not depend on it.")


def on_error_option(default: str, help: str):
    """--on-error, with the default of the verb."""
    return click.option("--on-error", default=default, show_default=True,
                        type=click.Choice(["stop", "skip"]), help=help)


#: how a file of what is said of fields is written
writing_options = {
    "on_error": on_error_option("skip", "For fields that cannot be read."),
    "resume": click.option("--resume", is_flag=True, help="Go on from the blocks of fields that a "
                           "stopped run left in OUT.parts, to the same file; begin where there "
                           "are none."),
    "safe": click.option("--safe-cells", "safe", is_flag=True, help="An apostrophe before cells "
                         "that a spreadsheet would take for formulas (-DOX, =x), which reading "
                         "takes away again.")}
