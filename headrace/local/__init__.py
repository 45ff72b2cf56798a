"""A topology in this process, without Kafka: the same chains, routed, in an order that is fixed."""
