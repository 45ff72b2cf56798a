import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** Kafka Streams doing the job that the environment names, until a signal ends it. */
public final class Main {
  private static final long STOP_S_MAX = 15;

  private Main() {}

  public static void main(String[] arguments) {
    KafkaStreams streams = new KafkaStreams(topology(), settings());
    Runtime.getRuntime()
        .addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(STOP_S_MAX))));
    streams.start();
  }

  private static Topology topology() {
    StreamsBuilder builder = new StreamsBuilder();
    Serde<String> key = Serdes.String();
    int outputId = number("BENCH_OUTPUT_SCHEMA_ID");
    KStream<String, Records.Trade> trades =
        builder.stream(
            text("BENCH_INPUT"),
            Consumed.with(key, Records.trade(number("BENCH_INPUT_SCHEMA_ID"))));
    String output = text("BENCH_OUTPUT");
    if (text("BENCH_JOB").equals("vwap")) {
      builder.addStateStore(store());
      trades
          .process(TrackVwap::new, TrackVwap.STORE)
          .to(output, Produced.with(key, Records.vwap(outputId)));
    } else {
      long sizeLotsMin = number("BENCH_SIZE_LOTS_MIN");
      trades
          .filter((symbol, trade) -> trade.sizeLots() > sizeLotsMin)
          .mapValues(
              trade ->
                  new Records.Notional(
                      trade.symbol(), trade.timeNs(), trade.priceTicks() * trade.sizeLots()))
          .to(output, Produced.with(key, Records.notional(outputId)));
    }
    return builder.build();
  }

  /** RocksDB with a changelog, both the defaults; the cache in front of it is what is compared. */
  private static StoreBuilder<KeyValueStore<String, Records.Sums>> store() {
    StoreBuilder<KeyValueStore<String, Records.Sums>> store =
        Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(TrackVwap.STORE), Serdes.String(), Records.sums());
    return isCached() ? store.withCachingEnabled() : store.withCachingDisabled();
  }

  /**
   * What is not a default is there for speed, as the Kafka Streams guides have it for throughput:
   * larger polls and fetches, larger batches and their compression. The durability settings are
   * defaults of today's clients, written down because they are a condition of the benchmark.
   */
  private static Properties settings() {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, text("BENCH_GROUP"));
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, text("BENCH_KAFKA"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, text("BENCH_STATE"));
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(
        StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, isCached() ? 64L * 1024 * 1024 : 0L);
    if (text("BENCH_GUARANTEE").equals("exactly_once")) {
      settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    }
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, number("BENCH_COMMIT_INTERVAL_MS"));

    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.CHECK_CRCS_CONFIG), true);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
    settings.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
    settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);

    settings.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG), true);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128L << 20);
    return settings;
  }

  private static boolean isCached() {
    return text("BENCH_CACHE").equals("yes");
  }

  private static int number(String name) {
    return Integer.parseInt(text(name));
  }

  private static String text(String name) {
    String found = System.getenv(name);
    if (found == null) {
      throw new IllegalStateException(name + ": expected it in the environment, found nothing");
    }
    return found;
  }
}
