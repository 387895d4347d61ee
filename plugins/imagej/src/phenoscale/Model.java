// SPDX-License-Identifier: BSD-3-Clause
// What the commands must know of a model file; the worker reads it.
package phenoscale;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

final class Model {
    final String path;  // as the worker knows it
    final List<String> channels, classes;
    final List<String> keys;  // letters and digits of each class, for columns
    final boolean hasControls;
    final boolean takesStacks;  // it was trained on projections
    final boolean takesFloats;  // of any sign; else uint8 or uint16

    /** Of the path that the user gave. */
    Model(String given) throws Trouble {
        if (given.isEmpty()) {
            throw new Trouble("no model is given: choose the file model.safetensors of a training");
        }
        path = Settings.workerPath(given);
        Map<?, ?> about = Worker.ask("about", inputs());
        channels = texts(about.get("channels"));
        classes = texts(about.get("classes"));
        keys = texts(about.get("keys"));
        hasControls = Boolean.TRUE.equals(about.get("has_controls"));
        takesStacks = about.get("z") != null;
        takesFloats = "float32".equals(about.get("dtype"));
    }

    /** Inputs of a task for this model, to be added to. */
    Map<String, Object> inputs() {
        Map<String, Object> inputs = new LinkedHashMap<>();
        inputs.put("model", path);
        return inputs;
    }

    /** For a sentence. */
    String channelWords() {
        return channels.size() + (channels.size() == 1 ? " channel: " : " channels: ")
                + String.join(", ", channels);
    }

    private static List<String> texts(Object list) {
        List<String> texts = new ArrayList<>();
        for (Object one : (List<?>) list) {
            texts.add((String) one);
        }
        return texts;
    }
}
