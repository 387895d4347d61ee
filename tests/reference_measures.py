# SPDX-License-Identifier: BSD-3-Clause
"""The slow twin of csrc/measures: each number of a field in plain float64 NumPy, written as it is
defined, with no thought of speed.  `numbers(field, nuclei)` is {name: value}, names with {0}, {1}
filled by the numbers of the channels.
"""

import itertools
import math

import numpy as np

FULL = {"uint8": 255.0, "uint16": 65535.0}
CIRCLE = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]


def levels(plane):
    """Whole levels, and the value of one more: counts as they are, floats on 65,536 of their range;
    and of level 0."""
    x = plane.astype(np.float64)
    if plane.dtype != np.float32:
        return x, 1 / FULL[plane.dtype.name], 0.0
    step = (x.max() - x.min()) / 65535 or 1.0
    return np.floor((x - x.min()) / step + 0.5), step, x.min()


# ---- one channel -----------------------------------------------------------------------------


def intensity(x):
    """What CellProfiler's MeasureImageIntensity says, and the foreground of Otsu's threshold."""
    median, deviation = np.median(x), x - x.mean()
    levels, counts = np.unique(x, return_counts=True)
    best, share, step = -1.0, math.nan, math.nan
    for k in range(1, len(levels)):
        low, high = counts[:k].sum(), counts[k:].sum()
        apart = (levels[k:] @ counts[k:]) / high - (levels[:k] @ counts[:k]) / low
        if low * high * apart ** 2 > best * (1 + 1e-12):
            best, share, step = low * high * apart ** 2, high / x.size, apart
    percent = {q: np.percentile(x, q) for q in (1, 5, 25, 75, 95, 99)}
    return {
        "Intensity_MeanIntensity_{0}": x.mean(), "Intensity_StdIntensity_{0}": x.std(),
        "Intensity_MedianIntensity_{0}": median,
        "Intensity_MADIntensity_{0}": np.median(np.abs(x - median)),
        "Intensity_MinIntensity_{0}": x.min(), "Intensity_MaxIntensity_{0}": x.max(),
        "Intensity_LowerQuartileIntensity_{0}": percent[25],
        "Intensity_UpperQuartileIntensity_{0}": percent[75],
        **{f"Intensity_Percentile_{q}_{{0}}": percent[q] for q in (1, 5, 95, 99)},
        "Intensity_PercentMaximal_{0}": 100 * np.mean(x == x.max()),
        "Intensity_Skewness_{0}": (deviation ** 3).mean() / x.std() ** 3 if x.std() else math.nan,
        "ImageQuality_FocusScore_{0}": x.var() / x.mean() if x.mean() > 0 else math.nan,
        "Foreground_Share_{0}": share, "Foreground_Step_{0}": step}


