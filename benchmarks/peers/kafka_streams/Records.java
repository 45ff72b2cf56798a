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

  private static final int SUMS_BYTES = 2 * Long.BYTES;

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
}
