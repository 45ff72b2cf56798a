import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
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
  private Main() {}

  public static void main(String[] arguments) {
    Running.untilSignal(topology(Settings.text("BENCH_JOB")), settings());
  }

  private static Topology topology(String job) {
    StreamsBuilder builder = new StreamsBuilder();
    switch (job) {
      case "vwap" -> addVwap(builder);
      case "filter" -> addFilter(builder);
      case "windows" -> GatherWindows.add(builder, isCached());
      default -> throw new IllegalStateException("BENCH_JOB: expected a job, found " + job);
    }
    return builder.build();
  }

  private static void addVwap(StreamsBuilder builder) {
    builder.addStateStore(store());
    trades(builder)
        .process(TrackVwap::new, TrackVwap.STORE)
        .to(output(), Produced.with(Serdes.String(), Records.vwap(outputId())));
  }

  private static void addFilter(StreamsBuilder builder) {
    long sizeLotsMin = Settings.number("BENCH_SIZE_LOTS_MIN");
    trades(builder)
        .filter((symbol, trade) -> trade.sizeLots() > sizeLotsMin)
        .mapValues(
            trade ->
                new Records.Notional(
                    trade.symbol(), trade.timeNs(), trade.priceTicks() * trade.sizeLots()))
        .to(output(), Produced.with(Serdes.String(), Records.notional(outputId())));
  }

  private static KStream<String, Records.Trade> trades(StreamsBuilder builder) {
    Serde<Records.Trade> trade = Records.trade(Settings.number("BENCH_INPUT_SCHEMA_ID"));
    return builder.stream(Settings.text("BENCH_INPUT"), Consumed.with(Serdes.String(), trade));
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
   * larger polls and fetches, larger batches and their compression.
   */
  private static Properties settings() {
    Properties settings = Settings.common();
    settings.put(
        StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, isCached() ? 64L * 1024 * 1024 : 0L);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
    settings.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
    settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128L << 20);
    return settings;
  }

  private static String output() {
    return Settings.text("BENCH_OUTPUT");
  }

  private static int outputId() {
    return Settings.number("BENCH_OUTPUT_SCHEMA_ID");
  }

  private static boolean isCached() {
    return Settings.isYes("BENCH_CACHE");
  }
}
