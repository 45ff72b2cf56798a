"""What flows: Avro files and topics."""
