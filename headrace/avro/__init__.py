"""Avro as columns: schemas, their ids, and the Confluent wire format."""
