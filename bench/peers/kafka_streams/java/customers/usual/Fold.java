package customers.usual;

import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;

/** Folds an event into its customer, and hands both on unless the event is a copy. */
final class Fold implements FixedKeyProcessor<String, Event, Fold.Folded> {
    /** An event that was no copy, and its customer with it. */
    record Folded(Event event, Customer customer) {
    }

    private FixedKeyProcessorContext<String, Folded> context;
    private KeyValueStore<String, Customer> customers;

    @Override
    public void init(FixedKeyProcessorContext<String, Folded> given) {
        context = given;
        customers = given.getStateStore(UsualJob.STORE);
    }

    @Override
    public void process(FixedKeyRecord<String, Event> record) {
        Customer customer = customers.get(record.key());
        if (customer == null) {
            customer = new Customer(record.key());
        }
        if (customer.fold(record.value())) {
            customers.put(record.key(), customer);
            context.forward(record.withValue(new Folded(record.value(), customer)));
        }
    }
}
