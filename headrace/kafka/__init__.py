"""The way to Kafka, in whole batches; nothing else imports a client of it."""
