// SPDX-License-Identifier: BSD-3-Clause
// Plugins > phenoscale > Phenoscale Help: the page in the jar, also behind Help of every dialog.
package phenoscale;

import ij.gui.HTMLDialog;
import ij.plugin.PlugIn;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Scanner;

public final class Help implements PlugIn {
    /** The page, which begins with "<html>": by this ImageJ tells it from an address. */
    static String page() {
        InputStream content = Help.class.getResourceAsStream("help.html");
        try (Scanner page = new Scanner(content, StandardCharsets.UTF_8.name())) {
            return page.useDelimiter("\\A").next();
        }
    }

    @Override
    public void run(String argument) {
        new HTMLDialog("phenoscale", page(), false);
    }
}
