"""The graph of the takeover benchmark."""
