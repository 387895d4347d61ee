// SPDX-License-Identifier: BSD-3-Clause
// Tables of ImageJ as results of a command, with as many digits as the numbers have.
package phenoscale;

import ij.measure.ResultsTable;
import java.io.IOException;

final class Table implements Command.Result {
    private static final int DIGITS = 9;

    private final String title;
    private final ResultsTable rows;

    Table(String title, ResultsTable rows) {
        this.title = title;
        this.rows = rows;
    }

    /** The table of this title that is open, to be added to, or a new one. */
    static ResultsTable open(String title) {
        ResultsTable open = ResultsTable.getResultsTable(title);
        return open != null ? open : empty();
    }

    static ResultsTable empty() {
        ResultsTable table = new ResultsTable();
        table.setPrecision(DIGITS);
        table.setNaNEmptyCells(true);  // columns of another model
        table.showRowNumbers(false);
        return table;
    }

    @Override
    public void show() {
        rows.show(title);
    }

    @Override
    public void save(String path) throws Trouble {
        try {
            rows.saveAs(path);
        } catch (IOException e) {
            throw new Trouble("the table cannot be written: " + e.getMessage());
        }
    }
}
