import java.util.List;
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

/**
 * Passes ticks on from topic to topic until a signal ends it. Split: each step reads what the one
 * before it wrote, through Kafka. Fused: the steps follow one another in memory, and each writes
 * its topic as well, as ours do.
 */
public final class Relay {
  private Relay() {}

  public static void main(String[] arguments) {
    List<String> topics = List.of(Settings.text("BENCH_HOPS").split(","));
    Topology topology = topology(topics, Settings.isYes("BENCH_SPLIT"));
    Running.untilSignal(topology, settings());
  }

  private static Topology topology(List<String> topics, boolean isSplit) {
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, Records.Hop> ticks = stream(builder, topics.get(0));
    for (String target : topics.subList(1, topics.size())) {
      KStream<String, Records.Hop> passed = ticks.mapValues(tick -> tick);
      passed.to(target, Produced.with(Serdes.String(), hop()));
      boolean isLast = target.equals(topics.get(topics.size() - 1));
      ticks = isSplit && !isLast ? stream(builder, target) : passed;
    }
    return builder.build();
  }

  private static KStream<String, Records.Hop> stream(StreamsBuilder builder, String topic) {
    return builder.stream(topic, Consumed.with(Serdes.String(), hop()));
  }

  private static Serde<Records.Hop> hop() {
    return Records.hop(Settings.number("BENCH_SCHEMA_ID"));
  }

  /**
   * Nothing waits to be gathered: Kafka Streams has its producers wait 100 ms by default. From now
   * on: what other ways have left in the topics is not read.
   */
  private static Properties settings() {
    Properties settings = Settings.common();
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 0);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "latest");
    return settings;
  }
}
