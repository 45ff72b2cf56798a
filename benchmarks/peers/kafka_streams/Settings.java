import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.streams.StreamsConfig;

/** What the environment says, and the settings every program here has. */
final class Settings {
  private Settings() {}

  /**
   * One thread, one copy of each topic, checksums. The durability settings are defaults of today's
   * clients, written down because they are a condition of the benchmark.
   */
  static Properties common() {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, text("BENCH_GROUP"));
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, text("BENCH_KAFKA"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, text("BENCH_STATE"));
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    if (text("BENCH_GUARANTEE").equals("exactly_once")) {
      settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    }
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, number("BENCH_COMMIT_INTERVAL_MS"));
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.CHECK_CRCS_CONFIG), true);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG), true);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    return settings;
  }

  static boolean isYes(String name) {
    return text(name).equals("yes");
  }

  static int number(String name) {
    return Integer.parseInt(text(name));
  }

  static String text(String name) {
    String found = System.getenv(name);
    if (found == null) {
      throw new IllegalStateException(name + ": expected it in the environment, found nothing");
    }
    return found;
  }
}
