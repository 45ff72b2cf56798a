import java.time.Duration;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Windows of event time of each symbol, of two sizes, each written once: when it is closed. Stores
 * and their changelogs are the defaults (RocksDB), and so is the buffer of `suppress`, which is in
 * memory with a changelog. A store that emits on close by itself (EmitStrategy) is no way to do
 * this: it looks by the machine's clock, when a record comes, so the last windows of an input stay.
 */
final class GatherWindows {
  private static final long NS_A_MS = 1_000_000;

  private GatherWindows() {}

  static void add(StreamsBuilder builder, boolean isCached) {
    Serde<Records.Trade> trade = Records.trade(Settings.number("BENCH_INPUT_SCHEMA_ID"));
    KStream<String, Records.Trade> trades =
        builder.stream(
            Settings.text("BENCH_INPUT"),
            Consumed.with(Serdes.String(), trade)
                .withTimestampExtractor(
                    (record, latestMs) -> ((Records.Trade) record.value()).timeNs() / NS_A_MS));
    for (String sizeMs : Settings.text("BENCH_WINDOWS_MS").split(",")) {
      add(trades, trade, Duration.ofMillis(Long.parseLong(sizeMs)), isCached);
    }
  }

  private static void add(
      KStream<String, Records.Trade> trades,
      Serde<Records.Trade> trade,
      Duration size,
      boolean isCached) {
    Duration grace = Duration.ofMillis(Settings.number("BENCH_GRACE_MS"));
    Materialized<String, Records.Gathered, WindowStore<Bytes, byte[]>> kept =
        Materialized.with(Serdes.String(), Records.gathered());
    trades
        .groupByKey(Grouped.with(Serdes.String(), trade))
        .windowedBy(TimeWindows.ofSizeAndGrace(size, grace))
        .aggregate(
            () -> Records.Gathered.NOTHING,
            (symbol, one, before) -> before.with(one),
            isCached ? kept.withCachingEnabled() : kept.withCachingDisabled())
        .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()))
        .toStream()
        .map((window, found) -> KeyValue.pair(window.key(), record(window, found)))
        .to(
            Settings.text("BENCH_OUTPUT"),
            Produced.with(
                Serdes.String(), Records.window(Settings.number("BENCH_OUTPUT_SCHEMA_ID"))));
  }

  private static Records.Window record(Windowed<String> window, Records.Gathered found) {
    return new Records.Window(
        window.key(),
        window.window().start() * NS_A_MS,
        window.window().end() * NS_A_MS,
        found.trades(),
        found.volumeLots(),
        found.vwapTicks());
  }
}
