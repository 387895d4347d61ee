# SPDX-License-Identifier: BSD-3-Clause
"""Pictures that are the same for everybody: matplotlib as it comes, whatever the user has set."""

from __future__ import annotations

import locale
import os
import sys
from contextlib import contextmanager, suppress

from phenoscale.errors import InputError

__all__ = ["drawing"]


@contextmanager
def drawing():
    """Within it, or in a function that it decorates, no matplotlibrc, no style and no MPLBACKEND
    says how figures look; afterwards they do again.

    Raises
    ------
    InputError
        matplotlib itself cannot be imported with a matplotlibrc that is there.
    """
    matplotlib = _matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def _matplotlib():
    """The library; where this is its first import, a MPLBACKEND that names no backend is no fault,
    since none is needed."""
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    own = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    except (ValueError, locale.Error) as error:
        raise InputError(f"matplotlib does not start ({error}): its file matplotlibrc, here or in "
                         "your settings, is why: mend or remove it") from None
    finally:
        if own is not None:
            os.environ["MPLBACKEND"] = own
    if own:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = own
    return matplotlib
