package customers;

import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.zip.CRC32;
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

/** The topology: a topic of events, one processor with one store, two topics out. */
final class Job {
    static final String STORE = "customers";
    static final String INTERACTIONS_SINK = "interactions";
    static final String CONTEXT_SINK = "context";
    private static final String SOURCE = "events";
    private static final String PROCESSOR = "fold";

    private Job() {
    }

    static Topology topology(String prefix) {
        StoreBuilder<KeyValueStore<Bytes, Customer>> store = Stores
            .keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.Bytes(), CustomerCodec.serde())
            .withCachingEnabled()
            .withLoggingEnabled(Map.of());
        StreamPartitioner<Bytes, byte[]> partitioner =
            (topic, key, value, partitions) -> Optional.of(Set.of(partition(key.get(), partitions)));
        return new Topology()
            .addSource(SOURCE, new BytesDeserializer(), new ByteArrayDeserializer(), prefix + "events")
            .addProcessor(PROCESSOR, CustomerProcessor::new, SOURCE)
            .addStateStore(store, PROCESSOR)
            .addSink(
                INTERACTIONS_SINK, prefix + "interactions", new BytesSerializer(), new ByteArraySerializer(),
                partitioner, PROCESSOR)
            .addSink(
                CONTEXT_SINK, prefix + "context", new BytesSerializer(), new ByteArraySerializer(), partitioner,
                PROCESSOR);
    }

    /** Where all producers of these topics put a key. */
    static int partition(byte[] key, int partitions) {
        CRC32 crc = new CRC32();
        crc.update(key);
        return (int) (crc.getValue() % partitions);
    }
}
