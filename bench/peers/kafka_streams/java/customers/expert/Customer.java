package customers.expert;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What is kept of one customer: the decoded form, in which events are folded. {@link CustomerCodec} makes it a row. */
final class Customer {
    static final int RECENT_MAX = 10;

    /** How many interactions, and when the first and the last of them were. */
    static final class Tally {
        final String name;
        long count;
        long firstUs = Long.MAX_VALUE;
        long lastUs = Long.MIN_VALUE;

        Tally(String name) {
            this.name = name;
        }

        void add(long timeUs) {
            count++;
            firstUs = Math.min(firstUs, timeUs);
            lastUs = Math.max(lastUs, timeUs);
        }
    }

    /** The newest claim of one fact. */
    static final class Trait {
        final String name;
        byte[] valueJson;
        Contact from;

        Trait(String name) {
            this.name = name;
        }
    }

    /** Interactions of one day, by the place of their channel in {@link #channels}. */
    static final class Day {
        final int day;
        int[] counts;

        Day(int day, int channels) {
            this.day = day;
            this.counts = new int[channels];
        }

        void add(int channel) {
            if (channel >= counts.length) {
                counts = Arrays.copyOf(counts, channel + 1);
            }
            counts[channel]++;
        }
    }

    /** An interaction that is remembered: as one of the newest, as the last of its direction, or as a fact's origin. */
    static final class Contact {
        final long timeUs;
        final String source;
        final String id;
        final int type;
        final int channel;
        final String direction;
        final String summary;

        Contact(long timeUs, String source, String id, int type, int channel, String direction, String summary) {
            this.timeUs = timeUs;
            this.source = source;
            this.id = id;
            this.type = type;
            this.channel = channel;
            this.direction = direction;
            this.summary = summary;
        }

        /** The one order of everything that the newest wins: by time, then source, then id. */
        boolean isNewerThan(Contact other) {
            if (timeUs != other.timeUs) {
                return timeUs > other.timeUs;
            }
            int bySource = source.compareTo(other.source);
            return bySource != 0 ? bySource > 0 : id.compareTo(other.id) > 0;
        }
    }

    /** Sorted hashes of source and id of every event that was folded; the first {@link #seenCount} are in use. */
    long[] seen = new long[16];
    int seenCount;
    final List<Tally> channels = new ArrayList<>(8);
    final List<Tally> types = new ArrayList<>(8);
    final List<Trait> traits = new ArrayList<>(4);
    final List<Day> days = new ArrayList<>(8);
    final Tally all = new Tally("");
    Contact lastIn;
    Contact lastOut;
    /** Newest first. */
    final List<Contact> recent = new ArrayList<>(RECENT_MAX + 1);

    /** Fold an event unless its like was folded before; returns whether it was. */
    boolean fold(Event event, long hash) {
        if (!see(hash)) {
            return false;
        }
        int channel = place(channels, event.channel);
        int type = place(types, event.type);
        Contact contact = new Contact(
            event.timeUs, event.source, event.id, type, channel, event.direction, event.summary);
        all.add(event.timeUs);
        channels.get(channel).add(event.timeUs);
        types.get(type).add(event.timeUs);
        dayOf(Times.day(event.timeUs)).add(channel);
        for (Event.Fact fact : event.facts) {
            claim(fact, contact);
        }
        if ("in".equals(event.direction)) {
            lastIn = newer(contact, lastIn);
        } else if ("out".equals(event.direction)) {
            lastOut = newer(contact, lastOut);
        }
        remember(contact);
        return true;
    }

    private boolean see(long hash) {
        int found = Arrays.binarySearch(seen, 0, seenCount, hash);
        if (found >= 0) {
            return false;
        }
        int at = -found - 1;
        if (seenCount == seen.length) {
            seen = Arrays.copyOf(seen, 2 * seenCount);
        }
        System.arraycopy(seen, at, seen, at + 1, seenCount - at);
        seen[at] = hash;
        seenCount++;
        return true;
    }

    private static int place(List<Tally> tallies, String name) {
        for (int place = 0; place < tallies.size(); place++) {
            if (tallies.get(place).name.equals(name)) {
                return place;
            }
        }
        tallies.add(new Tally(name));
        return tallies.size() - 1;
    }

    private Day dayOf(int day) {
        // Events come nearly in order, so their day is one of the last.
        for (int place = days.size() - 1; place >= 0; place--) {
            if (days.get(place).day == day) {
                return days.get(place);
            }
        }
        Day added = new Day(day, channels.size());
        days.add(added);
        return added;
    }

    private void claim(Event.Fact fact, Contact contact) {
        for (Trait trait : traits) {
            if (trait.name.equals(fact.name())) {
                if (contact.isNewerThan(trait.from)) {
                    trait.valueJson = fact.valueJson();
                    trait.from = contact;
                }
                return;
            }
        }
        Trait added = new Trait(fact.name());
        added.valueJson = fact.valueJson();
        added.from = contact;
        traits.add(added);
    }

    private static Contact newer(Contact contact, Contact last) {
        return last == null || contact.isNewerThan(last) ? contact : last;
    }

    private void remember(Contact contact) {
        int place = 0;
        while (place < recent.size() && recent.get(place).isNewerThan(contact)) {
            place++;
        }
        if (place < RECENT_MAX) {
            recent.add(place, contact);
            if (recent.size() > RECENT_MAX) {
                recent.remove(RECENT_MAX);
            }
        }
    }
}
