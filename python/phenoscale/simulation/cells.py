# SPDX-License-Identifier: BSD-3-Clause
"""Drawing of simulated cells: from a phenotype and a strength to the light of three stains.

Called by simulate.py, which adds optics, plate effects and the camera. A cell is a deformed
ellipse: structures are laid out in the unit disk and mapped into it, filaments are splatted as
points. What each cell emits in a channel is one budget shared out among its structures, so that
a phenotype moves light about but never makes a cell brighter or rarer.
"""

import numpy as np

MARGIN = 60  # pixels drawn around the field, so that cells are cut by its border
SPACING = 27.0  # least distance of two cell centres, pixels
RADIUS = 25.5  # of a cell, pixels
NUCLEUS = 12.2  # its longer semi-axis, pixels
ANGLES = 128  # entries of an outline table
BUDGET = {"DNA": 2.2e5, "Actin": 5.5e5, "Tubulin": 5.5e5}  # counts a cell, summed over its pixels
FILAMENTS, BUNDLES, FIBRES, FOCI = 48, 8, 14, 12  # a cell
STEPS = 42  # points along a curve

INTERPHASE, MITOTIC, MONOASTER, DEAD = range(4)

# One row a property: its value in untreated cells. A phenotype names what it changes.
NORMAL = {
    "aspect": 1.25,  # of the cell's outline
    "rough": 0.095,  # outline: relative amplitude of its harmonics
    "spikes": 0.0,  # outline: retraction into arms
    "size": 1.0,  # of the cell, relative
    "nucleus_aspect": 1.2,
    "multinucleate": 0.02,  # part of the cells
    "fragmented": 0.01,
    "mitotic": 0.035,
    "monoaster": 0.0,
    "dead": 0.02,
    "chromatin": 0.22,  # contrast of the texture
    "cortex": 0.24,  # actin: shares; the rest is diffuse
    "fibres": 0.42,
    "foci": 0.03,
    "polymer": 0.72,  # tubulin: share in filaments; the rest is diffuse
    "bundled": 0.04,  # part of the filaments in bundles instead of radial
}

PHENOTYPES = {
    "Normal": {},
    "Bundled tubulin": {"bundled": 0.97, "polymer": 0.78},
    "Actin aggregates": {
        "fibres": 0.03, "foci": 0.62, "cortex": 0.16, "spikes": 0.2, "rough": 0.15,
    },
    "Fragmented nuclei": {"fragmented": 0.92, "chromatin": 0.3},
    "Elongated": {"aspect": 4.6, "rough": 0.05, "nucleus_aspect": 2.0, "fibres": 0.5},
    "Mitotic arrest": {"monoaster": 0.8},
    "Multinucleate": {"multinucleate": 0.95, "size": 1.15},
    "Depolymerised tubulin": {"polymer": 0.1, "size": 0.92, "rough": 0.16},
}


