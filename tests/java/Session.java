// SPDX-License-Identifier: BSD-3-Clause
// An ImageJ without a screen that does what the lines of stdin say, and prints "done" after each:
//     open PATH | run CLASS OPTIONS | escape CLASS OPTIONS (Esc is pressed half a second later)
//     twice CLASS OPTIONS (at once)

import ij.IJ;
import ij.Macro;
import ij.WindowManager;
import ij.plugin.PlugIn;
import java.awt.event.KeyEvent;
import java.util.Scanner;

public class Session {
    public static void main(String[] none) throws Exception {
        Thread.currentThread().setName("Run$_session");  // where ImageJ looks for options
        Scanner lines = new Scanner(System.in, "UTF-8");
        while (lines.hasNextLine()) {
            String line = lines.nextLine();
            String[] words = line.split(" ", 3);
            if (words[0].equals("open")) {
                WindowManager.setTempCurrentImage(IJ.openImage(line.substring(5)));
            } else {
                Thread beside = new Thread(() -> beside(words), "Run$_beside");
                beside.start();
                run(words[1], words[2]);
                beside.join();
            }
            System.out.println("done");
        }
        System.exit(0);
    }

    private static void run(String name, String options) {
        Macro.setOptions(options);
        try {
            Class<?> kind = Class.forName("phenoscale." + name);
            ((PlugIn) kind.getConstructor().newInstance()).run("");
        } catch (ReflectiveOperationException e) {
            throw new IllegalArgumentException(e);
        } catch (RuntimeException e) {
            if (!Macro.MACRO_CANCELED.equals(e.getMessage())) {
                throw e;
            }
            System.out.println("stopped");
        }
    }

    /** What happens while the command runs. */
    private static void beside(String[] words) {
        if (words[0].equals("escape")) {
            IJ.wait(500);
            IJ.setKeyDown(KeyEvent.VK_ESCAPE);
        } else if (words[0].equals("twice")) {
            run(words[1], words[2]);
        }
    }
}
