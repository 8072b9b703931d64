package customers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.util.JsonRecyclerPools;

/** How Jackson is set up. */
final class Json {
    private Json() {
    }

    /** A factory for one thread's readers and writers, whose buffers are used again. */
    static JsonFactory factory() {
        return JsonFactory.builder()
            .recyclerPool(JsonRecyclerPools.threadLocalPool())
            .build();
    }
}