def draw_cells(rng, grain, cloud, phenotype, strength, density):
    """Draw one field of cells as emitted light, before any optics.

    Parameters
    ----------
    rng : numpy.random.Generator
    grain, cloud : ndarray (height + 2 * MARGIN, width + 2 * MARGIN), float32
        Noise of mean 0 and deviation 1 over a field of (height, width) pixels and its margin:
        fine for chromatin, coarse for cytoplasm.
    phenotype : str
        A name in `PHENOTYPES`.
    strength : float
        0 (as untreated) to 1 (full effect).
    density : float
        Cells per pixel.

    Returns
    -------
    light : ndarray (3, height, width), float32
        DNA, actin, tubulin; counts at a gain of one.
    count : int
        Cells with their centre in the field.
    """
    canvas = grain.shape
    cells = _make_cells(rng, canvas, phenotype, strength, density)
    owner, depth = _territories(cells, canvas)
    dna, nuclear = _draw_nuclei(rng, cells, grain, canvas)
    light = np.stack([
        dna,
        _draw_actin(rng, cells, owner, depth, cloud, nuclear),
        _draw_tubulin(rng, cells, owner, depth, cloud, nuclear),
    ])[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    y, x = cells["y"] - MARGIN, cells["x"] - MARGIN
    inside = (y >= 0) & (y < light.shape[1]) & (x >= 0) & (x < light.shape[2])
    return light, int(inside.sum())


def _make_cells(rng, canvas, phenotype, strength, density):
    """Everything that tells one cell from another: a dict of arrays with n rows."""
    x, y = _place(rng, canvas, density)
    n = len(x)
    responds = rng.random(n) < min(1.0, 0.45 + 0.6 * strength)
    effect = np.clip(strength * rng.uniform(0.85, 1.2, n), 0, 1) * responds
    changed = PHENOTYPES[phenotype]
    cells = {key: value + effect * (changed.get(key, value) - value)
             for key, value in NORMAL.items()}
    kind = np.full(n, INTERPHASE)
    draw = rng.random(n)
    edges = np.cumsum([cells["dead"], cells["mitotic"], cells["monoaster"]], axis=0)
    for value, edge in zip((MONOASTER, MITOTIC, DEAD), edges[::-1]):
        kind[draw < edge] = value
    round_up = kind != INTERPHASE
    radius = RADIUS * cells["size"] * np.exp(rng.normal(0, 0.1, n))
    radius = np.choose(kind, [radius, 14.0, 14.5, 8.0])
    aspect = np.where(round_up, 1.08, 1 + (cells["aspect"] - 1) * rng.uniform(0.4, 1.35, n))
    wave = rng.uniform(-0.012, 0.012, 2)
    angle = rng.uniform(0, np.pi) + 1.2 * np.sin(x * wave[0] + y * wave[1])
    angle = angle + rng.normal(0, 0.45, n)
    cells.update(
        n=n, x=x, y=y, kind=kind, angle=angle, cos=np.cos(angle), sin=np.sin(angle),
        a=radius * np.sqrt(aspect), b=radius / np.sqrt(aspect),
        outline=_outlines(rng, np.where(round_up, 0.03, cells["rough"]),
                          np.where(round_up, 0.0, cells["spikes"])),
        multi=rng.random(n) < cells["multinucleate"],
        broken=rng.random(n) < cells["fragmented"],
        centrosome=rng.uniform(-np.pi, np.pi, n),
    )
    content = 1 + 0.35 * rng.random(n) + 0.4 * (rng.random(n) < 0.25)  # cell cycle
    spread = np.exp(rng.normal(0, 0.25, (2, n)))
    left = np.where(kind == DEAD, 0.45, 1.0)
    cells["budget"] = [BUDGET["DNA"] * content * left, BUDGET["Actin"] * spread[0] * left,
                       BUDGET["Tubulin"] * spread[1] * left]
    return cells


def _place(rng, canvas, density):
    """Cell centres x, y (n,): in clusters, never closer than SPACING."""
    height, width = canvas
    want = round(density * height * width)
    parents = rng.uniform((0, 0), canvas, (max(2, want // 9), 2))
    tries = want * 25
    at = parents[rng.integers(0, len(parents), tries)] + rng.normal(0, 42, (tries, 2))
    lone = rng.random(tries) < 0.35 + 0.65 * (np.arange(tries) > want * 8)
    at = np.where(lone[:, None], rng.uniform((0, 0), canvas, (tries, 2)), at)
    at = at[((at >= 0) & (at < canvas)).all(1)]
    apart = (SPACING * rng.uniform(0.9, 1.15, len(at))) ** 2
    centres, count = np.empty((want, 2)), 0
    for point, least in zip(at, apart):
        if count == want:
            break
        if count == 0 or ((centres[:count] - point) ** 2).sum(1).min() > least:
            centres[count] = point
            count += 1
    return centres[:count, 1], centres[:count, 0]


def _outlines(rng, rough, spikes):
    """Tables (n, ANGLES) of relative radius over the angle: low harmonics, and arms."""
    turn = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    table = np.ones((len(rough), ANGLES))
    for k in range(2, 7):
        size = rough * rng.normal(0, 1.1 / k ** 0.5, len(rough)).clip(-1.5, 1.5)
        table += size[:, None] * np.cos(k * turn + rng.uniform(0, 2 * np.pi, len(rough))[:, None])
    arms = rng.integers(5, 9, len(rough))[:, None]
    phase = rng.uniform(0, 2 * np.pi, len(rough))[:, None]
    table += spikes[:, None] * np.cos(arms * turn + phase + 0.8 * np.sin(2 * turn + phase))
    return table.clip(0.35, 1.6).astype(np.float32)


def _box(x, y, reach, canvas):
    """Rows and columns within reach of a centre, as slices clipped to the canvas."""
    return (slice(max(0, int(y - reach)), max(0, min(canvas[0], int(y + reach) + 1))),
            slice(max(0, int(x - reach)), max(0, min(canvas[1], int(x + reach) + 1))))


def _distance(box, x, y, a, b, cos, sin, outline):
    """Relative distance (h, w) from the centre of a deformed ellipse: 1 on its outline."""
    dy = np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None] - np.float32(y)
    dx = np.arange(box[1].start, box[1].stop, dtype=np.float32) - np.float32(x)
    u = dx * np.float32(cos / a) + dy * np.float32(sin / a)
    v = dy * np.float32(cos / b) - dx * np.float32(sin / b)
    turn = np.arctan2(v, u) * np.float32(ANGLES / (2 * np.pi)) + np.float32(ANGLES)
    return np.sqrt(u * u + v * v) / outline[turn.astype(np.intp) % ANGLES]


def _territories(cells, canvas):
    """Which cell owns a pixel (-1: none) and how deep it lies: cells abut, never overlap."""
    owner = np.full(canvas, -1, dtype=np.int32)
    nearest = np.ones(canvas, dtype=np.float32)
    for i in range(cells["n"]):
        a, b = cells["a"][i], cells["b"][i]
        box = _box(cells["x"][i], cells["y"][i], a * cells["outline"][i].max(), canvas)
        s = _distance(box, cells["x"][i], cells["y"][i], a, b, cells["cos"][i], cells["sin"][i],
                      cells["outline"][i])
        mine = s < nearest[box]
        np.copyto(nearest[box], s, where=mine)
        owner[box][mine] = i
    return owner, 1 - nearest


def _pieces(rng, cells, i):
    """Bodies of DNA of cell i: rows of (along, across, semi-axes, angle), pixels, nucleoli."""
    kind, size = cells["kind"][i], NUCLEUS * np.exp(rng.normal(0, 0.07))
    q = np.sqrt(1 + (cells["nucleus_aspect"][i] - 1) * rng.uniform(0.5, 1.4))
    if kind == DEAD:
        return [(p[0], p[1], 3.6, 3.2, 0.0) for p in rng.normal(0, 2.2, (2, 2))], False
    if kind == MITOTIC:
        gap = 4.5 if rng.random() < 0.25 else 0.0  # anaphase or metaphase
        return [(side, 0.0, 2.6, 9.5, 0.0) for side in ((-gap, gap) if gap else (0.0,))], False
    if kind == MONOASTER:
        turn = np.arange(9) * (2 * np.pi / 9) + rng.normal(0, 0.15, 9)
        ring = rng.uniform(6.0, 7.6, 9)
        return [(r * np.cos(t), r * np.sin(t), 3.3, 1.8, t) for r, t in zip(ring, turn)], False
    if cells["broken"][i]:
        many = rng.integers(6, 11)
        turn, out = rng.uniform(0, 2 * np.pi, many), 12.5 * np.sqrt(rng.random(many))
        axes = rng.uniform(2.2, 5.4, many)
        return [(r * np.cos(t), r * np.sin(t), s, s * 0.85, t)
                for r, t, s in zip(out, turn, axes)], False
    if cells["multi"][i]:
        many = rng.integers(2, 5)
        turn = rng.uniform(0, np.pi) + np.arange(many) * (2 * np.pi / many)
        out, axis = (8.0, 9.5, 10.5)[many - 2], size * (0.8, 0.7, 0.62)[many - 2]
        return [(out * np.cos(t), out * np.sin(t), axis, axis * 0.85, t + 1.6)
                for t in turn], True
    shift = rng.normal(0, 1.8, 2)
    return [(shift[0], shift[1], size * q * 0.93, size / q * 0.93, rng.normal(0, 0.2))], True


def _draw_nuclei(rng, cells, grain, canvas):
    """Light of the DNA stain (h, w), and how much of each pixel is nucleus."""
    dna, nuclear = np.zeros(canvas, np.float32), np.zeros(canvas, np.float32)
    round_outlines = _outlines(rng, np.full(64, 0.05), np.zeros(64))
    for i in range(cells["n"]):
        bodies, nucleoli = _pieces(rng, cells, i)
        cos, sin = cells["cos"][i], cells["sin"][i]
        area = sum(p[2] * p[3] for p in bodies)
        for along, across, a, b, turn in bodies:
            x = cells["x"][i] + along * cos - across * sin
            y = cells["y"][i] + along * sin + across * cos
            box = _box(x, y, 1.2 * max(a, b) + 2, canvas)
            if box[0].start >= box[0].stop or box[1].start >= box[1].stop:
                continue
            t = cells["angle"][i] + turn
            s = _distance(box, x, y, a, b, np.cos(t), np.sin(t),
                          round_outlines[rng.integers(64)])
            mask = ((1 - s) * np.float32(0.6 * b)).clip(0, 1)
            body = mask * (1 + np.float32(cells["chromatin"][i]) * grain[box]).clip(0.2, 2)
            if nucleoli:
                _dim_nucleoli(rng, body, box, x, y, b)
            nuclear[box] = np.maximum(nuclear[box], mask)
            share = cells["budget"][0][i] * a * b / area
            dna[box] += body * np.float32(share / max(body.sum(), 0.5 * a * b))
    return dna, nuclear


def _dim_nucleoli(rng, body, box, x, y, reach):
    """Take the stain out of one to four round spots of a nucleus, in place."""
    for _ in range(rng.integers(1, 5)):
        dx, dy = rng.normal(0, 0.36 * reach, 2)
        spread = rng.uniform(1.3, 2.3)
        rows = np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None] - (y + dy)
        columns = np.arange(box[1].start, box[1].stop, dtype=np.float32) - (x + dx)
        rows = np.exp(-rows * rows / (2 * spread ** 2))
        columns = np.exp(-columns * columns / (2 * spread ** 2))
        body *= (1 - 0.6 * rows * columns).astype(np.float32)


def _curves(rng, start, bend, end):
    """Points (n, f, STEPS) u, v along quadratic curves in the unit disk; ends are (n, f, 2)."""
    t = np.linspace(0, 1, STEPS, dtype=np.float32)
    t = t + rng.uniform(0, 1 / STEPS, start.shape[:2] + (1,)).astype(np.float32)
    start, bend, end = (p.astype(np.float32)[..., None] for p in (start, bend, end))
    first, second, third = (1 - t) ** 2, 2 * t * (1 - t), t * t
    return tuple(first * start[:, :, k] + second * bend[:, :, k] + third * end[:, :, k]
                 for k in (0, 1))


def _splat(rng, cells, owner, u, v, weight, share):
    """Light (h, w) of points at u, v of the unit disks, summing to share (n,) a cell.

    u and v are (n, f, p) for f structures of p points, weight is (n, f, 1).
    """
    height, width = owner.shape
    weight = np.broadcast_to(weight, u.shape).reshape(len(u), -1)
    u, v = u.reshape(weight.shape), v.reshape(weight.shape)
    col = {key: cells[key].astype(np.float32)[:, None]
           for key in ("x", "y", "a", "b", "cos", "sin")}
    turn = np.arctan2(v, u) * np.float32(ANGLES / (2 * np.pi)) + np.float32(ANGLES)
    stretch = np.take_along_axis(cells["outline"], turn.astype(np.intp) % ANGLES, 1)
    u, v = u * stretch * col["a"], v * stretch * col["b"]
    x = col["x"] + u * col["cos"] - v * col["sin"]
    y = col["y"] + u * col["sin"] + v * col["cos"]
    x += rng.random(x.shape, np.float32)  # spreads a point over its neighbours: no stairs
    y += rng.random(y.shape, np.float32)
    left, top = x.astype(np.int32), y.astype(np.int32)
    inside = (y >= 0) & (top < height) & (x >= 0) & (left < width)
    place = np.where(inside, top * width + left, 0)
    inside &= owner.ravel()[place] == np.arange(cells["n"], dtype=owner.dtype)[:, None]
    weight = weight * inside
    weight *= share[:, None] / np.maximum(weight.sum(1, keepdims=True), 1e-3)
    light = np.bincount(place.ravel(), weight.ravel(), height * width)
    return light.reshape(height, width).astype(np.float32)


def _spread(owner, amount, share):
    """amount (h, w) rescaled so that each cell's pixels sum to its share (n,)."""
    total = np.bincount(owner.ravel() + 1, amount.ravel(), len(share) + 1)
    factor = np.concatenate([[0], share]) / np.maximum(total, 1e-3)
    return amount * factor.astype(np.float32)[owner + 1]


def _lines(rng, cells, owner, start, bend, end, share):
    """Light of curved filaments of unequal brightness; start, bend, end (n, f, 2)."""
    u, v = _curves(rng, start, bend, end)
    weight = np.exp(rng.normal(0, 0.45, u.shape[:2] + (1,)))
    return _splat(rng, cells, owner, u, v, weight, share)


def _draw_actin(rng, cells, owner, depth, cloud, nuclear):
    """Light of the actin stain (h, w): diffuse, cortex, stress fibres, foci."""
    n, rounded = cells["n"], cells["kind"] != INTERPHASE
    budget = cells["budget"][1]
    cortex = budget * np.where(rounded, 0.45, cells["cortex"])
    fibres = budget * np.where(rounded, 0.02, cells["fibres"])
    foci = budget * np.where(rounded, 0.02, cells["foci"])
    diffuse = np.sqrt(depth) * (1 + 0.25 * cloud).clip(0.2, 2) * (1 - 0.25 * nuclear)
    light = _spread(owner, diffuse, budget - cortex - fibres - foci)

    rim = np.zeros(owner.shape, bool)
    for axis in (0, 1):
        rim |= (owner != np.roll(owner, 1, axis)) | (owner != np.roll(owner, -1, axis))
    light += _spread(owner, rim * (1 + 0.5 * cloud).clip(0.1, 3), cortex)

    across = rng.uniform(-0.85, 0.85, (n, FIBRES))
    half = 0.96 * np.sqrt(1 - across ** 2)
    tilt = rng.normal(0, 0.25, (n, 1)) + rng.normal(0, 0.07, (n, FIBRES))
    cos, sin = np.cos(tilt), np.sin(tilt)
    bow = across * rng.uniform(1.0, 1.3, (n, FIBRES))

    def turned(u, v):
        return np.stack([u * cos - v * sin, u * sin + v * cos], -1)

    short = half * rng.uniform(0.3, 1, (2, n, FIBRES))
    light += _lines(rng, cells, owner, turned(-short[0], across), turned(0 * bow, bow),
                    turned(short[1], across), fibres)

    turn = rng.uniform(-np.pi, np.pi, (n, FOCI, 1))
    out = np.sqrt(rng.uniform(0.1, 0.85, (n, FOCI, 1)))
    jitter = 0.045 * rng.standard_normal((2, n, FOCI, 24))
    u = (out * np.cos(turn) + jitter[0]).astype(np.float32)
    v = (out * np.sin(turn) + jitter[1]).astype(np.float32)
    size = np.exp(rng.normal(0, 0.6, (n, FOCI, 1)))
    return light + _splat(rng, cells, owner, u, v, size, foci)


def _draw_tubulin(rng, cells, owner, depth, cloud, nuclear):
    """Light of the tubulin stain (h, w): diffuse, radial filaments, bundles, spindles."""
    n, kind = cells["n"], cells["kind"]
    polymer = cells["budget"][2] * np.where(kind == INTERPHASE, cells["polymer"], 0.6)
    diffuse = depth ** 0.7 * (1 + 0.2 * cloud).clip(0.2, 2) * (1 - 0.45 * nuclear)
    light = _spread(owner, diffuse, cells["budget"][2] - polymer)
    shape = (n, FILAMENTS)

    def polar(out, turn):
        return np.stack([out * np.cos(turn), out * np.sin(turn)], -1)

    turn = rng.uniform(-np.pi, np.pi, shape)
    start = (polar(np.full((n, 1), 0.3), cells["centrosome"][:, None])
             + polar(np.abs(rng.normal(0, 0.16, shape)), turn + rng.normal(0, 0.4, shape)))
    end = polar(rng.uniform(0.76, 1.03, shape), turn)
    bend = 0.5 * (start + end) + rng.normal(0, 0.2, shape + (2,))

    group = np.arange(FILAMENTS) % BUNDLES  # bundles run past the nucleus
    side = rng.uniform(-np.pi, np.pi, (n, BUNDLES))[:, group]
    arc = rng.uniform(0.5, 1.25, (n, BUNDLES))[:, group]
    out = rng.uniform(0.6, 1.0, (n, BUNDLES))[:, group]
    curl = rng.uniform(0.15, 1.1, (n, BUNDLES))[:, group]
    fray = 0.035 * rng.standard_normal((3,) + shape + (2,))
    bundled = (rng.random(shape) < cells["bundled"][:, None])[..., None]
    start = np.where(bundled, polar(out, side - arc) + fray[0], start)
    end = np.where(bundled, polar(out, side + arc) + fray[1], end)
    bend = np.where(bundled, polar(out * curl, side) + fray[2], bend)

    pole = np.where(np.arange(FILAMENTS) % 2, 0.6, -0.6)
    plate = np.stack([rng.normal(0, 0.1, shape), rng.uniform(-0.62, 0.62, shape)], -1)
    spindle = (kind == MITOTIC)[:, None, None]
    start = np.where(spindle, np.stack([pole + 0 * plate[..., 0], 0 * plate[..., 0]], -1), start)
    end = np.where(spindle, plate, end)
    bend = np.where(spindle, 0.5 * start + plate * (0.5, 0.75), bend)
    centred = (kind == MONOASTER)[:, None, None]
    start, bend, end = np.where(centred, (0 * start, 0.5 * end, 0.75 * end), (start, bend, end))
    return light + _lines(rng, cells, owner, start, bend, end, polymer)
