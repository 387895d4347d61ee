// SPDX-License-Identifier: BSD-3-Clause
// The one process that does the work, `phenoscale serve`: docs/serve.md is its manual.
//
//     ask() --lines--> writer thread --> its stdin
//           <--lines-- reader thread <-- its stdout      stderr --> a file in the temporary folder
//
// It is kept from command to command, so that a model is loaded once, and started anew when it died
// or the command in the Options has changed.
package phenoscale;

import ij.IJ;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

final class Worker {
    static final int LONGEST = 16 << 20;  // bytes of a line that it takes
    private static final int PROTOCOL = 1;
    private static final int LOOK_MS = 50;  // between two looks at the Esc key
    private static final int START_MS = 60000;
    private static final int CANCEL_MS = 5000;  // it promises half a second
    private static final String CURE = ": see Plugins > phenoscale > Phenoscale Options";
    private static final String END = "";  // in the queue of answers: no more will come

    private static final ReentrantLock ONE_AT_A_TIME = new ReentrantLock();
    private static Worker kept;
    private static int requests;

    private final String command = Settings.command();
    private final Process process;
    private final File log;
    private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();
    private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();

    // ---- for the commands ------------------------------------------------------------------

    /** The outputs of a task; progress in ImageJ's status bar, warnings in its log, Esc cancels. */
    static Map<?, ?> ask(String script, Map<String, Object> inputs) throws Trouble {
        IJ.resetEscape();
        try {
            while (!ONE_AT_A_TIME.tryLock(LOOK_MS, TimeUnit.MILLISECONDS)) {
                if (IJ.escapePressed()) {  // another command is at work
                    throw new Trouble.Cancelled();
                }
            }
        } catch (InterruptedException e) {
            throw new Trouble.Cancelled();
        }
        try {
            Map<?, ?> found = worker().execute(script, inputs);
            Object warnings = found.get("warnings");
            if (warnings instanceof List) {
                for (Object words : (List<?>) warnings) {
                    IJ.log("phenoscale: warning: " + words);
                }
            }
            return found;
        } finally {
            IJ.showProgress(1.0);
            IJ.showStatus("");
            ONE_AT_A_TIME.unlock();
        }
    }

    private static Worker worker() throws Trouble {
        if (kept != null && kept.process.isAlive() && kept.command.equals(Settings.command())) {
            return kept;
        }
        if (kept != null) {
            kept.process.destroy();
        }
        kept = null;  // one that cannot be started is not kept
        Worker fresh = new Worker();
        fresh.greet();
        kept = fresh;
        return kept;
    }

    // ---- the process -----------------------------------------------------------------------

