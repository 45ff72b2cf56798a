"""The jobs of the throughput benchmark."""
