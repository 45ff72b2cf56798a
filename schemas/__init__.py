"""What flows: Avro schemas, one record a file, and the topics that carry them."""
