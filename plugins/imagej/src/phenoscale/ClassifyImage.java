// SPDX-License-Identifier: BSD-3-Clause
// Plugins > phenoscale > Phenoscale Classify Image: the current field to a row of the table
// "phenoscale".
package phenoscale;

import ij.ImagePlus;
import ij.measure.ResultsTable;
import java.util.Collections;
import java.util.List;
import java.util.Map;

public final class ClassifyImage extends Command {
    static final String TITLE = "Phenoscale Classify Image";

    @Override
    Result act(ImagePlus image) throws Trouble {
        needed(image);
        Map<String, String> asked = modelForm(TITLE)
                .row(Form.Kind.CHECK, "Measures", "false")
                .ask();
        Model model = new Model(asked.get("model"));
        try (Fields fields = new Fields(image, model)) {
            Form windows = new Form(TITLE);
            fields.addWindows(windows);
            Map<String, Object> inputs = model.inputs();
            Map<String, String> values = windows.ask();
            inputs.put("measures", Boolean.valueOf(asked.get("measures")));
            inputs.put("fields", Collections.singletonList(fields.entries(values)));
            return new Table("phenoscale",
                    row(fields.label(values), model, Worker.ask("predict", inputs)));
        }
    }

    private static ResultsTable row(String label, Model model, Map<?, ?> found) {
        ResultsTable table = Table.open("phenoscale");
        table.incrementCounter();
        table.addValue("Label", label);
        table.addValue("Class", (String) first(found, "class"));
        List<?> probabilities = (List<?>) first(found, "probabilities");
        for (int k = 0; k < model.keys.size(); k++) {
            table.addValue("Prob_" + model.keys.get(k), (Double) probabilities.get(k));
        }
        if (model.hasControls) {
            table.addValue("Distance", number(first(found, "distance")));
        }
        if (first(found, "set") != null) {
            table.addValue("Set", (String) first(found, "set"));
            table.addValue("Set90", (String) first(found, "set90"));
        }
        if (first(found, "novelty") != null) {
            table.addValue("Novelty", number(first(found, "novelty")));
        }
        if (first(found, "quality") != null) {  // it was measured
            table.addValue("CellCount", number(first(found, "cells")));
            table.addValue("Quality", (String) first(found, "quality"));
        }
        if (found.get("measures") != null) {
            List<?> names = (List<?>) found.get("measure_names");
            List<?> measures = (List<?>) first(found, "measures");
            for (int k = 0; k < names.size(); k++) {
                table.addValue(((String) names.get(k)).replaceFirst("^Image_", ""),
                        number(measures.get(k)));
            }
        }
        return table;
    }

    /** What is not defined is null. */
    private static double number(Object value) {
        return value == null ? Double.NaN : (Double) value;
    }

    private static Object first(Map<?, ?> found, String name) {
        return ((List<?>) found.get(name)).get(0);
    }
}
