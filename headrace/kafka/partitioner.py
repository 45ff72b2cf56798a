"""Which partition a key belongs to, as Java's default partitioner has it."""

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
WORD = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return the 32-bit MurmurHash2 of these bytes, unsigned.

    Source:  Austin Appleby's MurmurHash2, with the seed Kafka's Java client uses.
    """
    mixed = SEED ^ len(data)
    tail = len(data) & ~3
    for start in range(0, tail, 4):
        word = int.from_bytes(data[start : start + 4], "little") * MULTIPLIER & WORD
        word = (word ^ word >> 24) * MULTIPLIER & WORD
        mixed = (mixed * MULTIPLIER & WORD) ^ word
    if tail < len(data):
        mixed = (mixed ^ int.from_bytes(data[tail:], "little")) * MULTIPLIER & WORD
    mixed = (mixed ^ mixed >> 13) * MULTIPLIER & WORD
    return mixed ^ mixed >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key among so many."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
