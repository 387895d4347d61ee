// SPDX-License-Identifier: BSD-3-Clause
// Plugins > phenoscale > Phenoscale Options: how the worker is started; OK tries it, and says its
// version.
package phenoscale;

import ij.IJ;
import ij.ImagePlus;
import ij.Macro;
import ij.Prefs;
import java.util.LinkedHashMap;
import java.util.Map;

public final class Options extends Command {
    static final String TITLE = "Phenoscale Options";

    @Override
    Result act(ImagePlus image) throws Trouble {
        Map<String, String> values = new Form(TITLE)
                .fresh(Form.Kind.TEXT, "Command", Settings.command())
                .row(Form.Kind.TEXT, "Paths (here=there)", Settings.paths())
                .row(Form.Kind.NUMBER, "Threads (0: all)",
                        String.valueOf(Settings.threads()))
                .ask();
        Settings.setCommand(values.get(Settings.COMMAND));
        Prefs.savePreferences();
        Map<?, ?> about = Worker.ask("version", new LinkedHashMap<String, Object>());
        String words = "phenoscale " + about.get("phenoscale") + " answers: " + about.get("isa")
                + " instructions, " + ((Double) about.get("threads")).intValue() + " processors";
        if (Macro.getOptions() != null) {  // a dialog would wait for ever where nobody looks
            IJ.log(words);
        } else {
            IJ.showMessage("phenoscale", words);
        }
        return null;
    }
}
