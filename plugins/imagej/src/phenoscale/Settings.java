// SPDX-License-Identifier: BSD-3-Clause
// What ImageJ remembers for us between two starts: values by name, among its own preferences.
package phenoscale;

import ij.Prefs;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

final class Settings {
    static final String COMMAND = "command";
    static final String PATHS = "paths";
    static final String THREADS = "threads";

    private static final String DEFAULT_COMMAND = "phenoscale serve";
    /** Written beside the jar by `phenoscale install-plugin`. */
    private static final String COMMAND_FILE = "phenoscale.command";
    private static final List<String> FAR = Arrays.asList("ssh", "plink", "docker", "podman");
    private static final Pattern WORD = Pattern.compile("\"([^\"]*)\"|(\\S+)");

    private Settings() {}

    static String get(String name, String otherwise) {
        return Prefs.get("phenoscale." + name, otherwise);
    }

    static void set(String name, String value) {
        Prefs.set("phenoscale." + name, value);
    }

    /** As the Options have it; else that of the phenoscale that installed the plugin. */
    static String command() {
        return get(COMMAND, installedCommand());
    }

    /** Remember a command, but not that of the installation, which may move. */
    static void setCommand(String command) {
        set(COMMAND, command.isEmpty() || command.equals(installedCommand()) ? null : command);
    }

    private static String installedCommand() {
        try {
            Path jar = Paths.get(Settings.class.getProtectionDomain().getCodeSource().getLocation()
                    .toURI());
            byte[] content = Files.readAllBytes(jar.resolveSibling(COMMAND_FILE));
            String command = new String(content, StandardCharsets.UTF_8).trim();
            return command.isEmpty() ? DEFAULT_COMMAND : command;
        } catch (IOException | URISyntaxException e) {
            return DEFAULT_COMMAND;  // the plugin was copied by hand
        }
    }

    /** The words of the command that starts the worker; one with blanks stands in "...". */
    static List<String> commandWords() {
        List<String> words = new ArrayList<>();
        Matcher matcher = WORD.matcher(command());
        while (matcher.find()) {
            words.add(matcher.group(1) != null ? matcher.group(1) : matcher.group(2));
        }
        return words;
    }

    /** Processors that the worker may use; 0: all. */
    static int threads() {
        return Integer.parseInt(get(THREADS, "0"));
    }

    /** Whether it runs where it has files of its own. */
    static boolean isFar() {
        List<String> words = commandWords();
        String program = words.isEmpty() ? "" : new File(words.get(0)).getName();
        return !paths().isEmpty() || FAR.contains(program.replace(".exe", ""));
    }

    /** Whether the worker can open this file. */
    static boolean reachesWorker(String path) {
        return !isFar() || isShared(path);
    }

    /** A path of this machine as the worker knows it: the part before = becomes the one behind. */
    static String workerPath(String path) {
        int end = paths().indexOf('=');
        return isShared(path) ? paths().substring(end + 1)
                + path.substring(end).replace(File.separatorChar, '/') : path;
    }

    private static boolean isShared(String path) {
        int end = paths().indexOf('=');
        return end >= 0 && path.startsWith(paths().substring(0, end));
    }

    static String paths() {
        return get(PATHS, "");
    }
}
