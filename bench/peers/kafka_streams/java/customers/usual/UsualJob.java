package customers.usual;

import customers.Job;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.StreamPartitioner;
import org.apache.kafka.streams.state.Stores;

/**
 * The topology as the DSL's users write it: events are folded in a store of customers; of each that is new an
 * interaction leaves at once, and the document of a changed customer once a commit.
 *
 * <p>Once a commit is what a cached table gives. It holds how many interactions each customer has, and hands on what
 * changed when its cache is flushed, which is part of every commit and so of the commit's transaction. It needs no
 * changelog: what a crash takes of it comes again with the events that were not committed.
 */
public final class UsualJob {
    static final String STORE = "customers";
    private static final String CHANGED = "changed";

    private UsualJob() {
    }

    /** What runs over the topics of a prefix. */
    public static Topology topology(String prefix) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores
            .keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), Json.CUSTOMERS)
            .withCachingEnabled()
            .withLoggingEnabled(Map.of()));
        KStream<String, Fold.Folded> folded = builder
            .stream(prefix + Job.EVENTS, Consumed.with(Serdes.String(), Json.EVENTS))
            .processValues(Fold::new, STORE);
        folded
            .mapValues((key, each) -> new Interaction(key, each.event()))
            .to(prefix + Job.INTERACTIONS, produced(Json.INTERACTIONS));
        folded
            .mapValues(each -> each.customer().interactions.count)
            .toTable(Materialized.<String, Integer>as(Stores.inMemoryKeyValueStore(CHANGED))
                .withKeySerde(Serdes.String())
                .withValueSerde(Serdes.Integer())
                .withCachingEnabled()
                .withLoggingDisabled())
            .toStream()
            .processValues(LookUp::new, STORE)
            .to(prefix + Job.CONTEXT, produced(Json.DOCUMENTS));
        return builder.build();
    }

    private static <T> Produced<String, T> produced(Serde<T> values) {
        StreamPartitioner<String, T> partitioner =
            (topic, key, value, partitions) -> Optional.of(Set.of(Job.partition(Json.bytes(key), partitions)));
        return Produced.with(Serdes.String(), values, partitioner);
    }
}