def details(x):
    """Octave by octave: means over 2x2, and the three slopes within."""
    for _ in range(6):
        h, w = (side // 2 for side in x.shape)
        if not h or not w:
            return
        p, q, r, s = (x[i:2 * h:2, j:2 * w:2] for i in (0, 1) for j in (0, 1))
        x = (p + q + r + s) / 4
        yield x, np.stack([p - q + r - s, p + q - r - s, p - q - r + s]) / 4


def bands(x):
    """Root mean square and kurtosis of the detail of each octave."""
    out = {f"Bands_{kind}_{k}_{{0}}": math.nan for kind in ("RMS", "Kurtosis") for k in range(1, 7)}
    for k, (_, detail) in enumerate(details(x), 1):
        energy = (detail ** 2).sum(0).mean()
        out[f"Bands_RMS_{k}_{{0}}"] = math.sqrt(energy)
        if energy > 0:
            out[f"Bands_Kurtosis_{k}_{{0}}"] = (detail ** 4).mean() / (detail ** 2).mean() ** 2
    return out


def patterns(x):
    """Share of each kind of neighbourhood at 1, 2 and 4 pixels; of levels, so that equals are."""
    out, planes = {}, [x, *(mean for mean, _ in itertools.islice(details(x), 2))]
    for scale, plane in zip((1, 2, 4), planes):
        h, w = plane.shape
        count = np.zeros(10, int)
        for y, x_ in itertools.product(range(1, h - 1), range(1, w - 1)):
            bits = [plane[y + dy, x_ + dx] >= plane[y, x_] for dy, dx in CIRCLE]
            turns = sum(bits[k] != bits[k - 1] for k in range(8))
            count[sum(bits) if turns <= 2 else 9] += 1
        for k, kind in enumerate([*range(9), "Other"]):
            out[f"Patterns_{scale}_{kind}_{{0}}"] = count[k] / count.sum()
    return out


def side_by_side(grey):
    """How often each grey lies three pixels from each, both ways, in four directions."""
    h, w = grey.shape
    for dy, dx in [(0, 3), (3, 3), (3, 0), (3, -3)]:
        here = grey[:h - dy, max(0, -dx):w - max(0, dx)]
        there = grey[dy:, max(0, dx):w + min(0, dx)]
        pairs = np.zeros((256, 256))
        np.add.at(pairs, (here, there), 1)
        yield pairs + pairs.T


def haralick(pairs):
    """Three of Haralick's numbers."""
    i, j = np.mgrid[:256, :256]
    p = pairs / pairs.sum()
    mean = (i * p).sum()
    variance = (i * i * p).sum() - mean ** 2
    some = p[p > 0]
    return {"Contrast": ((i - j) ** 2 * p).sum(), "Entropy": -(some * np.log2(some)).sum(),
            "Correlation": ((i * j * p).sum() - mean ** 2) / variance if variance > 0 else 1.0}


def texture(x):
    """Of each direction, at three pixels."""
    grey = np.rint(np.clip(x, 0, 1) * 255).astype(int)
    return {f"Texture_{name}_{{0}}_3_{d:02d}_256": value
            for d, pairs in enumerate(side_by_side(grey))
            for name, value in haralick(pairs).items()}


def coarse_texture(x, step, base):
    """Of all directions together, at 6 and 12 pixels; in float32, as many means are between two
    greys."""
    out, step, base = {}, np.float32(step), np.float32(base)
    for far, (mean, _) in zip((6, 12), details(x)):
        value = (base + step * mean.astype(np.float32)) * np.float32(255)
        grey = np.rint(value.clip(0, 255)).astype(int)
        for name, value in haralick(sum(side_by_side(grey))).items():
            out[f"CoarseTexture_{name}_{{0}}_{far}"] = value
    return out


def extreme(x, offsets, pick):
    """The least or largest of each pixel's neighbourhood within the plane."""
    h, w = x.shape
    blank = math.inf if pick is np.minimum else -math.inf
    wide = np.pad(x, 10, constant_values=blank)
    return pick.reduce([wide[10 + dy:10 + dy + h, 10 + dx:10 + dx + w] for dy, dx in offsets])


def between(x, y_at, x_at):
    """Bilinear, 0 outside."""
    h, w = x.shape
    out = np.zeros((len(y_at), len(x_at)))
    for (a, y), (b, z) in itertools.product(enumerate(y_at), enumerate(x_at)):
        if not (0 <= y <= h - 1 and 0 <= z <= w - 1):
            continue
        i, j = min(int(y), h - 2), min(int(z), w - 2)
        u, v = y - i, z - j
        out[a, b] = ((1 - u) * ((1 - v) * x[i, j] + v * x[i, j + 1])
                     + u * ((1 - v) * x[i + 1, j] + v * x[i + 1, j + 1]))
    return out


DISK = [(dy, dx) for dy in range(-10, 11) for dx in range(-10, 11) if dy * dy + dx * dx <= 100]
CROSS = [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)]


def granularity(x):
    """What CellProfiler's MeasureGranularity says, as it comes."""
    small, h, w = x[::4, ::4], x.shape[0] / 4, x.shape[1] / 4
    back = extreme(extreme(small[::4, ::4], DISK, np.minimum), DISK, np.maximum)
    steps = ((h / 4 - 1) / (h - 1), (w / 4 - 1) / (w - 1))
    top = small - between(back, *(np.arange(n) * step for n, step in zip(small.shape, steps)))
    top = eroded = np.maximum(top, 0)
    means, out = [top.mean()], {}
    for size in range(1, 9):
        eroded = extreme(eroded, CROSS, np.minimum)
        rebuilt, before = eroded, None
        while before is None or not np.array_equal(rebuilt, before):
            rebuilt, before = np.minimum(extreme(rebuilt, CROSS, np.maximum), top), rebuilt
        means.append(rebuilt.mean())
        out[f"Granularity_{size}_{{0}}"] = (100 * (means[-2] - means[-1]) / means[0]
                                            if means[0] > 0 else math.nan)
    return out


