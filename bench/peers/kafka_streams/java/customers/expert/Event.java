package customers.expert;

import java.util.ArrayList;
import java.util.List;

/** One event as it was read; what it leaves out is null. */
final class Event {
    /** A fact that the event tells: a name and a JSON value. */
    record Fact(String name, byte[] valueJson) {
    }

    String id;
    String source;
    String type;
    String channel;
    String direction;
    String summary;
    long timeUs;
    final List<Fact> facts = new ArrayList<>(4);
    byte[] dataJson = {'{', '}'};
}
