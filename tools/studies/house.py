# SPDX-License-Identifier: BSD-3-Clause
"""Figures of the house: ``python tools/studies/house.py`` prints its rooms and what they carry.

For each room its modules and lines; how many imports there are and how many go up; the signatures
with the most parameters.  The rules themselves are tests/house.
"""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/kit"))

from tree import (  # noqa: E402
    FLOOR,
    SOURCES,
    imports_go_down,
    modules_of,
    package_imports,
    room_of,
    signatures,
)


def rooms(sources):
    """[(floor, room, modules, lines)], from the ground up."""
    modules, lines = Counter(), Counter()
    for module, path in modules_of(sources).items():
        modules[room_of(module)] += 1
        lines[room_of(module)] += sources[path].count("\n")
    return sorted((FLOOR[room], room, count, lines[room]) for room, count in modules.items())


def main():
    """Print them."""
    for floor, room, modules, lines in rooms(SOURCES):
        print(f"{floor:2}  {room:<12}{modules:4} modules{lines:7,} lines")
    inside = [one for _, _, one in package_imports(SOURCES) if one.name.startswith("phenoscale.")]
    print(f"{len(inside)} imports within the package, {len(imports_go_down(SOURCES))} up")
    for count, path, name in signatures(SOURCES)[:10]:
        print(f"{count:2} parameters: {name}, {path}")


if __name__ == "__main__":
    main()
