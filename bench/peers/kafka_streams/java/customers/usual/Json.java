package customers.usual;

import com.fasterxml.jackson.annotation.JsonFormat;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.dataformat.smile.databind.SmileMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** How events, rows and outputs are read and written: all by Jackson's data binding. */
final class Json {
    /** What is in the view of the store alone is left out of documents. */
    private interface Document {
    }

    private static final ObjectMapper JSON =
        JsonMapper.builder().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES).build();
    private static final ObjectMapper ROWS = rows();

    static final Serde<Event> EVENTS = serde(Event.class, JSON.writer(), JSON.reader());
    static final Serde<Interaction> INTERACTIONS = serde(Interaction.class, JSON.writer(), JSON.reader());
    static final Serde<Customer> DOCUMENTS = serde(Customer.class, JSON.writerWithView(Document.class), JSON.reader());
    static final Serde<Customer> CUSTOMERS = serde(Customer.class, ROWS.writer(), ROWS.reader());

    private Json() {
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Smile, Jackson's binary JSON; objects as arrays, so that rows have no names of fields. */
    private static ObjectMapper rows() {
        ObjectMapper rows = SmileMapper.builder().build();
        for (Class<?> each : List.of(
            Customer.class, Customer.Tally.class, Customer.Trait.class, Customer.Touch.class, Customer.Last.class,
            Customer.Interactions.class, Customer.Recent.class)) {
            rows.configOverride(each).setFormat(JsonFormat.Value.forShape(JsonFormat.Shape.ARRAY));
        }
        return rows;
    }

    private static <T> Serde<T> serde(Class<T> type, ObjectWriter anyWriter, ObjectReader anyReader) {
        ObjectWriter writer = anyWriter.forType(type);
        ObjectReader reader = anyReader.forType(type);
        return Serdes.serdeFrom(
            (topic, value) -> {
                try {
                    return value == null ? null : writer.writeValueAsBytes(value);
                } catch (JsonProcessingException error) {
                    throw new UncheckedIOException(error);
                }
            },
            (topic, bytes) -> {
                try {
                    return bytes == null ? null : reader.readValue(bytes);
                } catch (IOException error) {
                    throw new UncheckedIOException(error);
                }
            });
    }
}
