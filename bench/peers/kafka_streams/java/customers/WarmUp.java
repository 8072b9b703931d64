package customers;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaStreams;

/**
 * The whole job over made-up events, on topics of its own that are deleted afterwards.
 *
 * <p>A virtual machine compiles what runs often, on the same cores that a benchmark measures; a service that has run
 * for a minute is long past it. So this goes before the measured job and is no part of it.
 */
final class WarmUp {
    private static final int PARTITIONS = 4;
    private static final int CUSTOMERS = 10_000;
    private static final long WAIT_SECONDS_MAX = 60;
    private static final long POLL_MS = 100;
    private static final String[] CHANNELS = {"web", "app", "email", "voice", "billing"};
    private static final String[] TRAITS = {"city", "segment", "language"};
    private static final String EVENT = """
        {"id":"%08x-%04x","source":"%s-desk","type":"thing.done.%d","time":"2025-01-%02dT%02d:%02d:%02d.%03dZ",\
        "channel":"%s",%s%s"data":{"url":"https://shop.example/c/%d/p/%d","device":"tablet","amount_cents":%d,\
        "campaign":"c-%d","visit":"%08x"}}""";

    private final Arguments arguments;
    private final Random chance = new Random(1);

    private WarmUp(Arguments arguments) {
        this.arguments = arguments;
    }

    static void run(Arguments given) throws InterruptedException, ExecutionException {
        new WarmUp(given.named("warm-up-" + UUID.randomUUID().toString().substring(0, 8))).run(given.warmUpEvents());
    }

    private void run(int events) throws InterruptedException, ExecutionException {
        Map<String, Object> client = Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.bootstrapServers());
        try (Admin admin = Admin.create(client)) {
            List<NewTopic> topics = List.of(topic(Job.EVENTS), topic(Job.INTERACTIONS), topic(Job.CONTEXT));
            admin.createTopics(topics).all().get();
            try {
                send(events);
                fold(admin, events);
            } finally {
                List<String> made = admin.listTopics().names().get().stream()
                    .filter(name -> name.startsWith(arguments.application())).collect(Collectors.toList());
                admin.deleteTopics(made).all().get();
            }
        }
    }

    private void fold(Admin admin, int events) throws InterruptedException, ExecutionException {
        Map<TopicPartition, OffsetSpec> ends = IntStream.range(0, PARTITIONS).boxed().collect(Collectors.toMap(
            number -> new TopicPartition(arguments.prefix() + Job.INTERACTIONS, number),
            number -> OffsetSpec.latest()));
        CountDownLatch failed = new CountDownLatch(1);
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS_MAX);
        try (KafkaStreams streams = new KafkaStreams(Job.topology(arguments), Settings.of(arguments))) {
            streams.setStateListener((now, before) -> {
                if (now == KafkaStreams.State.ERROR) {
                    failed.countDown();
                }
            });
            streams.start();
            long written = 0;
            while (written < events) {
                if (failed.await(POLL_MS, TimeUnit.MILLISECONDS)) {
                    throw new IllegalStateException("the warm-up failed after " + written + " of " + events + " events");
                }
                if (System.nanoTime() > deadline) {
                    // Whoever starts the program waits for it, on a machine that has no time for it too.
                    System.err.println("the warm-up ends after " + written + " of " + events + " events");
                    break;
                }
                written = admin.listOffsets(ends).all().get().values().stream()
                    .mapToLong(ListOffsetsResultInfo::offset).sum();
            }
            streams.close(Duration.ofSeconds(30));
            streams.cleanUp();
        }
    }

    private void send(int events) {
        Map<String, Object> settings = Map.of(
            ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.bootstrapServers(),
            ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4",
            ProducerConfig.LINGER_MS_CONFIG, 20);
        try (KafkaProducer<byte[], byte[]> producer =
            new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int number = 0; number < events; number++) {
                byte[] key = String.format("%032x", chance.nextInt(CUSTOMERS)).getBytes(StandardCharsets.US_ASCII);
                byte[] value = event(number, events).getBytes(StandardCharsets.UTF_8);
                int partition = Job.partition(key, PARTITIONS);
                producer.send(new ProducerRecord<>(arguments.prefix() + Job.EVENTS, partition, key, value));
            }
        }
    }

    private String event(int number, int events) {
        int second = (int) ((long) number * 20 * 86_400 / events);
        String channel = CHANNELS[chance.nextInt(CHANNELS.length)];
        String said = chance.nextInt(4) == 0 ? "" : String.format(
            "\"direction\":\"%s\",\"summary\":\"Did a thing of the catalogue, number %d\",",
            chance.nextBoolean() ? "in" : "out", chance.nextInt(4096));
        String told = chance.nextInt(4) > 0 ? "" : String.format(
            "\"traits\":{\"%s\":\"value %d\"},", TRAITS[chance.nextInt(TRAITS.length)], chance.nextInt(9));
        return String.format(
            EVENT, number, chance.nextInt(1 << 16), channel, chance.nextInt(12), 6 + second / 86_400,
            second / 3600 % 24, second / 60 % 60, second % 60, chance.nextInt(1000), channel, said, told,
            chance.nextInt(40), chance.nextInt(1 << 14), chance.nextInt(1 << 16), chance.nextInt(256),
            chance.nextInt());
    }

    private NewTopic topic(String name) {
        return new NewTopic(arguments.prefix() + name, PARTITIONS, (short) 1);
    }
}
