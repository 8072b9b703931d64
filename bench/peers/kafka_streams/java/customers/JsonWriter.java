package customers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;

/** Writes interactions and documents by Jackson's streaming API. One writer belongs to one thread. */
final class JsonWriter {
    private static final SerializedString ID = new SerializedString("id");
    private static final SerializedString SOURCE = new SerializedString("source");
    private static final SerializedString TYPE = new SerializedString("type");
    private static final SerializedString TIME = new SerializedString("time");
    private static final SerializedString CHANNEL = new SerializedString("channel");
    private static final SerializedString CUSTOMER = new SerializedString("customer");
    private static final SerializedString SUMMARY = new SerializedString("summary");
    private static final SerializedString DIRECTION = new SerializedString("direction");
    private static final SerializedString DATA = new SerializedString("data");
    private static final SerializedString TRAITS = new SerializedString("traits");
    private static final SerializedString VALUE = new SerializedString("value");
    private static final SerializedString EVENT = new SerializedString("event");
    private static final SerializedString CHANNELS = new SerializedString("channels");
    private static final SerializedString TYPES = new SerializedString("types");
    private static final SerializedString DAYS = new SerializedString("days");
    private static final SerializedString LAST = new SerializedString("last");
    private static final SerializedString IN = new SerializedString("in");
    private static final SerializedString OUT = new SerializedString("out");
    private static final SerializedString INTERACTIONS = new SerializedString("interactions");
    private static final SerializedString COUNT = new SerializedString("count");
    private static final SerializedString FIRST = new SerializedString("first");
    private static final SerializedString RECENT = new SerializedString("recent");

    private final JsonFactory json;
    private final ByteArrayOutputStream out = new ByteArrayOutputStream(8192);
    private final byte[] time = new byte[Times.LENGTH_MAX];

    JsonWriter(JsonFactory json) {
        this.json = json;
    }

    /** What one event was, as it goes to the topic of interactions. */
    byte[] interaction(String customer, Event event) {
        out.reset();
        try (JsonGenerator to = json.createGenerator(out)) {
            to.writeStartObject();
            text(to, ID, event.id);
            text(to, SOURCE, event.source);
            text(to, TYPE, event.type);
            time(to, TIME, event.timeUs);
            text(to, CHANNEL, event.channel);
            text(to, CUSTOMER, customer);
            optional(to, SUMMARY, event.summary);
            optional(to, DIRECTION, event.direction);
            to.writeFieldName(DATA);
            to.writeRawValue(new RawJson(event.dataJson));
            to.writeEndObject();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return out.toByteArray();
    }

    /** The whole document of a customer. */
    byte[] document(String key, Customer customer) {
        for (Customer.Contact contact : customer.recent) {
            if (contact.json == null) {
                // Most of the newest interactions were written before, and are copied from then on.
                contact.json = recent(contact, customer);
            }
        }
        out.reset();
        try (JsonGenerator to = json.createGenerator(out)) {
            to.writeStartObject();
            text(to, CUSTOMER, key);
            traits(to, customer.traits);
            tallies(to, CHANNELS, customer.channels);
            tallies(to, TYPES, customer.types);
            days(to, customer);
            to.writeFieldName(LAST);
            to.writeStartObject();
            touch(to, IN, customer.lastIn, customer);
            touch(to, OUT, customer.lastOut, customer);
            to.writeEndObject();
            to.writeFieldName(INTERACTIONS);
            to.writeStartObject();
            number(to, COUNT, customer.all.count);
            time(to, FIRST, customer.all.firstUs);
            time(to, LAST, customer.all.lastUs);
            to.writeFieldName(RECENT);
            to.writeStartArray();
            for (Customer.Contact contact : customer.recent) {
                to.writeRawValue(contact.json);
            }
            to.writeEndArray();
            to.writeEndObject();
            to.writeEndObject();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return out.toByteArray();
    }

    private RawJson recent(Customer.Contact contact, Customer customer) {
        out.reset();
        try (JsonGenerator to = json.createGenerator(out)) {
            to.writeStartObject();
            text(to, ID, contact.id);
            text(to, SOURCE, contact.source);
            text(to, TYPE, customer.types.get(contact.type).name);
            time(to, TIME, contact.timeUs);
            text(to, CHANNEL, customer.channels.get(contact.channel).name);
            optional(to, SUMMARY, contact.summary);
            optional(to, DIRECTION, contact.direction);
            to.writeEndObject();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return new RawJson(out.toByteArray());
    }

    private void traits(JsonGenerator to, List<Customer.Trait> traits) throws IOException {
        to.writeFieldName(TRAITS);
        to.writeStartObject();
        for (Customer.Trait trait : traits) {
            to.writeFieldName(trait.name);
            to.writeStartObject();
            to.writeFieldName(VALUE);
            to.writeRawValue(new RawJson(trait.valueJson));
            time(to, TIME, trait.from.timeUs);
            text(to, SOURCE, trait.from.source);
            text(to, EVENT, trait.from.id);
            to.writeEndObject();
        }
        to.writeEndObject();
    }

    private void tallies(JsonGenerator to, SerializedString name, List<Customer.Tally> tallies) throws IOException {
        to.writeFieldName(name);
        to.writeStartObject();
        for (Customer.Tally tally : tallies) {
            to.writeFieldName(tally.name);
            to.writeStartObject();
            number(to, INTERACTIONS, tally.count);
            time(to, FIRST, tally.firstUs);
            time(to, LAST, tally.lastUs);
            to.writeEndObject();
        }
        to.writeEndObject();
    }

    private void days(JsonGenerator to, Customer customer) throws IOException {
        to.writeFieldName(DAYS);
        to.writeStartObject();
        for (Customer.Day day : customer.days) {
            to.writeFieldName(Times.dayText(day.day));
            to.writeStartObject();
            for (int channel = 0; channel < day.counts.length; channel++) {
                if (day.counts[channel] > 0) {
                    to.writeFieldName(customer.channels.get(channel).name);
                    to.writeNumber(day.counts[channel]);
                }
            }
            to.writeEndObject();
        }
        to.writeEndObject();
    }

    private void touch(JsonGenerator to, SerializedString name, Customer.Contact contact, Customer customer)
        throws IOException {
        to.writeFieldName(name);
        if (contact == null) {
            to.writeNull();
            return;
        }
        to.writeStartObject();
        time(to, TIME, contact.timeUs);
        text(to, CHANNEL, customer.channels.get(contact.channel).name);
        text(to, SUMMARY, contact.summary == null ? "" : contact.summary);
        to.writeEndObject();
    }

    private void time(JsonGenerator to, SerializedString name, long timeUs) throws IOException {
        to.writeFieldName(name);
        to.writeRawUTF8String(time, 0, Times.write(timeUs, time));
    }

    private static void text(JsonGenerator to, SerializedString name, String text) throws IOException {
        to.writeFieldName(name);
        to.writeString(text);
    }

    private static void optional(JsonGenerator to, SerializedString name, String text) throws IOException {
        if (text != null) {
            text(to, name, text);
        }
    }

    private static void number(JsonGenerator to, SerializedString name, long number) throws IOException {
        to.writeFieldName(name);
        to.writeNumber(number);
    }
}
