import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

/**
 * Avro behind Confluent's header, as fast as Avro's own library goes: fields are read and written
 * straight, without a generic record or schema resolution, and one decoder, encoder and buffer
 * serve all records. One stream thread uses it, so nothing of it is shared.
 */
abstract class Framed<T> implements Serde<T>, Serializer<T>, Deserializer<T> {
  private static final int HEADER_BYTES = 5;

  private final byte[] header;
  private final ByteArrayOutputStream written = new ByteArrayOutputStream(128);
  private BinaryDecoder decoder;
  private BinaryEncoder encoder;

  Framed(int schemaId) {
    header = ByteBuffer.allocate(HEADER_BYTES).put((byte) 0).putInt(schemaId).array();
  }

  abstract T read(BinaryDecoder from) throws IOException;

  abstract void write(T value, BinaryEncoder into) throws IOException;

  @Override
  public T deserialize(String topic, byte[] bytes) {
    if (bytes.length < HEADER_BYTES
        || !Arrays.equals(bytes, 0, HEADER_BYTES, header, 0, HEADER_BYTES)) {
      throw new SerializationException("expected Confluent's header and the schema's id");
    }
    int length = bytes.length - HEADER_BYTES;
    decoder = DecoderFactory.get().binaryDecoder(bytes, HEADER_BYTES, length, decoder);
    try {
      return read(decoder);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  @Override
  public byte[] serialize(String topic, T value) {
    written.reset();
    written.writeBytes(header);
    encoder = EncoderFactory.get().directBinaryEncoder(written, encoder);
    try {
      write(value, encoder);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    return written.toByteArray();
  }

  @Override
  public Serializer<T> serializer() {
    return this;
  }

  @Override
  public Deserializer<T> deserializer() {
    return this;
  }

  @Override
  public void configure(java.util.Map<String, ?> settings, boolean isKey) {}

  @Override
  public void close() {}
}
