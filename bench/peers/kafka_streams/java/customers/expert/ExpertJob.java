package customers.expert;

import customers.Job;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.BytesDeserializer;
import org.apache.kafka.common.serialization.BytesSerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.StreamPartitioner;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** The topology by the Processor API: a topic of events, one processor with one store, two topics out. */
public final class ExpertJob {
    static final String STORE = "customers";
    static final String INTERACTIONS_SINK = "interactions";
    static final String CONTEXT_SINK = "context";
    private static final String SOURCE = "events";
    private static final String PROCESSOR = "fold";

    private ExpertJob() {
    }

    /** What runs over the topics of a prefix. */
    public static Topology topology(String prefix) {
        StoreBuilder<KeyValueStore<Bytes, Customer>> store = Stores
            .keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.Bytes(), CustomerCodec.serde())
            .withCachingEnabled()
            .withLoggingEnabled(Map.of());
        StreamPartitioner<Bytes, byte[]> partitioner =
            (topic, key, value, partitions) -> Optional.of(Set.of(Job.partition(key.get(), partitions)));
        return new Topology()
            .addSource(SOURCE, new BytesDeserializer(), new ByteArrayDeserializer(), prefix + Job.EVENTS)
            .addProcessor(PROCESSOR, CustomerProcessor::new, SOURCE)
            .addStateStore(store, PROCESSOR)
            .addSink(
                INTERACTIONS_SINK, prefix + Job.INTERACTIONS, new BytesSerializer(), new ByteArraySerializer(),
                partitioner, PROCESSOR)
            .addSink(
                CONTEXT_SINK, prefix + Job.CONTEXT, new BytesSerializer(), new ByteArraySerializer(), partitioner,
                PROCESSOR);
    }
}
