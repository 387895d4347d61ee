# SPDX-License-Identifier: BSD-3-Clause
"""Every module has a test of its own name, in the room of its name, or stands on a list."""

import pytest

from tree import PACKAGE, SOURCES, below, planted

#: module -> the test that it is seen through
NOT_MIRRORED = {
    "__main__": "cli/test_verbs",
    "bench/figures": "bench/test_run",
    "bench/memory": "bench/test_run",
    "bench/ours": "bench/test_run",
    "bench/peers": "bench/test_run",
    "bench/process": "bench/test_run",
    "bench/rank": "bench/test_scaling",
    "bench/scaling_picture": "bench/test_scaling",
    "bench/scaling_show": "bench/test_scaling",
    "bench/show": "bench/test_run",
    "bench/work": "bench/test_scaling",
    "checks/findings": "checks/test_check",
    "checks/pixels": "checks/test_check",
    "checks/plan": "checks/test_check",
    "cli/bench": "bench/test_scaling",
    "cli/check": "cli/test_verbs",
    "cli/doctor": "cli/test_verbs",
    "cli/endings": "cli/test_verbs",
    "cli/evaluate": "evaluation/test_evaluate",
    "cli/evidence": "reports/test_evidence_files",
    "cli/export": "exports/test_export",
    "cli/install_plugin": "hosts/test_install_plugin",
    "cli/ladder": "evaluation/test_ladder",
    "cli/launch": "ranks/test_launch",
    "cli/options": "cli/test_table_options",
    "cli/predict": "prediction/test_predict",
    "cli/report": "cli/test_verbs",
    "cli/serve": "hosts/test_serve",
    "cli/simulate": "cli/test_verbs",
    "cli/match": "evaluation/test_matching",
    "cli/measure": "prediction/test_measure",
    "cli/profile": "screening/test_profile",
    "cli/ranked": "prediction/test_file_ranks",
    "cli/train": "cli/test_verbs",
    "errors": "cli/test_verbs",
    "files/tensors": "models/test_model",
    "hosts/task_fields": "hosts/test_tasks",
    "images/disk": "images/test_read",
    "hosts/task_schema": "hosts/test_schema",
    "images/fields": "images/test_survey",
    "images/moments": "training/test_train",
    "images/survey_ranks": "images/test_survey",
    "images/usable": "images/test_survey",
    "models/controls": "training/test_run",
    "models/metadata": "models/test_model",
    "models/networks": "models/test_model",
    "models/novelty": "models/test_certainty",
    "prediction/frame": "prediction/test_predict",
    "prediction/inputs": "prediction/test_predict",
    "prediction/turns": "prediction/test_measure",
    "progress": "training/test_train",
    "training/running": "training/test_run",
    "training/validate": "training/test_train",
    "ranks/crew": "training/test_train",
    "ranks/exchange": "ranks/test_alone",
    "ranks/hostfile": "ranks/test_launch",
    "ranks/job": "ranks/test_launch",
    "ranks/launchers": "ranks/test_launch",
    "ranks/line": "ranks/test_mpi",
    "ranks/roll_call": "ranks/test_alone",
    "ranks/supervise": "ranks/test_launch",
    "reports/check_page": "checks/test_check",
    "reports/check_pictures": "checks/test_check",
    "reports/dose_pictures": "reports/test_report",
    "reports/fields": "reports/test_report",
    "reports/gallery": "reports/test_pictures",
    "reports/layers": "reports/test_screen",
    "reports/picture_files": "reports/test_screen",
    "reports/screen_pictures": "reports/test_screen",
    "reports/sections/changed": "reports/test_changed",
    "reports/sections/controls": "reports/test_screen",
    "reports/sections/curves": "reports/test_report",
    "reports/sections/doses": "reports/test_report",
    "reports/sections/evidence": "reports/test_report",
    "reports/sections/examples": "reports/test_report",
    "reports/sections/heads": "reports/test_heads",
    "reports/sections/hit_fields": "reports/test_screen",
    "reports/sections/hits": "reports/test_screen",
    "reports/sections/like": "reports/test_screen",
    "reports/sections/plates": "reports/test_screen",
    "reports/sections/result": "reports/test_report",
    "reports/sections/strictness": "reports/test_report",
    "reports/sections/summary": "reports/test_screen",
    "reports/thumbnails": "reports/test_screen",
    "signals": "training/test_interrupt",
    "simulation/cells": "simulation/test_simulate",
    "tables/doses": "tables/test_join",
    "tables/grids": "tables/test_join",
    "tables/join_choice": "tables/test_join_keys",
    "tables/outputs": "prediction/test_predict",
    "tables/predictions": "reports/test_report",
    "tables/read": "tables/test_table",
    "tables/spellings": "tables/test_join_keys",
    "training/follower": "ranks/test_mpi",
    "training/keeper": "training/test_resume",
    "training/run_config": "reports/test_strangers",
    "training/watcher": "training/test_train",
    "prediction/stream": "prediction/test_file",
    "words": "checks/test_check",
}


def places(sources):
    """{module as ROOM/NAME: (its file, the test of its name)}, rooms' __init__.py left out."""
    inside = (path.removeprefix(PACKAGE).removesuffix(".py") for path in below(sources, PACKAGE))
    found = {}
    for name in inside:
        room, _, module = name.rpartition("/")
        if module != "__init__":
            found[name] = f"{PACKAGE}{name}.py", f"tests/{room + '/' * bool(room)}test_{module}.py"
    return found


def modules_have_tests(sources):
    """What is tested under another name is on the list, which is no longer than it has to be."""
    there = places(sources)
    bare = [f"{path}: no {test}, and not on the list" for name, (path, test) in there.items()
            if test not in sources and name not in NOT_MIRRORED]
    stale = [f"{there[name][1]} is there: take {name} from the list" for name in NOT_MIRRORED
             if name in there and there[name][1] in sources]
    gone = [f"{PACKAGE}{name}.py is on the list, but not there"
            for name in NOT_MIRRORED.keys() - there]
    lost = [f"tests/{test}.py is on the list, but not there" for test in NOT_MIRRORED.values()
            if f"tests/{test}.py" not in sources]
    return [*bare, *stale, *gone, *lost]


def test_modules_have_tests():
    assert modules_have_tests(SOURCES) == []


@pytest.mark.parametrize("path", ["python/phenoscale/tables/attic.py", "python/phenoscale/attic.py",
                                  "python/phenoscale/reports/sections/attic.py",
                                  "tests/reports/sections/test_curves.py", "tests/test_errors.py"])
def test_what_the_list_does_not_say_is_found(path):
    assert [found for found in modules_have_tests(planted(SOURCES, path, ""))
            if found.startswith(path)]


@pytest.mark.parametrize("path", ["python/phenoscale/cli/serve.py", "tests/checks/test_check.py"])
def test_what_only_the_list_says_is_found(path):
    left = {name: text for name, text in SOURCES.items() if name != path}
    assert [found for found in modules_have_tests(left) if found.startswith(path)]
