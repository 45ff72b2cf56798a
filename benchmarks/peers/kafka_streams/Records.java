import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** What flows, and what is remembered of a symbol. */
final class Records {
  record Trade(String symbol, long priceTicks, long sizeLots, long timeNs) {}

  record Vwap(String symbol, long timeNs, double vwap, long volumeLots) {}

  record Notional(String symbol, long timeNs, long notional) {}

  record Sums(long turnover, long volumeLots) {}

  record Window(
      String symbol, long startNs, long endNs, long trades, long volumeLots, long vwapTicks) {}

  /** What a window holds of its trades. */
  record Gathered(long trades, long volumeLots, long turnover) {
    static final Gathered NOTHING = new Gathered(0, 0, 0);

    Gathered with(Trade trade) {
      return new Gathered(
          trades + 1,
          volumeLots + trade.sizeLots(),
          turnover + trade.priceTicks() * trade.sizeLots());
    }

    /** To the nearest integer, halves upwards. */
    long vwapTicks() {
      return Math.floorDiv(2 * turnover + volumeLots, 2 * volumeLots);
    }
  }

  record Hop(String key, long sentTimeNs, long priceTicks, long sizeLots) {}

  private static final int SUMS_BYTES = 2 * Long.BYTES;
  private static final int GATHERED_BYTES = 3 * Long.BYTES;

  private Records() {}

  static Serde<Sums> sums() {
    return Serdes.serdeFrom(
        (topic, sums) ->
            sums == null
                ? null
                : ByteBuffer.allocate(SUMS_BYTES)
                    .putLong(sums.turnover())
                    .putLong(sums.volumeLots())
                    .array(),
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          return new Sums(buffer.getLong(), buffer.getLong());
        });
  }

  static Serde<Gathered> gathered() {
    return Serdes.serdeFrom(
        (topic, gathered) ->
            gathered == null
                ? null
                : ByteBuffer.allocate(GATHERED_BYTES)
                    .putLong(gathered.trades())
                    .putLong(gathered.volumeLots())
                    .putLong(gathered.turnover())
                    .array(),
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          return new Gathered(buffer.getLong(), buffer.getLong(), buffer.getLong());
        });
  }

  static Serde<Trade> trade(int schemaId) {
    return new Framed<>(schemaId) {
      @Override
      Trade read(BinaryDecoder from) throws IOException {
        return new Trade(from.readString(), from.readLong(), from.readLong(), from.readLong());
      }

      @Override
      void write(Trade trade, BinaryEncoder into) {
        throw new UnsupportedOperationException("trades are only read");
      }
    };
  }

  static Serde<Vwap> vwap(int schemaId) {
    return new Framed<>(schemaId) {
      @Override
      Vwap read(BinaryDecoder from) {
        throw new UnsupportedOperationException("prices are only written");
      }

      @Override
      void write(Vwap vwap, BinaryEncoder into) throws IOException {
        into.writeString(vwap.symbol());
        into.writeLong(vwap.timeNs());
        into.writeDouble(vwap.vwap());
        into.writeLong(vwap.volumeLots());
      }
    };
  }

  static Serde<Notional> notional(int schemaId) {
    return new Framed<>(schemaId) {
      @Override
      Notional read(BinaryDecoder from) {
        throw new UnsupportedOperationException("notionals are only written");
      }

      @Override
      void write(Notional notional, BinaryEncoder into) throws IOException {
        into.writeString(notional.symbol());
        into.writeLong(notional.timeNs());
        into.writeLong(notional.notional());
      }
    };
  }

  static Serde<Window> window(int schemaId) {
    return new Framed<>(schemaId) {
      @Override
      Window read(BinaryDecoder from) {
        throw new UnsupportedOperationException("windows are only written");
      }

      @Override
      void write(Window window, BinaryEncoder into) throws IOException {
        into.writeString(window.symbol());
        into.writeLong(window.startNs());
        into.writeLong(window.endNs());
        into.writeLong(window.trades());
        into.writeLong(window.volumeLots());
        into.writeLong(window.vwapTicks());
      }
    };
  }

  static Serde<Hop> hop(int schemaId) {
    return new Framed<>(schemaId) {
      @Override
      Hop read(BinaryDecoder from) throws IOException {
        return new Hop(from.readString(), from.readLong(), from.readLong(), from.readLong());
      }

      @Override
      void write(Hop hop, BinaryEncoder into) throws IOException {
        into.writeString(hop.key());
        into.writeLong(hop.sentTimeNs());
        into.writeLong(hop.priceTicks());
        into.writeLong(hop.sizeLots());
      }
    };
  }
}
