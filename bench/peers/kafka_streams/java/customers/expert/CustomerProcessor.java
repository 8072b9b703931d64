package customers.expert;

import java.nio.charset.StandardCharsets;
import net.jpountz.xxhash.XXHash64;
import net.jpountz.xxhash.XXHashFactory;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.kstream.internals.Change;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.processor.internals.ProcessorNode;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.internals.CachedStateStore;

/**
 * The job of one partition: an event in, an interaction out if it is new, and its customer's document out once a
 * commit.
 *
 * <p>Documents are made when the store's record cache is flushed, as the tables of the DSL do it: by the flush listener
 * of the caching store. The Processor API has no public way to it, hence the three internal names here; the public way,
 * a document for every event, sends more records and more bytes.
 */
final class CustomerProcessor implements Processor<Bytes, byte[], Bytes, byte[]> {
    private static final XXHash64 HASH = XXHashFactory.fastestJavaInstance().hash64();
    private static final long HASH_SEED = 0;

    private final EventReader reader = new EventReader();
    private final JsonWriter writer = new JsonWriter();
    private ProcessorContext<Bytes, byte[]> context;
    private KeyValueStore<Bytes, Customer> customers;

    @Override
    public void init(ProcessorContext<Bytes, byte[]> given) {
        context = given;
        customers = given.getStateStore(ExpertJob.STORE);
        forwardFlushed();
    }

    @Override
    public void process(Record<Bytes, byte[]> record) {
        Event event = reader.read(record.value());
        Customer customer = customers.get(record.key());
        if (customer == null) {
            customer = new Customer();
        }
        if (!customer.fold(event, hash(event))) {
            return;
        }
        customers.put(record.key(), customer);
        byte[] interaction = writer.interaction(text(record.key()), event);
        context.forward(record.withValue(interaction), ExpertJob.INTERACTIONS_SINK);
    }

    @SuppressWarnings("unchecked")
    private void forwardFlushed() {
        InternalProcessorContext<Bytes, byte[]> internal = (InternalProcessorContext<Bytes, byte[]>) context;
        ProcessorNode<?, ?, ?, ?> ours = internal.currentNode();
        boolean caching = ((CachedStateStore<Bytes, Customer>) customers).setFlushListener(flushed -> {
            ProcessorNode<?, ?, ?, ?> before = internal.currentNode();
            internal.setCurrentNode(ours);
            try {
                internal.forward(flushed.withValue(document(flushed)), ExpertJob.CONTEXT_SINK);
            } finally {
                internal.setCurrentNode(before);
            }
        }, false);
        if (!caching) {
            throw new IllegalStateException("the store has no record cache: documents would never be sent");
        }
    }

    private byte[] document(Record<Bytes, Change<Customer>> flushed) {
        return writer.document(text(flushed.key()), flushed.value().newValue);
    }

    /** Eight bytes that stand for source and id; the zero byte between them is in neither. */
    static long hash(Event event) {
        byte[] named = (event.source + '\0' + event.id).getBytes(StandardCharsets.UTF_8);
        return HASH.hash(named, 0, named.length, HASH_SEED);
    }

    private static String text(Bytes key) {
        return new String(key.get(), StandardCharsets.US_ASCII);
    }
}
