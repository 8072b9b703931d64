package customers;

import customers.expert.ExpertJob;
import customers.usual.UsualJob;
import java.util.zip.CRC32;
import org.apache.kafka.streams.Topology;

/** The job's topics, and its topology in either way. */
public final class Job {
    public static final String EVENTS = "events";
    public static final String INTERACTIONS = "interactions";
    public static final String CONTEXT = "context";

    private Job() {
    }

    static Topology topology(Arguments arguments) {
        return arguments.expert()
            ? ExpertJob.topology(arguments.prefix()) : UsualJob.topology(arguments.prefix());
    }

    /** Where all producers of these topics put a key. */
    public static int partition(byte[] key, int partitions) {
        CRC32 crc = new CRC32();
        crc.update(key);
        return (int) (crc.getValue() % partitions);
    }
}
