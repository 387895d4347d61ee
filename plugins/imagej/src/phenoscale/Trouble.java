// SPDX-License-Identifier: BSD-3-Clause
// What goes wrong and the user can mend, in one sentence; Command.java shows it.
package phenoscale;

class Trouble extends Exception {
    Trouble(String sentence) {
        super(sentence);
    }

    /** The user pressed Esc, or Cancel in a dialog: nothing is to be said. */
    static final class Cancelled extends Trouble {
        Cancelled() {
            super("cancelled");
        }
    }
}
