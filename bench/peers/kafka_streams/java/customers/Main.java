package customers;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** Runs the job until SIGTERM: prints {@code ready} once partitions are assigned, and ends with 1 after an error. */
public final class Main {
    private static final Duration CLOSE_MAX = Duration.ofSeconds(30);

    private Main() {
    }

    public static void main(String[] words) throws InterruptedException, ExecutionException {
        Arguments arguments;
        try {
            arguments = Arguments.parse(words);
        } catch (IllegalArgumentException error) {
            System.err.println(error.getMessage());
            System.exit(2);
            return;
        }
        if (arguments.warmUpEvents() > 0) {
            WarmUp.run(arguments);
        }
        KafkaStreams streams = new KafkaStreams(Job.topology(arguments), Settings.of(arguments));
        CountDownLatch ended = new CountDownLatch(1);
        AtomicReference<Throwable> failure = new AtomicReference<>();
        AtomicBoolean ready = new AtomicBoolean();
        streams.setUncaughtExceptionHandler(error -> {
            failure.set(error);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING && ready.compareAndSet(false, true)) {
                System.out.println("ready");
            } else if (now == KafkaStreams.State.ERROR) {
                ended.countDown();
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            boolean closed = streams.close(CLOSE_MAX);
            // Ended as it was told to, which is no failure; the virtual machine would answer with the signal's number.
            Runtime.getRuntime().halt(closed && failure.get() == null ? 0 : 1);
        }));
        streams.start();
        ended.await();
        if (failure.get() != null) {
            failure.get().printStackTrace();
            System.exit(1);
        }
    }
}
