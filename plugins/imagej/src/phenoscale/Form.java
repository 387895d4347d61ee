// SPDX-License-Identifier: BSD-3-Clause
// A dialog as a list of rows whose values are remembered; from a macro the values come without it.
//
// The key of a row in a macro is the first word of its label, in lower case.
package phenoscale;

import ij.Macro;
import ij.gui.GenericDialog;
import java.awt.GraphicsEnvironment;
import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

final class Form {
    /** How a row is asked for, and what the answer is. */
    enum Kind {
        TEXT {
            void add(GenericDialog dialog, Row row) {
                dialog.addStringField(row.label, row.value, 40);
            }
        },
        FILE {
            void add(GenericDialog dialog, Row row) {
                dialog.addFileField(row.label, row.value, 40);
            }
        },
        FOLDER {
            void add(GenericDialog dialog, Row row) {
                if (new File(row.value).isFile()) {  // ImageJ would end it with a slash
                    FILE.add(dialog, row);
                } else {
                    dialog.addDirectoryField(row.label, row.value, 40);
                }
            }
        },
        NUMBER {
            void add(GenericDialog dialog, Row row) {
                // ImageJ's own kind of field stops a macro by a dialog
                dialog.addStringField(row.label, row.value, 6);
            }

            String wanted(Row row, String given) {
                return given.matches("\\d{1,6}") ? null : "a whole number";
            }
        },
        CHOICE {
            void add(GenericDialog dialog, Row row) {
                dialog.addChoice(row.label, row.items, row.value);
            }

            String read(GenericDialog dialog) {
                return dialog.getNextChoice();
            }

            String wanted(Row row, String given) {
                return Arrays.asList(row.items).contains(given) ? null
                        : "one of " + String.join(", ", row.items);
            }
        },
        CHECK {
            void add(GenericDialog dialog, Row row) {
                dialog.addCheckbox(row.label, Boolean.parseBoolean(row.value));
            }

            String read(GenericDialog dialog) {
                return String.valueOf(dialog.getNextBoolean());
            }

            String inMacro(String options, Row row) {
                String words = options.replaceAll("\\[[^\\]]*\\]", "");  // no values in brackets
                return String.valueOf(Arrays.asList(words.split(" ")).contains(row.key));
            }
        };

        abstract void add(GenericDialog dialog, Row row);

        String read(GenericDialog dialog) {
            return dialog.getNextString().trim();
        }

        /** The value that the options of a macro give it. */
        String inMacro(String options, Row row) {
            return Macro.getValue(options, row.key, row.value).trim();
        }

        /** What should have been given, null where that is right. */
        String wanted(Row row, String given) {
            return null;
        }
    }

    private static final class Row {
        Kind kind;
        String label, key, value;
        String[] items;
        boolean isRemembered = true;
    }

    private final String title;
    private final List<Row> rows = new ArrayList<>();

    Form(String title) {
        this.title = title;
    }

    /** Add a row; for a person, a value that was given before stands in for `value`. */
    Form row(Kind kind, String label, String value, String... items) {
        Row row = new Row();
        row.kind = kind;
        row.label = label;
        row.key = Macro.trimKey(label);
        // a macro does the same each time, whatever was last
        String last = Macro.getOptions() != null ? value : Settings.get(row.key, value);
        row.value = items.length == 0 || Arrays.asList(items).contains(last) ? last : value;
        row.items = items;
        rows.add(row);
        return this;
    }

    /** The same for what belongs to the moment, and is not remembered. */
    Form fresh(Kind kind, String label, String value, String... items) {
        row(kind, label, value, items);
        Row row = rows.get(rows.size() - 1);
        row.value = value;
        row.isRemembered = false;
        return this;
    }

    /** Key to value, as the user or the macro wants them; without rows nobody is asked. */
    Map<String, String> ask() throws Trouble {
        boolean isSilent = rows.isEmpty() || GraphicsEnvironment.isHeadless();
        Map<String, String> values = isSilent ? fromMacro() : fromDialog();
        for (Row row : rows) {
            String wanted = row.kind.wanted(row, values.get(row.key));
            if (wanted != null) {
                throw new Trouble(row.label + ": '" + values.get(row.key) + "' is given, and it is "
                        + wanted);
            }
            if (row.isRemembered) {
                Settings.set(row.key, values.get(row.key));
            }
        }
        return values;
    }

    private Map<String, String> fromMacro() {
        String options = Macro.getOptions();
        Map<String, String> values = new LinkedHashMap<>();
        for (Row row : rows) {
            values.put(row.key, options == null ? row.value
                    : row.kind.inMacro(options, row));
        }
        return values;
    }

    private Map<String, String> fromDialog() throws Trouble {
        GenericDialog dialog = new GenericDialog(title);
        dialog.addHelp(Help.page());
        for (Row row : rows) {
            row.kind.add(dialog, row);
        }
        dialog.showDialog();
        if (dialog.wasCanceled()) {
            throw new Trouble.Cancelled();
        }
        Map<String, String> values = new LinkedHashMap<>();
        for (Row row : rows) {
            values.put(row.key, row.kind.read(dialog));
        }
        return values;
    }
}
