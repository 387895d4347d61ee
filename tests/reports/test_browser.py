# SPDX-License-Identifier: BSD-3-Clause
"""The report in a browser: what an accessibility checker finds, and what its script does.

Chromium from the system, axe-core from the package axe-core-python; skipped where one is absent.
"""

import base64
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("pandas"), pytest.importorskip("matplotlib"), pytest.importorskip("jinja2")
pytest.importorskip("tifffile"), pytest.importorskip("sklearn")

from phenoscale.reports.report import write_report
from profiles import make_profile
from runs import make_screen

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)
AXE = importlib.util.find_spec("axe_core_python")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = make_screen(tmp_path_factory.mktemp("browser") / "run")
    make_profile(folder)
    return Path(write_report(folder))


def seen(path, *options, script=None):
    """The page as Chromium has it once its scripts have run; with one of ours, without its policy
    and ours at the end."""
    if script is not None:
        text = path.read_text(encoding="utf-8")
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
        path = path.with_name("scripted.html")
        path.write_text(text.replace("</body>", f"<script>{script}</script></body>"),
                        encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         "--virtual-time-budget=20000", f"--user-data-dir={path.parent / 'browser'}", *options,
         f"file://{path}"], capture_output=True, text=True, timeout=300)
    assert "</html>" in done.stdout, done.stderr[-2000:]
    return done.stdout


@pytest.mark.skipif(AXE is None, reason="no axe-core-python")
@pytest.mark.parametrize("options", [(), ("--window-size=400,900",),
                                     ("--blink-settings=preferredColorScheme=0",)],
                         ids=["wide", "narrow", "dark"])
def test_a_checker_of_accessibility_finds_nothing(page, options):
    """Folded parts open, so that they are looked at too."""
    axe = Path(AXE.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8")
    found = seen(page, *options, script=axe.replace("</script", "<\\/script") + """;
        document.querySelectorAll("details").forEach((one) => { one.open = true; });
        document.querySelectorAll(".wells rect")[3].dispatchEvent(
            new MouseEvent("click", {bubbles: true}));
        axe.run(document, {resultTypes: ["violations"]}).then((found) => {
            const said = document.createElement("pre");
            said.id = "axe";
            said.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(
                [found.passes.length, found.violations.map((one) => [one.id, one.nodes.length,
                 one.nodes[0].html, one.nodes[0].failureSummary])]))));
            document.body.append(said);
        });""")
    passes, violations = json.loads(base64.b64decode(
        re.search(r'<pre id="axe">([^<]*)</pre>', found)[1]))
    assert passes > 10
    assert violations == []


def test_the_script_shows_one_plate_and_its_layers(page):
    """Under the policy of the page itself: its one script runs, and the wells take the colours of
    the layer that a button names."""
    plain = seen(page)
    assert '<html lang="en" class="js">' in plain
    assert len(re.findall(r'<figure class="plate on"', plain)) == 1
    layers = re.findall(r'data-layer="([^"]+)"[^>]*>([^<]+)</button>', plain)
    place = dict((name, number) for number, name in layers)["distance"]
    clicked = seen(page, script=f"""
        document.querySelector('[data-layer="{place}"]').click();
        document.querySelectorAll("figure.plate.on .wells rect")[0].dispatchEvent(
            new MouseEvent("click", {{bubbles: true}}));
        document.activeElement.dispatchEvent(
            new KeyboardEvent("keydown", {{key: "ArrowRight", bubbles: true}}));""")
    data = json.loads(re.search(r'id="plates-data">(.*?)</script>', clicked, re.DOTALL)[1])
    figure = re.search(r'<figure class="plate on[^"]*".*?</figure>', clicked, re.DOTALL)[0]
    fills = re.findall(r'<rect x="\d+"[^>]*?fill="(#[0-9a-fA-F]{6})"[^>]*?><title>', figure)
    palette, codes = data["layers"][int(place)]["palette"], data["plates"][0]["codes"][int(place)]
    assert fills == [data["unseen"] if c == "." else palette[int(c, 36)] for c in codes]
    # the arrow went one well to the right, and the panel says which
    wells = data["plates"][0]["wells"]
    assert re.search(r"<h3>P4 " + wells[0][0] + f"{int(wells[0][1:]) + 1:02d}", clicked)
    assert clicked.count('class="crop"') > plain.count('class="crop"')


def test_another_script_does_not_run(page, tmp_path):
    """What the policy is for."""
    path = tmp_path / "planted.html"
    text = page.read_text(encoding="utf-8")
    path.write_text(text.replace("</body>", "<script>document.title = 'planted'</script></body>"),
                    encoding="utf-8")
    assert "<title>planted</title>" not in seen(path)
