package customers.expert;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.util.JsonRecyclerPools;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;

/** Reads events by Jackson's streaming API; JSON that is only handed on stays the bytes that it is. */
final class EventReader {
    /** Its buffers are used again by the thread. */
    private final JsonFactory json =
        JsonFactory.builder().recyclerPool(JsonRecyclerPools.threadLocalPool()).build();

    Event read(byte[] bytes) {
        Event event = new Event();
        String time = null;
        try (JsonParser parser = json.createParser(bytes)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new IllegalArgumentException("an event is a JSON object");
            }
            for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
                switch (name) {
                    case "id" -> event.id = parser.nextTextValue();
                    case "source" -> event.source = parser.nextTextValue();
                    case "type" -> event.type = parser.nextTextValue();
                    case "time" -> time = parser.nextTextValue();
                    case "channel" -> event.channel = parser.nextTextValue();
                    case "direction" -> event.direction = parser.nextTextValue();
                    case "summary" -> event.summary = parser.nextTextValue();
                    case "traits" -> readFacts(parser, bytes, event);
                    case "data" -> event.dataJson = rawValue(parser, bytes);
                    default -> {
                        parser.nextToken();
                        parser.skipChildren();
                    }
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        if (event.id == null || event.source == null || event.type == null || event.channel == null || time == null) {
            throw new IllegalArgumentException("an event has id, source, type, channel and time");
        }
        event.timeUs = Times.parse(time);
        return event;
    }

    private static void readFacts(JsonParser parser, byte[] bytes, Event event) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            return;
        }
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            event.facts.add(new Event.Fact(name, rawValue(parser, bytes)));
        }
    }

    private static byte[] rawValue(JsonParser parser, byte[] bytes) throws IOException {
        parser.nextToken();
        int from = (int) parser.currentTokenLocation().getByteOffset();
        parser.skipChildren();
        // A text's end is known once it was read; Jackson reads it only when somebody asks.
        parser.finishToken();
        return Arrays.copyOfRange(bytes, from, (int) parser.currentLocation().getByteOffset());
    }
}
