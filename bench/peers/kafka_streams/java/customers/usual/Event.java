package customers.usual;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;

/** One event as it was sent; what it leaves out is null. */
public record Event(
    String id, String source, String type, String time, String channel, String direction, String summary,
    Map<String, JsonNode> traits, JsonNode data) {
}
