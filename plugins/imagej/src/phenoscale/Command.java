// SPDX-License-Identifier: BSD-3-Clause
// What all commands share: an entry in the menu, and what becomes of an error.
package phenoscale;

import ij.IJ;
import ij.ImagePlus;
import ij.Macro;
import ij.WindowManager;
import ij.macro.Interpreter;
import ij.plugin.PlugIn;

abstract class Command implements PlugIn {
    /** What a command found: to be looked at, or in a file where there is no screen. */
    interface Result {
        void show();

        void save(String path) throws Trouble;
    }

    /** Ask for what is needed and do it; `image` is the current one, or null.
     *  Null where there is nothing more to look at. */
    abstract Result act(ImagePlus image) throws Trouble;

    @Override
    public void run(String argument) {
        boolean isMacro = Macro.getOptions() != null;
        try {
            Result result = act(WindowManager.getCurrentImage());
            if (result != null) {
                result.show();
            }
        } catch (Trouble.Cancelled e) {
            IJ.showStatus("phenoscale: cancelled");
            stop(isMacro);
        } catch (Trouble e) {
            if (isMacro) {  // a dialog would wait for ever where nobody looks
                IJ.log("phenoscale: error: " + e.getMessage());
                stop(true);
            } else {
                IJ.error("phenoscale", e.getMessage().replaceAll("(.{70}\\S*) ", "$1\n"));
            }
        }
    }

    private static void stop(boolean isMacro) {
        if (isMacro) {
            Interpreter.abort();
            Macro.abort();  // a script, where there is no interpreter
            throw new RuntimeException(Macro.MACRO_CANCELED);
        }
    }

    static ImagePlus needed(ImagePlus image) throws Trouble {
        if (image == null) {
            throw new Trouble("no image is open: open one, and all its channels");
        }
        return image;
    }

    static Form modelForm(String title) {
        return new Form(title).row(Form.Kind.FILE, "Model", "");
    }
}
