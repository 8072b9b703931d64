package customers;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** The command line. */
record Arguments(
    String bootstrapServers, String prefix, String application, int commitIntervalMs, boolean exactlyOnce,
    Path stateDir, int warmUpEvents, boolean expert) {

    private static final Set<String> NAMES = Set.of(
        "--bootstrap-servers", "--prefix", "--application", "--commit-interval-ms", "--guarantee", "--state-dir",
        "--warm-up-events", "--way");

    static Arguments parse(String[] words) {
        Map<String, String> given = new HashMap<>();
        for (int place = 0; place < words.length; place += 2) {
            if (!NAMES.contains(words[place]) || place + 1 == words.length) {
                throw new IllegalArgumentException("takes " + NAMES + ", each with a value, not " + words[place]);
            }
            given.put(words[place], words[place + 1]);
        }
        for (String name : NAMES) {
            if (!given.containsKey(name)) {
                throw new IllegalArgumentException(name + " is missing");
            }
        }
        String guarantee = given.get("--guarantee");
        if (!Set.of("exactly-once", "at-least-once").contains(guarantee)) {
            throw new IllegalArgumentException("--guarantee is exactly-once or at-least-once, not " + guarantee);
        }
        String way = given.get("--way");
        if (!Set.of("usual", "expert").contains(way)) {
            throw new IllegalArgumentException("--way is usual or expert, not " + way);
        }
        return new Arguments(
            given.get("--bootstrap-servers"), given.get("--prefix"), given.get("--application"),
            Integer.parseInt(given.get("--commit-interval-ms")), guarantee.equals("exactly-once"),
            Path.of(given.get("--state-dir")), Integer.parseInt(given.get("--warm-up-events")),
            way.equals("expert"));
    }

    /** The same under other names and in another folder. */
    Arguments named(String name) {
        return new Arguments(
            bootstrapServers, name + ".", name, commitIntervalMs, exactlyOnce, stateDir.resolve(name), 0, expert);
    }
}
