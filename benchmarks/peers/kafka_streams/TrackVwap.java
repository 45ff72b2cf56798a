import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** The running price of each symbol: a processor, since an aggregate's cache would hold outputs back. */
final class TrackVwap implements Processor<String, Records.Trade, String, Records.Vwap> {
  static final String STORE = "sum-by-symbol";

  private ProcessorContext<String, Records.Vwap> context;
  private KeyValueStore<String, Records.Sums> store;

  @Override
  public void init(ProcessorContext<String, Records.Vwap> given) {
    context = given;
    store = given.getStateStore(STORE);
  }

  @Override
  public void process(Record<String, Records.Trade> record) {
    Records.Trade trade = record.value();
    Records.Sums before = store.get(record.key());
    long turnover = trade.priceTicks() * trade.sizeLots();
    long volumeLots = trade.sizeLots();
    if (before != null) {
      turnover += before.turnover();
      volumeLots += before.volumeLots();
    }
    store.put(record.key(), new Records.Sums(turnover, volumeLots));
    double vwap = (double) turnover / volumeLots;
    context.forward(
        record.withValue(new Records.Vwap(trade.symbol(), trade.timeNs(), vwap, volumeLots)));
  }
}
