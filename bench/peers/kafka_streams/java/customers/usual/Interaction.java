package customers.usual;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;

/** What one event was, as it goes to the topic of interactions. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Interaction(
    String id, String source, String type, String time, String channel, String customer, String summary,
    String direction, JsonNode data) {

    Interaction(String customer, Event event) {
        this(
            event.id(), event.source(), event.type(), event.time(), event.channel(), customer, event.summary(),
            event.direction(), event.data());
    }
}
