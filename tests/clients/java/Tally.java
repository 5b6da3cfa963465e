// What a client program counts at one service, and how it prints that: see
// tests/clients/src/running.rs and `Tally` in tests/clients/src/tally.rs.

import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

class Tally {
    static final String HELLO = "hello from ";

    private final Map<String, Integer> pods = new TreeMap<>();
    private final Map<String, Integer> errors = new TreeMap<>();
    private int answers;
    private long longest;
    private long last = System.nanoTime();

    /** Counts an answer, which must name its pod. */
    synchronized void answered(String text) {
        if (!text.startsWith(HELLO)) {
            failed(new Exception("an odd answer: " + text));
            return;
        }
        longest = Math.max(longest, answers == 0 ? 0 : sinceLast());
        last = System.nanoTime();
        answers++;
        pods.merge(text.substring(HELLO.length()).strip().split("\\s")[0], 1, Integer::sum);
    }

    /**
     * Counts an error, and writes it down with its moment, in milliseconds since 1970, and the time
     * since the last answer.
     */
    synchronized void failed(Exception error) {
        System.err.println(System.currentTimeMillis() + ", " + sinceLast() + " ms after an answer:");
        error.printStackTrace();
        errors.merge(error.toString(), 1, Integer::sum);
    }

    synchronized boolean hasStarted() {
        return answers > 0;
    }

    private long sinceLast() {
        return (System.nanoTime() - last) / 1_000_000;
    }

    private synchronized String json() {
        return String.format(
            "{\"answers\":%d,\"pods\":%s,\"errors\":%s,\"closed\":{},\"crossed\":0,\"longest\":%d}",
            answers, json(pods), json(errors), longest);
    }

    /** All of them, by address. */
    static String report(Map<String, Tally> tallies) {
        return json(tallies.entrySet().stream()
            .collect(Collectors.toMap(Map.Entry::getKey, entry -> entry.getValue().json())));
    }

    private static String json(Map<String, ?> entries) {
        return entries.entrySet().stream()
            .map(entry -> quoted(entry.getKey()) + ":" + entry.getValue())
            .collect(Collectors.joining(",", "{", "}"));
    }

    /** What JSON's strings can't hold as it is becomes a quote. */
    private static String quoted(String text) {
        return '"' + text.replaceAll("[\\\\\"\\p{Cntrl}]", "'") + '"';
    }
}
