"""State of a step: keyed tables in memory, on disk in RocksDB, and in a compacted changelog."""
