import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;

/** Runs a topology until a signal ends it; says so once its tasks are at work. */
final class Running {
  private static final long STOP_S_MAX = 15;
  private static final String READY = "streams: running";

  private Running() {}

  static void untilSignal(Topology topology, Properties settings) {
    KafkaStreams streams = new KafkaStreams(topology, settings);
    Runtime.getRuntime()
        .addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(STOP_S_MAX))));
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.RUNNING) {
            System.out.println(READY);
          }
        });
    streams.start();
  }
}
