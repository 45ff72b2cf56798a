"""The way to Kafka: librdkafka, in whole batches; nothing else imports its client."""
