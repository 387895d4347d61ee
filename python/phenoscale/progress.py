# SPDX-License-Identifier: BSD-3-Clause
"""Who is told of long work, and how: one kind of event for every stage of it.

An event is a dict: ``stage``, a key of `_STAGES`, with ``done`` and ``of``, or one of `_LINES`
with what its line needs; a stage may say more (training: the row of the log so far).
"""

from __future__ import annotations

import sys

from phenoscale.streams import undecorated
from phenoscale.words import duration, visible

__all__ = ["Bars", "Once", "Progress", "Watch", "words"]


def _epoch_line(event: dict) -> str:
    """What is said of an epoch."""
    line = (f"epoch {event['epoch']}/{event['of']}: loss {event['loss']:.4f}, "
            f"{event['images_per_s']:.1f} images/s")
    if "val_balanced_accuracy" in event:
        line += f", validation {event['val_balanced_accuracy']:.0%} balanced accuracy"
    left = event["of"] - event["epoch"]
    return line + (f", about {duration(left * event['seconds'])} left" if left else "")


#: stage -> the line said of it
_LINES = {"epoch": _epoch_line,
          "ranks": lambda event: "\n".join(event["lines"]),
          "warning": lambda event: f"warning: {visible(event['words'])}",
          "note": lambda event: f"note: {visible(event['words'])}",
          "resumed": lambda event: f"resumed after step {event['step']}, epoch {event['epoch']}"}

_STAGES = {"statistics": "reading", "step": "training", "predict": "predicting",
           "measure": "measuring", "check": "checking", "look": "looking", "plan": "timing",
           "simulate": "drawing", "rung": "climbing"}


def words(event: dict) -> str:
    """One line for an event of a long work."""
    if event["stage"] in _LINES:
        return _LINES[event["stage"]](event)
    loss = f", epoch {event['epoch']}: loss {event['loss']:.3f}" if "loss" in event else ""
    return _STAGES[event["stage"]] + loss


class Watch:
    """Tells one callable of long work, or nobody.

    Parameters
    ----------
    progress : callable or bool, optional
        Takes an event; a `Watch` is one.  True: bars (`Bars`).
    """

    def __init__(self, progress=None):
        self._progress = Bars() if progress is True else progress or (lambda event: None)

    def __call__(self, event: dict) -> None:
        self._progress(event)

    def tell(self, stage: str, done: int, of: int, **more) -> None:
        """So much of a stage is done."""
        self({"stage": stage, "done": done, "of": of, **more})

    def warn(self, words: str) -> None:
        """A sentence on what did not go as it should."""
        self({"stage": "warning", "words": words})

    def note(self, notes) -> None:
        """Sentences on what was chosen or found on the way, as the notes of a table."""
        for words in notes:
            self({"stage": "note", "words": words})


class Once(Watch):
    """Passes on what it is told, a note only the first time; for works that are parts of one."""

    def __init__(self, progress):
        super().__init__(progress)
        self._said = set()

    def __call__(self, event: dict) -> None:
        if event["stage"] == "note":
            if event["words"] in self._said:
                return
            self._said.add(event["words"])
        super().__call__(event)


class Progress(Watch):
    """Progress of every stage on stderr: a bar on a terminal, plain lines elsewhere."""

    def __init__(self, quiet: bool):
        super().__init__()
        self.quiet, self.stage, self.bar = quiet, None, None

    def __call__(self, event: dict) -> None:
        if self.quiet:
            return
        if event["stage"] in _LINES:
            self._say(_LINES[event["stage"]](event))
            return
        stage = _STAGES[event["stage"]]
        if stage != self.stage:
            self.close()
            self.stage, self.bar = stage, self._bar(stage, event["of"])
        self.bar.update(event["done"] - self.bar.n)
        if "loss" in event:
            self.bar.set_postfix_str(f"loss {event['loss']:.3f}, {event['images_per_s']:.1f}/s",
                                     refresh=False)

    def _bar(self, stage: str, of: int):
        from tqdm import tqdm

        if not sys.stderr.isatty():
            print(f"{stage} ...", file=sys.stderr, flush=True)
        return tqdm(total=of, desc=stage, unit="", file=undecorated(sys.stderr),
                    disable=not sys.stderr.isatty(), leave=False)

    def _say(self, line: str) -> None:
        if self.bar is None or self.bar.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self.bar.write(visible(line, "\n"), file=undecorated(sys.stderr))

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
        self.bar = self.stage = None


class Bars(Progress):
    """Progress of every stage as a bar, in a notebook by its widgets where it has them."""

    def __init__(self):
        super().__init__(quiet=False)

    def __call__(self, event: dict) -> None:
        super().__call__(event)
        if "done" in event and event["done"] >= event["of"]:
            self.close()

    def _bar(self, stage: str, of: int):
        from tqdm.auto import tqdm

        return tqdm(total=of, desc=stage, unit="")
