package customers.expert;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/**
 * A customer as a row: a binary form that is small, since each changed row is compressed, sent to the changelog and
 * written to RocksDB once a commit.
 *
 * <p>Whole numbers are variable-length; channels, types, sources and the remembered contacts are written once and named
 * by their place. A codec keeps its buffers, so it belongs to one thread, as every store and its serde does here.
 */
final class CustomerCodec {
    private static final byte VERSION = 1;
    private static final String[] DIRECTIONS = {null, "in", "out"};

    private byte[] bytes = new byte[4096];
    private int at;
    private final List<String> sources = new ArrayList<>();
    private final List<Customer.Contact> contacts = new ArrayList<>();

    /** For Kafka Streams. */
    static Serde<Customer> serde() {
        CustomerCodec codec = new CustomerCodec();
        return Serdes.serdeFrom(
            (topic, customer) -> customer == null ? null : codec.encode(customer),
            (topic, row) -> row == null ? null : codec.decode(row));
    }

    byte[] encode(Customer customer) {
        at = 0;
        sources.clear();
        contacts.clear();
        contacts.addAll(customer.recent);
        int lastIn = contactPlace(customer.lastIn);
        int lastOut = contactPlace(customer.lastOut);
        for (Customer.Trait trait : customer.traits) {
            contactPlace(trait.from);
        }
        reserve(1 + 8 * (customer.seenCount + 1));
        bytes[at++] = VERSION;
        putNumber(customer.seenCount);
        for (int place = 0; place < customer.seenCount; place++) {
            putFixed(customer.seen[place]);
        }
        putTally(customer.all);
        putTallies(customer.channels);
        putTallies(customer.types);
        putNumber(customer.days.size());
        for (Customer.Day day : customer.days) {
            putDay(day);
        }
        putNumber(customer.recent.size());
        putNumber(contacts.size());
        for (Customer.Contact contact : contacts) {
            putContact(contact, customer.all.firstUs);
        }
        putNumber(lastIn);
        putNumber(lastOut);
        putNumber(customer.traits.size());
        for (Customer.Trait trait : customer.traits) {
            putText(trait.name);
            putBytes(trait.valueJson);
            putNumber(contactPlace(trait.from));
        }
        return Arrays.copyOf(bytes, at);
    }

    Customer decode(byte[] row) {
        byte[] buffer = bytes;
        bytes = row;
        at = 0;
        sources.clear();
        contacts.clear();
        if (bytes[at++] != VERSION) {
            throw new IllegalStateException("a row of another version: " + row[0]);
        }
        Customer customer = new Customer();
        customer.seenCount = (int) number();
        customer.seen = new long[Math.max(16, customer.seenCount + 4)];
        for (int place = 0; place < customer.seenCount; place++) {
            customer.seen[place] = fixed();
        }
        readTally(customer.all);
        readTallies(customer.channels);
        readTallies(customer.types);
        for (long left = number(); left > 0; left--) {
            customer.days.add(day());
        }
        int recent = (int) number();
        for (long left = number(); left > 0; left--) {
            contacts.add(contact(customer.all.firstUs));
        }
        customer.recent.addAll(contacts.subList(0, recent));
        customer.lastIn = contactAt((int) number());
        customer.lastOut = contactAt((int) number());
        for (long left = number(); left > 0; left--) {
            Customer.Trait trait = new Customer.Trait(text());
            trait.valueJson = raw();
            trait.from = contactAt((int) number());
            customer.traits.add(trait);
        }
        bytes = buffer;
        return customer;
    }

    /** One more than the place of the contact among those that are written, which it joins if it is new; 0 for none. */
    private int contactPlace(Customer.Contact contact) {
        if (contact == null) {
            return 0;
        }
        for (int place = 0; place < contacts.size(); place++) {
            if (contacts.get(place) == contact) {
                return place + 1;
            }
        }
        contacts.add(contact);
        return contacts.size();
    }

