// SPDX-License-Identifier: BSD-3-Clause
// The commands where there is no screen, with the options of a macro:
//
//     java -Djava.awt.headless=true -cp ij.jar:phenoscale_.jar phenoscale.Main
//         COMMAND OPTIONS [RESULT [IMAGE ...]]
//
// Several images are the channels of one field.  Status 0 done, 1 failed, 2 wrong usage.
package phenoscale;

import ij.IJ;
import ij.ImagePlus;
import ij.ImageStack;
import ij.Macro;
import ij.Prefs;
import java.io.File;
import java.util.LinkedHashMap;
import java.util.Map;

public final class Main {
    private static final Map<String, Command> COMMANDS = new LinkedHashMap<>();

    static {
        COMMANDS.put(ClassifyImage.TITLE, new ClassifyImage());
        COMMANDS.put(ClassifyFolder.TITLE, new ClassifyFolder());
        COMMANDS.put(EvidenceMap.TITLE, new EvidenceMap());
        COMMANDS.put(Options.TITLE, new Options());
    }

    private Main() {}

    public static void main(String[] words) {
        // as the menu has them, or without their dots
        String name = words.length > 0 ? words[0].replaceAll("[.]{3}$", "") : "";
        if (words.length < 2 || !COMMANDS.containsKey(name)) {
            System.err.println("usage: phenoscale.Main COMMAND OPTIONS [RESULT [IMAGE ...]]; "
                    + "COMMAND is one of " + COMMANDS.keySet());
            System.exit(2);
        }
        Prefs.load(null, null);  // the command of the Options
        Thread.currentThread().setName("Run$_phenoscale");  // where ImageJ looks for options
        Macro.setOptions(words[1]);
        int status = 0;
        try {
            ImagePlus image = words.length > 3 ? open(words) : null;
            Command.Result result = COMMANDS.get(name).act(image);
            if (result != null && words.length > 2) {
                result.save(words[2]);
            }
        } catch (Trouble e) {
            System.out.println("phenoscale: error: " + e.getMessage());
            status = 1;
        }
        System.exit(status);  // ImageJ may have left threads
    }

    private static ImagePlus open(String[] words) throws Trouble {
        ImageStack stack = null;
        ImagePlus image = null;
        for (int i = 3; i < words.length; i++) {
            image = IJ.openImage(words[i]);
            if (image == null) {
                throw new Trouble(words[i] + " cannot be opened as an image");
            }
            stack = stack == null ? new ImageStack(image.getWidth(), image.getHeight()) : stack;
            if (words.length > 4 && (image.getWidth() != stack.getWidth()
                    || image.getHeight() != stack.getHeight())) {
                throw new Trouble(words[i] + " has another size than " + words[3]);
            }
            stack.addSlice(image.getProcessor());
        }
        if (words.length == 4) {
            return image;
        }
        ImagePlus field = new ImagePlus(new File(words[3]).getName(), stack);
        field.setDimensions(words.length - 3, 1, 1);
        return field;
    }
}