def spectrum(x):
    """Slope of power by frequency, both as logarithms (Field 1997)."""
    name, (h, w) = "ImageQuality_PowerLogLogSlope_{0}", x.shape
    y, z = (np.minimum(np.arange(n), np.arange(n)[::-1]) for n in (h, w))
    ring = np.floor(np.hypot(y[:, None], z)).astype(int) + 1
    power = np.abs(np.fft.fft2(x - x.mean())) ** 2
    rings = np.arange(2, min(h, w) // 8)
    summed = np.array([power[ring == r].sum() for r in rings])
    if len(rings) < 2 or x.min() == x.max():
        return {name: math.nan}
    return {name: np.polyfit(np.log(rings), np.log(summed), 1)[0]}


def quality(x):
    """Focus by windows of 20 x 20 and by the Laplacian; how the light leans and falls off."""
    h, w = x.shape
    rows, columns = -(-h // 20), -(-w // 20)
    y, z = np.arange(h) * rows // h, np.arange(w) * columns // w
    windows = [[x[y == i][:, z == j] for j in range(columns)] for i in range(rows)]
    mean = np.array([[part.mean() for part in row] for row in windows])
    spread = np.array([[part.var() for part in row] for row in windows])
    ratio = (spread[mean != 0] / mean[mean != 0])
    bent = 4 * x[1:-1, 1:-1] - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]
    down, across = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in mean.shape)
    ones = np.ones_like(mean)
    down, across = down[:, None] * ones, across * ones
    round_ = down ** 2 + across ** 2
    round_ = round_ - round_.mean()

    def slope(by):
        if mean.mean() <= 0:
            return math.nan
        return (by * mean).sum() / (by * by).sum() / mean.mean() if (by * by).sum() > 1e-9 else 0.0

    return {
        "ImageQuality_LocalFocusScore_{0}_20": (
            math.nan if not len(ratio) else ratio.var() / np.median(ratio)
            if np.median(ratio) > 0 else 0.0),
        "ImageQuality_Laplacian_{0}": (bent ** 2).mean() / x.var() if x.var() else math.nan,
        "Gradient_Lean_{0}": 2 * math.hypot(slope(down), slope(across)),
        "Gradient_Falloff_{0}": -slope(round_)}


CHANNEL = (intensity, bands, texture, granularity, spectrum, quality)


# ---- two channels ----------------------------------------------------------------------------


def pair(x, y):
    """What CellProfiler's MeasureColocalization says, with its threshold of 15 %."""
    fx, fy = x > 0.15 * x.max(), y > 0.15 * y.max()
    both = fx & fy
    ranks = [np.unique(plane, return_inverse=True)[1].reshape(x.shape) for plane in (x, y)]
    weight = 1 - np.abs(ranks[0] - ranks[1]) / (max(r.max() for r in ranks) + 1)
    flat = x.std() == 0 or y.std() == 0
    return {
        "Correlation_Correlation_{0}_{1}": (
            math.nan if flat else np.corrcoef(x.ravel(), y.ravel())[0, 1]),
        "Correlation_Overlap_{0}_{1}": (x[both] @ y[both]) / math.sqrt(
            (x[both] @ x[both]) * (y[both] @ y[both])),
        "Correlation_Manders_{0}_{1}": x[both].sum() / x[fx].sum(),
        "Correlation_Manders_{1}_{0}": y[both].sum() / y[fy].sum(),
        "Correlation_RWC_{0}_{1}": (x * weight)[both].sum() / x[fx].sum(),
        "Correlation_RWC_{1}_{0}": (y * weight)[both].sum() / y[fy].sum()}


def coherence(x, y):
    """Correlation of the detail of two channels, octave by octave."""
    out = {f"Bands_Coherence_{k}_{{0}}_{{1}}": math.nan for k in range(1, 7)}
    for k, ((_, a), (_, b)) in enumerate(zip(details(x), details(y)), 1):
        both = (a * a).sum() * (b * b).sum()
        if both > 0:
            out[f"Bands_Coherence_{k}_{{0}}_{{1}}"] = (a * b).sum() / math.sqrt(both)
    return out