    private Worker() throws Trouble {
        List<String> words = Settings.commandWords();
        IJ.showStatus("phenoscale: starting");
        try {
            log = File.createTempFile("phenoscale-", ".log");
            log.deleteOnExit();
            process = new ProcessBuilder(words).redirectError(log).start();
        } catch (IOException e) {
            throw new Trouble("the program '" + words.get(0) + "' cannot be started, give its whole"
                    + " path" + CURE);
        }
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroy));
        start("reader", this::read);
        start("writer", this::write);
    }

    private static void start(String name, Runnable work) {
        Thread thread = new Thread(work, "phenoscale " + name);
        thread.setDaemon(true);
        thread.start();
    }

    private void read() {
        try (BufferedReader stdout = new BufferedReader(
                new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = stdout.readLine(); line != null; line = stdout.readLine()) {
                if (!line.trim().isEmpty()) {
                    answers.add(line);
                }
            }
        } catch (IOException e) {
            // the same as its end
        }
        answers.add(END);
    }

    private void write() {
        try (OutputStream stdin = process.getOutputStream()) {
            while (true) {
                stdin.write((lines.take() + "\n").getBytes(StandardCharsets.US_ASCII));
                stdin.flush();
            }
        } catch (IOException | InterruptedException e) {
            // it is gone: the reader says so
        }
    }

    /** The next line, END behind the last, null where none came for a while. */
    private String next() throws Trouble {
        try {
            return answers.poll(LOOK_MS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            throw new Trouble.Cancelled();
        }
    }

    /** The first line: is it phenoscale, and does it speak as we do? */
    private void greet() throws Trouble {
        long end = System.currentTimeMillis() + START_MS;
        String line = next();
        while (line == null && System.currentTimeMillis() < end && !IJ.escapePressed()) {
            line = next();
        }
        Object protocol = null;
        try {
            protocol = line == null || line == END ? null
                    : ((Map<?, ?>) Json.read(line)).get("protocol");
        } catch (IllegalArgumentException | ClassCastException e) {
            // not phenoscale
        }
        if (protocol instanceof Double && (Double) protocol == PROTOCOL) {
            return;
        }
        process.destroy();
        if (line == null && IJ.escapePressed()) {
            throw new Trouble.Cancelled();
        }
        String said = line == null ? "does not answer" : line == END ? "ended at once" + lastWords()
                : protocol == null ? "is not phenoscale, it says '" + shortened(line) + "'"
                : "speaks another protocol than this plugin, install that of its version";
        throw new Trouble("the command '" + command + "' " + said + CURE);
    }

    // ---- a task ----------------------------------------------------------------------------

    private Map<?, ?> execute(String script, Map<String, Object> inputs) throws Trouble {
        String task = String.valueOf(++requests);
        if (Settings.threads() > 0) {
            inputs.put("threads", Settings.threads());
        }
        send(task, "EXECUTE", script, inputs);
        IJ.showStatus("phenoscale: at work, Esc cancels");
        long cancelled = 0;
        while (true) {
            String line = next();
            if (line == END) {
                throw new Trouble("phenoscale ended in the middle of the task" + lastWords()
                        + "; the next command starts it anew");
            }
            if (line != null) {
                Map<?, ?> outputs = outcome(task, line);
                if (outputs != null) {
                    return outputs;
                }
            }
            if (cancelled == 0 && IJ.escapePressed()) {
                cancelled = System.currentTimeMillis();
                IJ.showStatus("phenoscale: cancelling");
                send(task, "CANCEL", null, null);
            } else if (cancelled > 0 && System.currentTimeMillis() - cancelled > CANCEL_MS) {
                process.destroyForcibly();
                throw new Trouble.Cancelled();
            }
        }
    }

    private void send(String task, String kind, String script, Map<String, Object> inputs) {
        Map<String, Object> request = new LinkedHashMap<>();
        request.put("task", task);
        request.put("requestType", kind);
        if (script != null) {
            request.put("script", script);
            request.put("inputs", inputs);
        }
        lines.add(Json.write(request));
    }

    /** The outputs that a line brings, null where it brings news of the task or of others. */
    private Map<?, ?> outcome(String task, String line) throws Trouble {
        try {
            Map<?, ?> answer = (Map<?, ?>) Json.read(line);
            Object whose = answer.get("task");
            if (whose != null && !task.equals(whose)) {
                return null;
            }
            switch ((String) answer.get("responseType")) {
                case "UPDATE":
                    IJ.showProgress(((Double) answer.get("current")).intValue(),
                            ((Double) answer.get("maximum")).intValue());
                    IJ.showStatus("phenoscale: " + answer.get("message"));
                    return null;
                case "COMPLETION": return (Map<?, ?>) answer.get("outputs");
                case "FAILURE": throw new Trouble((String) answer.get("error"));
                case "CANCELATION": throw new Trouble.Cancelled();
                default: return null;  // LAUNCH
            }
        } catch (IllegalArgumentException | ClassCastException | NullPointerException e) {
            process.destroy();
            throw new Trouble("phenoscale said '" + shortened(line) + "', which this plugin does "
                    + "not understand" + CURE);
        }
    }

    /** What it said on stderr at last, for a sentence. */
    private String lastWords() {
        String last = "";
        try {
            process.waitFor(1, TimeUnit.SECONDS);  // it may still be writing
            byte[] said = Files.readAllBytes(log.toPath());
            for (String line : new String(said, StandardCharsets.UTF_8).split("\n")) {
                last = line.trim().isEmpty() ? last : line.trim();
            }
        } catch (IOException | InterruptedException e) {
            // then it said nothing
        }
        return last.isEmpty() ? "" : " (" + shortened(last) + ")";
    }

    private static String shortened(String text) {
        return text.length() > 200 ? text.substring(0, 200) + "..." : text;
    }
}
