package customers;

import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Customers, decoded, in front of Kafka Streams' own store of rows.
 *
 * <p>The record cache of Kafka Streams holds encoded rows, so that each event would decode its customer's row. This
 * keeps the customers used last decoded too; every change is still put, encoded, into the store at once, which has the
 * truth: what is kept here may be dropped at any time.
 */
final class CustomerStore {
    private final KeyValueStore<Bytes, byte[]> rows;
    private final CustomerCodec codec = new CustomerCodec();
    private final Map<Bytes, Customer> decoded;

    CustomerStore(KeyValueStore<Bytes, byte[]> rows, int decodedMax) {
        this.rows = rows;
        this.decoded = new LinkedHashMap<>(1024, 0.75f, true) {
            @Override
            protected boolean removeEldestEntry(Map.Entry<Bytes, Customer> eldest) {
                return size() > decodedMax;
            }
        };
    }

    /** The customer, a new one if there is none. */
    Customer get(Bytes key) {
        Customer customer = decoded.get(key);
        if (customer == null) {
            byte[] row = rows.get(key);
            customer = row == null ? new Customer() : codec.decode(row);
            decoded.put(key, customer);
        }
        return customer;
    }

    void put(Bytes key, Customer customer) {
        rows.put(key, codec.encode(customer));
    }

    /** The customer whose row this is. */
    Customer of(Bytes key, byte[] row) {
        Customer customer = decoded.get(key);
        return customer == null ? codec.decode(row) : customer;
    }
}