# ---- nuclei ----------------------------------------------------------------------------------


def blurred(x, size, axis):
    """By a Gaussian, the edge going on."""
    reach = int(3 * size + 0.5)
    taps = np.exp(-np.arange(-reach, reach + 1) ** 2 / (2 * size * size))
    n = x.shape[axis]
    at = np.clip(np.arange(-reach, n + reach), 0, n - 1)
    wide = x.take(at, axis)
    return sum(tap * wide.take(range(k, k + n), axis) for k, tap in enumerate(taps / taps.sum()))


def peaks(response):
    """Floods from the maxima down: (pixel, height, height at which it meets a higher one)."""
    h, w = response.shape
    flat, owner, found = response.ravel(), {}, []

    def top_of(pixel):
        while owner[pixel] != pixel:
            pixel = owner[pixel]
        return pixel

    for at in np.argsort(-flat, kind="stable"):
        if flat[at] <= 0:
            break
        y, x = divmod(int(at), w)
        near = sorted({top_of((y + dy) * w + x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)
                       if 0 <= y + dy < h and 0 <= x + dx < w and (y + dy) * w + x + dx in owner},
                      key=lambda peak: (-flat[peak], peak)) or [int(at)]
        owner[int(at)] = near[0]
        for lower in near[1:]:
            found.append((lower, flat[lower], flat[at]))
            owner[lower] = near[0]
    return found + [(peak, flat[peak], 0.0) for peak, top in owner.items() if peak == top]


def cells(x):
    """How many nuclei, how far apart, how large."""
    (_, fine), (plane, _) = itertools.islice(details(x), 2)
    sizes, energies, responses = 2 ** (np.arange(9) / 3), [], []
    for size in sizes:
        s = np.pad(blurred(blurred(plane, size, 1), size, 0), 1, mode="edge")
        r = size ** 2 * (4 * s[1:-1, 1:-1] - s[:-2, 1:-1] - s[2:, 1:-1] - s[1:-1, :-2]
                         - s[1:-1, 2:])
        responses.append(r)
        energies.append((r * r).sum())
    k = int(np.argmax(energies))
    size = sizes[k]
    if 0 < k < 8:
        a, b, c = energies[k - 1:k + 2]
        size *= 2 ** ((a - c) / (2 * (a - 2 * b + c)) / 3)
    found = [(p, top) for p, top, meets in peaks(responses[k]) if top - meets > top / 2]
    noise = math.sqrt(4 / 3 * (fine ** 2).sum(0).mean()) / 4 / size / math.sqrt(2 * math.pi)
    if found:
        tops = np.sort([top for _, top in found])
        tenth = max(len(tops) // 10, min(3, len(tops)))
        bright = max(tops[len(tops) - 1 - tenth // 2] / 4, 6 * noise)
        found = [p for p, top in found if top > bright]
    h, w = plane.shape
    at = np.array([divmod(p, w) for p in found]).reshape(-1, 2)
    edge = ((at == 0) | (at == (h - 1, w - 1))).any(1).sum()
    apart = np.hypot(*(at[:, None] - at).transpose(2, 0, 1)) + np.diag([math.inf] * len(at))
    return {"Cells_Count_{0}": len(at) - edge / 2,
            "Cells_Spacing_{0}": 4 * apart.min(1).mean() if len(at) > 1 else math.nan,
            "Cells_Radius_{0}": 4 * math.sqrt(2) * size}


# ---- all -------------------------------------------------------------------------------------


def numbers(field, nuclei=-1):
    """{name: value} of a field (c, h, w)."""
    planes, out = [], {}
    for k, plane in enumerate(field):
        x, step, base = levels(plane)
        planes.append(base + step * x)
        for found in (patterns(x), coarse_texture(x, step, base),
                      *(measure(planes[-1]) for measure in CHANNEL)):
            out.update({name.format(k): v for name, v in found.items()})
    for a, b in itertools.combinations(range(len(planes)), 2):
        for measure in (pair, coherence):
            found = measure(planes[a], planes[b])
            out.update({name.format(a, b): v for name, v in found.items()})
    if nuclei >= 0:
        out.update({name.format(nuclei): v for name, v in cells(planes[nuclei]).items()})
    return out