    private Customer.Contact contactAt(int place) {
        return place == 0 ? null : contacts.get(place - 1);
    }

    private void putContact(Customer.Contact contact, long baseUs) {
        putNumber(contact.timeUs - baseUs);
        int source = sources.indexOf(contact.source);
        putNumber(source < 0 ? sources.size() : source);
        if (source < 0) {
            sources.add(contact.source);
            putText(contact.source);
        }
        putText(contact.id);
        putNumber(contact.type);
        putNumber(contact.channel);
        putNumber("in".equals(contact.direction) ? 1 : "out".equals(contact.direction) ? 2 : 0);
        // A summary that is absent is not an empty one.
        putNumber(contact.summary == null ? 0 : 1);
        if (contact.summary != null) {
            putText(contact.summary);
        }
    }

    private Customer.Contact contact(long baseUs) {
        long timeUs = baseUs + number();
        int source = (int) number();
        if (source == sources.size()) {
            sources.add(text());
        }
        String id = text();
        int type = (int) number();
        int channel = (int) number();
        String direction = DIRECTIONS[(int) number()];
        String summary = number() == 0 ? null : text();
        return new Customer.Contact(timeUs, sources.get(source), id, type, channel, direction, summary);
    }

    private void putTally(Customer.Tally tally) {
        putNumber(tally.count);
        putNumber(tally.firstUs);
        putNumber(tally.lastUs - tally.firstUs);
    }

    private void readTally(Customer.Tally tally) {
        tally.count = number();
        tally.firstUs = number();
        tally.lastUs = tally.firstUs + number();
    }

    private void putTallies(List<Customer.Tally> tallies) {
        putNumber(tallies.size());
        for (Customer.Tally tally : tallies) {
            putText(tally.name);
            putTally(tally);
        }
    }

    private void readTallies(List<Customer.Tally> tallies) {
        for (long left = number(); left > 0; left--) {
            Customer.Tally tally = new Customer.Tally(text());
            readTally(tally);
            tallies.add(tally);
        }
    }

    private void putDay(Customer.Day day) {
        putNumber(day.day);
        putNumber(day.counts.length);
        for (int count : day.counts) {
            putNumber(count);
        }
    }

    private Customer.Day day() {
        Customer.Day day = new Customer.Day((int) number(), (int) number());
        for (int place = 0; place < day.counts.length; place++) {
            day.counts[place] = (int) number();
        }
        return day;
    }

    private void reserve(int size) {
        if (bytes.length - at < size) {
            bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, at + size));
        }
    }

    private void putNumber(long number) {
        reserve(10);
        while ((number & ~0x7FL) != 0) {
            bytes[at++] = (byte) (number | 0x80);
            number >>>= 7;
        }
        bytes[at++] = (byte) number;
    }

    private long number() {
        long number = 0;
        for (int shift = 0; ; shift += 7) {
            byte next = bytes[at++];
            number |= (next & 0x7FL) << shift;
            if (next >= 0) {
                return number;
            }
        }
    }

    private void putFixed(long number) {
        for (int shift = 0; shift < 64; shift += 8) {
            bytes[at++] = (byte) (number >>> shift);
        }
    }

    private long fixed() {
        long number = 0;
        for (int shift = 0; shift < 64; shift += 8) {
            number |= (bytes[at++] & 0xFFL) << shift;
        }
        return number;
    }

    private void putBytes(byte[] content) {
        putNumber(content.length);
        reserve(content.length);
        System.arraycopy(content, 0, bytes, at, content.length);
        at += content.length;
    }

    private byte[] raw() {
        int length = (int) number();
        at += length;
        return Arrays.copyOfRange(bytes, at - length, at);
    }

    private void putText(String text) {
        putBytes(text.getBytes(StandardCharsets.UTF_8));
    }

    private String text() {
        int length = (int) number();
        at += length;
        return new String(bytes, at - length, length, StandardCharsets.UTF_8);
    }
}
