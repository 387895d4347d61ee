# SPDX-License-Identifier: BSD-3-Clause
"""Runs in CellProfiler's own Python: several pipelines in one process, or one with workers.

stdin: {"plugins", "source", "out", "pipelines": {name: text}, "workers": n or 0}
stdout, last line: {name: {"errors": sentences, "columns": declared, "rows": {feature: values},
                          "marks": [setting, sentence] of modules that are not valid before the run,
                          "choices": {setting: names} of the last module}}
"""

import io
import json
import logging
import os
import queue
import sys

from cellprofiler_core import preferences

preferences.set_headless()


def errors_into(found):
    """A listener that notes the sentences of failures, and stops the run."""

    def hear(pipeline, event):
        if hasattr(event, "error"):
            found.append(str(event.error))
            event.cancel_run = True

    return hear


def marks(pipeline):
    """What the window marks red: (text of the setting, sentence)."""
    from cellprofiler_core.setting import ValidationError

    for module in pipeline.modules():
        try:
            module.test_valid(pipeline)
        except ValidationError as error:
            yield error.setting.text, str(error)


def choices(pipeline):
    """What the settings of the last module offer, as the window asks for it."""
    from cellprofiler_core.setting.choice import Choice

    return {setting.text: setting.get_choices() for setting in pipeline.modules()[-1].settings()
            if isinstance(setting, Choice)}


def measured(measurements):
    """What a run measured of ours: {feature: a value for each image set}."""
    if "Image" not in measurements.get_object_names():
        return {}
    numbers = list(measurements.get_image_numbers())
    return {name: [measurements["Image", name, n] for n in numbers]
            for name in measurements.get_feature_names("Image") if name.startswith("Phenoscale_")}


def analyze(pipeline, workers):
    """As "Analyze Images" does it: measurements of worker processes."""
    from cellprofiler_core.analysis._analysis import Analysis
    from cellprofiler_core.analysis.event import Finished
    from cellprofiler_core.analysis.reply import ExceptionPleaseDebug
    from cellprofiler_core.analysis.request import ExceptionReport
    from cellprofiler_core.image import ImageSetList
    from cellprofiler_core.measurement import Measurements
    from cellprofiler_core.workspace import Workspace

    measurements, events = Measurements(), queue.Queue()
    workspace = Workspace(pipeline, None, None, None, measurements, ImageSetList())
    for module in pipeline.modules():
        module.test_valid(pipeline)  # as the window does, all the time
    assert pipeline.prepare_run(workspace)
    analysis = Analysis(pipeline, initial_measurements=measurements)
    analysis.start(events.put, num_workers=workers)
    while True:
        event = events.get(timeout=120)
        if isinstance(event, Finished):
            return event.measurements
        if isinstance(event, ExceptionReport):
            logging.error("worker: %s", event.exc_message)
            event.reply(ExceptionPleaseDebug("Skip"))


def run(text, workers):
    from cellprofiler_core.pipeline import Pipeline

    found, pipeline = [], Pipeline()
    pipeline.load(io.StringIO(text))
    pipeline.add_listener(errors_into(found))
    columns = [column[1] for column in pipeline.get_measurement_columns()
               if column[0] == "Image" and column[1].startswith("Phenoscale_")]
    before = {"marks": list(marks(pipeline)), "choices": choices(pipeline)}
    measurements = analyze(pipeline, workers) if workers else pipeline.run()
    rows = measured(measurements) if measurements is not None else {}
    return {"errors": found, "columns": columns, "rows": rows, **before}


def main():
    request = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what modules print is no answer
    logging.basicConfig(level=logging.INFO)
    preferences.set_plugin_directory(request["plugins"], globally=False)
    preferences.set_default_image_directory(request["source"])
    preferences.set_default_output_directory(request["out"])
    from cellprofiler_core.utilities.java import start_java, stop_java

    start_java()
    found = {name: run(text, request["workers"]) for name, text in request["pipelines"].items()}
    stop_java()
    print(json.dumps(found, default=lambda value: value.item()), file=answers, flush=True)


if __name__ == "__main__":
    status = 1
    try:
        main()
        status = 0
    except Exception:
        logging.exception("the driver failed")
    finally:
        os._exit(status)  # threads of Java and of the analysis stay behind
