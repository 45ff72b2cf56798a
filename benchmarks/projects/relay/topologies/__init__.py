"""The graph of the latency benchmark."""
