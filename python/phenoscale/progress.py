# SPDX-License-Identifier: BSD-3-Clause
"""Progress of long work, on stderr."""

from __future__ import annotations

import sys

__all__ = ["Progress", "duration", "words"]


def _epoch_line(event: dict) -> str:
    """What is said of an epoch."""
    line = (f"epoch {event['epoch']}/{event['of']}: loss {event['loss']:.4f}, "
            f"{event['images_per_s']:.1f} images/s")
    if "val_balanced_accuracy" in event:
        line += f", validation {event['val_balanced_accuracy']:.0%} balanced accuracy"
    left = event["of"] - event["epoch"]
    return line + (f", about {duration(left * event['seconds'])} left" if left else "")


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h", "2.1 days"."""
    for limit, unit, word in ((100, 1, "s"), (5400, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {word}" if unit < 3600 else f"{seconds / unit:.1f} {word}"
    return f"{seconds / 86400:.1f} days"


#: stage -> the line said of it
_LINES = {"epoch": _epoch_line,
          "ranks": lambda event: "\n".join(event["lines"]),
          "warning": lambda event: f"warning: {event['words']}",
          "resumed": lambda event: f"resumed after step {event['step']}, epoch {event['epoch']}"}

_STAGES = {"statistics": "reading", "step": "training", "predict": "predicting",
           "check": "checking", "look": "looking", "plan": "timing", "simulate": "drawing"}


def words(event: dict) -> str:
    """One line for an event of a long work."""
    if event["stage"] in _LINES:
        return _LINES[event["stage"]](event)
    loss = f", epoch {event['epoch']}: loss {event['loss']:.3f}" if "loss" in event else ""
    return _STAGES[event["stage"]] + loss


class Progress:
    """Progress of every stage on stderr: a bar on a terminal, plain lines elsewhere."""

    def __init__(self, quiet: bool):
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
            from tqdm import tqdm

            self.stage = stage
            self.bar = tqdm(total=event["of"], desc=stage, unit="", file=sys.stderr,
                            disable=not sys.stderr.isatty(), leave=False)
            if not sys.stderr.isatty():
                print(f"{stage} ...", file=sys.stderr, flush=True)
        self.bar.update(event["done"] - self.bar.n)
        if "loss" in event:
            self.bar.set_postfix_str(f"loss {event['loss']:.3f}, {event['images_per_s']:.1f}/s",
                                     refresh=False)

    def notes(self, notes) -> None:
        """What was noted of a table when it was read."""
        for note in () if self.quiet else notes:
            self._say(f"note: {note}")

    def warn(self, words: str) -> None:
        """A sentence on what did not go as it should."""
        self({"stage": "warning", "words": words})

    def counting(self, stage: str):
        """A callable (done, of) for one stage."""
        return lambda done, of: self({"stage": stage, "done": done, "of": of})

    def _say(self, line: str) -> None:
        if self.bar is None or self.bar.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self.bar.write(line, file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
        self.bar = self.stage = None
