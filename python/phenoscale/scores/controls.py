# SPDX-License-Identifier: BSD-3-Clause
"""How well controls are told apart: Z' and its robust kin."""

from __future__ import annotations

import numpy as np

__all__ = ["z_prime"]


_MAD = 1.4826  # times the median absolute deviation = the SD of a normal distribution


def z_prime(pos, neg, ddof: int = 1) -> dict:
    """Separation of the control wells, 1 - 3 (s_pos + s_neg) / abs(m_pos - m_neg).

    Parameters
    ----------
    pos, neg : array_like of float, (wells,)
        Scores of positive and negative wells that were not trained on.
    ddof : int
        Of the standard deviations: 1 of a sample (default), 0 as some tools have it.

    Returns
    -------
    dict
        z_prime (means, SD), robust_z_prime (medians, 1.4826 MAD), each nan where it is undefined;
        reason, why that is so, else "".
    """
    pos, neg = np.asarray(pos, dtype=np.float64), np.asarray(neg, dtype=np.float64)
    result = {"z_prime": np.nan, "robust_z_prime": np.nan, "reason": ""}
    if min(len(pos), len(neg)) < 2:
        result["reason"] = f"{len(pos)} positive and {len(neg)} negative wells: 2 of each needed"
        return result
    if not (np.isfinite(pos).all() and np.isfinite(neg).all()):
        result["reason"] = "a score is not a finite number"
        return result
    result["z_prime"] = _separation(pos.mean(), neg.mean(), pos.std(ddof=ddof), neg.std(ddof=ddof))
    medians = np.median(pos), np.median(neg)
    spreads = [_MAD * np.median(abs(x - m)) for x, m in zip((pos, neg), medians)]
    result["robust_z_prime"] = _separation(*medians, *spreads)
    equal = [
        word
        for word, key in (("means", "z_prime"), ("medians", "robust_z_prime"))
        if np.isnan(result[key])
    ]
    if equal:
        result["reason"] = f"the {' and the '.join(equal)} of both controls are equal"
    return result


def _separation(m_pos, m_neg, s_pos, s_neg) -> float:
    """1 - 3 (s + s) / |m - m|; nan where the centres agree to rounding."""
    distance = abs(m_pos - m_neg)
    if distance <= 1e-12 * max(abs(m_pos), abs(m_neg)):
        return np.nan
    return float(1 - 3 * (s_pos + s_neg) / distance)
