package customers.usual;

import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;

/** Hands on the customer of each key. */
final class LookUp implements FixedKeyProcessor<String, Integer, Customer> {
    private FixedKeyProcessorContext<String, Customer> context;
    private KeyValueStore<String, Customer> customers;

    @Override
    public void init(FixedKeyProcessorContext<String, Customer> given) {
        context = given;
        customers = given.getStateStore(UsualJob.STORE);
    }

    @Override
    public void process(FixedKeyRecord<String, Integer> record) {
        context.forward(record.withValue(customers.get(record.key())));
    }
}
