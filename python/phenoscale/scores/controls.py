# SPDX-License-Identifier: BSD-3-Clause
"""How well controls are told apart, Z', its robust kin and SSMD; and the doses of a curve, V."""

from __future__ import annotations

import numpy as np

from phenoscale.words import count

__all__ = ["separation", "v_factor"]


_MAD = 1.4826  # times the median absolute deviation = the SD of a normal distribution


def separation(pos, neg, ddof: int = 1) -> dict:
    """Separation of the control wells.

    Parameters
    ----------
    pos, neg : array_like of float, (wells,)
        Scores of positive and negative wells that were not trained on.
    ddof : int
        Of the standard deviations: 1 of a sample (default), 0 as some tools have it.

    Returns
    -------
    dict
        z_prime, 1 - 3 (s_pos + s_neg) / abs(m_pos - m_neg) of means and SD (Zhang 1999, J Biomol
        Screen 4:67); robust_z_prime, the same of medians and 1.4826 MAD; ssmd, (m_pos - m_neg) /
        sqrt(s_pos^2 + s_neg^2) (Zhang 2007, Genomics 89:552); each nan where it is undefined;
        reason, why that is so, else "".
    """
    pos, neg = np.asarray(pos, dtype=np.float64), np.asarray(neg, dtype=np.float64)
    result = {"z_prime": np.nan, "robust_z_prime": np.nan, "ssmd": np.nan, "reason": ""}
    if min(len(pos), len(neg)) < 2:
        result["reason"] = f"{len(pos)} positive and {len(neg)} negative wells: 2 of each needed"
        return result
    if not (np.isfinite(pos).all() and np.isfinite(neg).all()):
        result["reason"] = "a score is not a finite number"
        return result
    means, deviations = (pos.mean(), neg.mean()), (pos.std(ddof=ddof), neg.std(ddof=ddof))
    medians = np.median(pos), np.median(neg)
    spreads = [_MAD * np.median(abs(x - m)) for x, m in zip((pos, neg), medians)]
    result["z_prime"] = _z_prime(*means, *deviations)
    result["robust_z_prime"] = _z_prime(*medians, *spreads)
    spread, reasons = np.hypot(*deviations), []
    if spread > 1e-12 * np.abs(means).max():
        result["ssmd"] = float((means[0] - means[1]) / spread)
    else:
        reasons.append("the wells of each control are equal, so there is no SSMD")
    equal = [
        word
        for word, key in (("means", "z_prime"), ("medians", "robust_z_prime"))
        if np.isnan(result[key])
    ]
    if equal:
        reasons.insert(0, f"the {' and the '.join(equal)} of both controls are equal")
    return {**result, "reason": "; ".join(reasons)}


def v_factor(doses, scores) -> dict:
    """Quality of a dose curve, 1 - 6 mean(s_d) / abs(max m_d - min m_d) over its doses d (Ravkin
    2004, a poster at SBS); of two doses it is Z'.

    Parameters
    ----------
    doses, scores : array_like of float, (wells,)
        Of one compound; doses with one well have no SD, and are left out.

    Returns
    -------
    dict
        v, from the means m_d and sample SD s_d of the wells of each dose, nan where it is
        undefined; v_reason, why that is so, else "".
    """
    doses, scores = np.asarray(doses, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if not np.isfinite(scores).all():
        return {"v": np.nan, "v_reason": "a score is not a finite number"}
    wells = [scores[doses == dose] for dose in np.unique(doses)]
    wells = [of for of in wells if len(of) > 1]
    if len(wells) < 2:
        return {"v": np.nan, "v_reason": f"{count(len(wells), 'dose')} with two wells or more: 2 "
                                         "needed"}
    means = [of.mean() for of in wells]
    spread = np.mean([of.std(ddof=1) for of in wells])
    v = _z_prime(max(means), min(means), spread, spread)
    return {"v": v, "v_reason": "the means of all doses are equal" if np.isnan(v) else ""}


def _z_prime(m_pos, m_neg, s_pos, s_neg) -> float:
    """1 - 3 (s + s) / |m - m|; nan where the centres agree to rounding."""
    distance = abs(m_pos - m_neg)
    if distance <= 1e-12 * max(abs(m_pos), abs(m_neg)):
        return np.nan
    return float(1 - 3 * (s_pos + s_neg) / distance)
