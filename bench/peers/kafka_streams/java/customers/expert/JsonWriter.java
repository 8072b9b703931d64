package customers.expert;

import java.util.List;

/** Writes interactions and documents. One writer belongs to one thread. */
final class JsonWriter {
    private static final byte[] ID = JsonBytes.constant("{\"id\":");
    private static final byte[] SOURCE = JsonBytes.constant(",\"source\":");
    private static final byte[] TYPE = JsonBytes.constant(",\"type\":");
    private static final byte[] TIME = JsonBytes.constant(",\"time\":");
    private static final byte[] CHANNEL = JsonBytes.constant(",\"channel\":");
    private static final byte[] OF_CUSTOMER = JsonBytes.constant(",\"customer\":");
    private static final byte[] SUMMARY = JsonBytes.constant(",\"summary\":");
    private static final byte[] DIRECTION = JsonBytes.constant(",\"direction\":");
    private static final byte[] DATA = JsonBytes.constant(",\"data\":");
    private static final byte[] CUSTOMER = JsonBytes.constant("{\"customer\":");
    private static final byte[] TRAITS = JsonBytes.constant(",\"traits\":{");
    private static final byte[] VALUE = JsonBytes.constant(":{\"value\":");
    private static final byte[] EVENT = JsonBytes.constant(",\"event\":");
    private static final byte[] CHANNELS = JsonBytes.constant("},\"channels\":{");
    private static final byte[] TYPES = JsonBytes.constant("},\"types\":{");
    private static final byte[] TALLY = JsonBytes.constant(":{\"interactions\":");
    private static final byte[] FIRST = JsonBytes.constant(",\"first\":");
    private static final byte[] LAST = JsonBytes.constant(",\"last\":");
    private static final byte[] NEXT = JsonBytes.constant("},");
    private static final byte[] DAYS = JsonBytes.constant("},\"days\":{");
    private static final byte[] OPEN = JsonBytes.constant(":{");
    private static final byte[] IN = JsonBytes.constant("},\"last\":{\"in\":");
    private static final byte[] OUT = JsonBytes.constant(",\"out\":");
    private static final byte[] NULL = JsonBytes.constant("null");
    private static final byte[] TOUCH_TIME = JsonBytes.constant("{\"time\":");
    private static final byte[] COUNT = JsonBytes.constant("},\"interactions\":{\"count\":");
    private static final byte[] RECENT = JsonBytes.constant(",\"recent\":[");
    private static final byte[] END = JsonBytes.constant("]}}");

    private final JsonBytes to = new JsonBytes();

    /** What one event was, as it goes to the topic of interactions. */
    byte[] interaction(String customer, Event event) {
        to.clear();
        contact(event.id, event.source, event.type, event.timeUs, event.channel, event.summary, event.direction);
        field(OF_CUSTOMER, customer);
        to.raw(DATA);
        to.raw(event.dataJson);
        to.raw('}');
        return to.toBytes();
    }

    /** The whole document of a customer. */
    byte[] document(String key, Customer customer) {
        to.clear();
        field(CUSTOMER, key);
        to.raw(TRAITS);
        for (Customer.Trait trait : customer.traits) {
            to.text(trait.name);
            to.raw(VALUE);
            to.raw(trait.valueJson);
            field(TIME, trait.from.timeUs);
            field(SOURCE, trait.from.source);
            field(EVENT, trait.from.id);
            to.raw(NEXT);
        }
        to.dropComma();
        tallies(CHANNELS, customer.channels);
        tallies(TYPES, customer.types);
        days(customer);
        to.raw(IN);
        touch(customer.lastIn, customer);
        to.raw(OUT);
        touch(customer.lastOut, customer);
        to.raw(COUNT);
        to.number(customer.all.count);
        field(FIRST, customer.all.firstUs);
        field(LAST, customer.all.lastUs);
        to.raw(RECENT);
        for (Customer.Contact contact : customer.recent) {
            contact(
                contact.id, contact.source, customer.types.get(contact.type).name, contact.timeUs,
                customer.channels.get(contact.channel).name, contact.summary, contact.direction);
            to.raw(NEXT);
        }
        to.dropComma();
        to.raw(END);
        return to.toBytes();
    }

    private void contact(
        String id, String source, String type, long timeUs, String channel, String summary, String direction) {
        field(ID, id);
        field(SOURCE, source);
        field(TYPE, type);
        field(TIME, timeUs);
        field(CHANNEL, channel);
        if (summary != null) {
            field(SUMMARY, summary);
        }
        if (direction != null) {
            field(DIRECTION, direction);
        }
    }

    private void tallies(byte[] name, List<Customer.Tally> tallies) {
        to.raw(name);
        for (Customer.Tally tally : tallies) {
            to.text(tally.name);
            to.raw(TALLY);
            to.number(tally.count);
            field(FIRST, tally.firstUs);
            field(LAST, tally.lastUs);
            to.raw(NEXT);
        }
        to.dropComma();
    }

    private void days(Customer customer) {
        to.raw(DAYS);
        for (Customer.Day day : customer.days) {
            to.day(day.day);
            to.raw(OPEN);
            for (int channel = 0; channel < day.counts.length; channel++) {
                if (day.counts[channel] > 0) {
                    to.text(customer.channels.get(channel).name);
                    to.raw(':');
                    to.number(day.counts[channel]);
                    to.raw(',');
                }
            }
            to.dropComma();
            to.raw(NEXT);
        }
        to.dropComma();
    }

    private void touch(Customer.Contact contact, Customer customer) {
        if (contact == null) {
            to.raw(NULL);
            return;
        }
        field(TOUCH_TIME, contact.timeUs);
        field(CHANNEL, customer.channels.get(contact.channel).name);
        field(SUMMARY, contact.summary == null ? "" : contact.summary);
        to.raw('}');
    }

    private void field(byte[] name, String text) {
        to.raw(name);
        to.text(text);
    }

    private void field(byte[] name, long timeUs) {
        to.raw(name);
        to.time(timeUs);
    }
}
