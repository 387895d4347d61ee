// SPDX-License-Identifier: BSD-3-Clause
// The file of predictions -> a table of ImageJ, without its embeddings and measures.
package phenoscale;

import ij.measure.ResultsTable;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

final class Csv {
    /** As in python/phenoscale/tables/predictions.py. */
    private static final Pattern FEATURE = Pattern.compile(
            "Image_(Phenoscale_Emb\\d|(Intensity|Granularity|Texture|Correlation|ImageQuality"
            + "|Foreground|Bands|Patterns|Gradient|Cells)_).*");
    private static final String[] NUMBERS = {"Phenoscale_Prob_", "Phenoscale_ControlDistance",
        "Phenoscale_Novelty", "Metadata_CellCount"};

    private final Reader reader;
    private int next;

    private Csv(Reader reader) throws IOException {
        this.reader = reader;
        next = reader.read();
    }

    /** Its rows. */
    static ResultsTable read(File file) throws Trouble {
        ResultsTable table = Table.empty();
        try (BufferedReader reader = Files.newBufferedReader(file.toPath(),
                StandardCharsets.UTF_8)) {
            Csv csv = new Csv(reader);
            List<String> names = csv.row();
            while (csv.next >= 0) {
                List<String> cells = csv.row();
                table.incrementCounter();
                for (int k = 0; k < Math.min(names.size(), cells.size()); k++) {
                    add(table, names.get(k), cells.get(k));
                }
            }
        } catch (IOException e) {
            throw new Trouble(file + " was written and cannot be read: " + e.getMessage());
        }
        return table;
    }

    private static void add(ResultsTable table, String name, String cell) {
        boolean isNumber = false;
        for (String start : NUMBERS) {
            isNumber |= name.startsWith(start);
        }
        if (isNumber && !cell.isEmpty()) {
            table.addValue(name, Double.parseDouble(cell));
        } else if (!FEATURE.matcher(name).matches()) {
            table.addValue(name, cell);
        }
    }

    /** The cells of the next row. */
    private List<String> row() throws IOException {
        List<String> cells = new ArrayList<>();
        do {
            cells.add(cell());
        } while (take(','));
        take('\r');
        take('\n');
        return cells;
    }

    private String cell() throws IOException {
        StringBuilder cell = new StringBuilder();
        boolean isQuoted = take('"');
        while (next >= 0 && (isQuoted || ",\r\n".indexOf(next) < 0)) {
            boolean isQuote = isQuoted && take('"');
            if (isQuote && next != '"') {
                isQuoted = false;  // its end, or a quote that was doubled
                continue;
            }
            cell.append((char) next);
            next = reader.read();
        }
        return cell.toString();
    }

    private boolean take(char wanted) throws IOException {
        if (next != wanted) {
            return false;
        }
        next = reader.read();
        return true;
    }
}
