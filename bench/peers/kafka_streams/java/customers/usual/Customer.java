package customers.usual;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonView;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import net.jpountz.xxhash.XXHash64;
import net.jpountz.xxhash.XXHashFactory;

/**
 * What is kept of one customer, in the shape of its document; what only the store keeps is marked {@link Stored}.
 *
 * <p>Of everything that the newest wins, the newest is that with the greatest time, then source, then id.
 */
public final class Customer {
    private static final int RECENT_MAX = 10;
    private static final XXHash64 HASH = XXHashFactory.fastestJavaInstance().hash64();

    /** Marks what is in the store and not in the document. */
    interface Stored {
    }

    /** How many interactions, and when the first and the last of them were. */
    public static final class Tally {
        public int interactions;
        public String first;
        public String last;

        void add(String time) {
            interactions++;
            first = Times.earlier(time, first);
            last = Times.later(time, last);
        }
    }

    /** The newest value of a trait. */
    public static final class Trait {
        public JsonNode value;
        public String time;
        public String source;
        public String event;
    }

    /** The newest contact in one direction. */
    public static final class Touch {
        public String time;
        public String channel;
        public String summary;
        @JsonView(Stored.class)
        public String source;
        @JsonView(Stored.class)
        public String event;
    }

    /** The newest contacts, by their direction. */
    public static final class Last {
        public Touch in;
        public Touch out;
    }

    /** One of the newest interactions. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public static final class Recent {
        public String id;
        public String source;
        public String type;
        public String time;
        public String channel;
        public String summary;
        public String direction;
    }

    /** All interactions. */
    public static final class Interactions {
        public int count;
        public String first;
        public String last;
        /** Newest first. */
        public List<Recent> recent = new ArrayList<>(RECENT_MAX + 1);
    }

    /** Sorted hashes of source and id of every event that was folded. */
    @JsonView(Stored.class)
    public long[] seen = {};
    public String customer;
    public Map<String, Trait> traits = new LinkedHashMap<>();
    public Map<String, Tally> channels = new LinkedHashMap<>();
    public Map<String, Tally> types = new LinkedHashMap<>();
    public Map<String, Map<String, Integer>> days = new LinkedHashMap<>();
    public Last last = new Last();
    public Interactions interactions = new Interactions();

    /** For Jackson. */
    Customer() {
    }

    Customer(String customer) {
        this.customer = customer;
    }

    /** Fold an event unless its like was folded before; returns whether it was. */
    boolean fold(Event event) {
        if (!see(event)) {
            return false;
        }
        channels.computeIfAbsent(event.channel(), name -> new Tally()).add(event.time());
        types.computeIfAbsent(event.type(), name -> new Tally()).add(event.time());
        days.computeIfAbsent(Times.day(event.time()), day -> new LinkedHashMap<>())
            .merge(event.channel(), 1, Integer::sum);
        if (event.traits() != null) {
            event.traits().forEach((name, value) -> claim(name, value, event));
        }
        if ("in".equals(event.direction())) {
            last.in = newer(event, last.in);
        } else if ("out".equals(event.direction())) {
            last.out = newer(event, last.out);
        }
        count(event);
        return true;
    }

    /** The hash of source and id stands for both: of two events of a customer it is the same once in 2^64. */
    private boolean see(Event event) {
        byte[] named = Json.bytes(event.source() + '\0' + event.id());
        long hash = HASH.hash(named, 0, named.length, 0);
        int found = Arrays.binarySearch(seen, hash);
        if (found >= 0) {
            return false;
        }
        int at = -found - 1;
        long[] more = Arrays.copyOf(seen, seen.length + 1);
        System.arraycopy(seen, at, more, at + 1, seen.length - at);
        more[at] = hash;
        seen = more;
        return true;
    }

    private void claim(String name, JsonNode value, Event event) {
        Trait trait = traits.computeIfAbsent(name, added -> new Trait());
        if (trait.time == null || isNewer(event, trait.time, trait.source, trait.event)) {
            trait.value = value;
            trait.time = event.time();
            trait.source = event.source();
            trait.event = event.id();
        }
    }

    private static Touch newer(Event event, Touch touch) {
        if (touch != null && !isNewer(event, touch.time, touch.source, touch.event)) {
            return touch;
        }
        Touch newest = new Touch();
        newest.time = event.time();
        newest.channel = event.channel();
        newest.summary = event.summary() == null ? "" : event.summary();
        newest.source = event.source();
        newest.event = event.id();
        return newest;
    }

    private void count(Event event) {
        interactions.count++;
        interactions.first = Times.earlier(event.time(), interactions.first);
        interactions.last = Times.later(event.time(), interactions.last);
        List<Recent> recent = interactions.recent;
        int place = 0;
        while (place < recent.size()
            && !isNewer(event, recent.get(place).time, recent.get(place).source, recent.get(place).id)) {
            place++;
        }
        if (place == RECENT_MAX) {
            return;
        }
        Recent added = new Recent();
        added.id = event.id();
        added.source = event.source();
        added.type = event.type();
        added.time = event.time();
        added.channel = event.channel();
        added.summary = event.summary();
        added.direction = event.direction();
        recent.add(place, added);
        if (recent.size() > RECENT_MAX) {
            recent.remove(RECENT_MAX);
        }
    }

    private static boolean isNewer(Event event, String time, String source, String id) {
        int byTime = Times.compare(event.time(), time);
        if (byTime != 0) {
            return byTime > 0;
        }
        int bySource = event.source().compareTo(source);
        return bySource != 0 ? bySource > 0 : event.id().compareTo(id) > 0;
    }
}
