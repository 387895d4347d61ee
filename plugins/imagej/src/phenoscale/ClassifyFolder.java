// SPDX-License-Identifier: BSD-3-Clause
// Plugins > phenoscale > Phenoscale Classify Folder: a table or folder of fields to a file of
// predictions, as `phenoscale predict` writes it; the same rows, without features, in
// "phenoscale folder".
package phenoscale;

import ij.IJ;
import ij.ImagePlus;
import java.io.File;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

public final class ClassifyFolder extends Command {
    static final String TITLE = "Phenoscale Classify Folder";
    private static final String NO_PRESET = "none";
    /** As in python/phenoscale/tables/folders.py. */
    static final String[] PRESETS = {NO_PRESET, "imagexpress", "operetta", "cellvoyager", "incell",
        "cellprofiler", "bbbc013", "bbbc021"};

    @Override
    Result act(ImagePlus image) throws Trouble {
        Map<String, String> values = modelForm(TITLE)
                .row(Form.Kind.FOLDER, "Folder (or table)", "")
                .row(Form.Kind.CHOICE, "Preset", NO_PRESET, PRESETS)
                .row(Form.Kind.TEXT, "Pattern", "")
                .row(Form.Kind.TEXT, "Channels", "")
                .row(Form.Kind.CHECK, "Measures", "false")
                .row(Form.Kind.FILE, "Output (CSV)",
                        new File(System.getProperty("user.home"), "predictions.csv").getPath())
                .ask();
        Model model = new Model(values.get("model"));
        Map<String, Object> inputs = model.inputs();
        inputs.put("source", Settings.workerPath(given(values, "folder",
                "no folder is given: choose one, or the path of a table")));
        String out = given(values, "output", "no output is given: name the CSV to write");
        inputs.put("out", Settings.workerPath(out));
        inputs.put("how", how(values));
        if (Boolean.parseBoolean(values.get("measures"))) {  // else as the model needs them
            inputs.put("measures", true);
        }
        Map<?, ?> found = Worker.ask("table", inputs);
        IJ.log("phenoscale: fields=" + ((Double) found.get("fields")).intValue()
                + " skipped=" + (found.get("errors") == null ? "none" : found.get("errors"))
                + " output=" + out);
        return Settings.reachesWorker(out) ? new Table("phenoscale folder", Csv.read(new File(out)))
                : null;
    }

    private static String given(Map<String, String> values, String key, String otherwise)
            throws Trouble {
        if (values.get(key).isEmpty()) {
            throw new Trouble(otherwise);
        }
        return values.get(key);
    }

    /** What is left empty is not said. */
    private static Map<String, Object> how(Map<String, String> values) {
        Map<String, Object> how = new LinkedHashMap<>();
        if (!values.get("preset").equals(NO_PRESET)) {
            how.put("preset", values.get("preset"));
        }
        if (!values.get("pattern").isEmpty()) {
            how.put("pattern", values.get("pattern"));
        }
        if (!values.get("channels").isEmpty()) {
            String[] channels = values.get("channels").split("\\s*,\\s*");
            how.put("channels", Arrays.<Object>asList((Object[]) channels));
        }
        return how;
    }
}
