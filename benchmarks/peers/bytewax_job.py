"""The jobs in Bytewax, as its guides write them: Kafka source and sink, `stateful_map`, recovery.

Tuned: the sink waits for every batch to be acknowledged, so batches are ten times the default.
State is kept in Bytewax's recovery store (SQLite, a snapshot every 10 s, its default): it has no
changelog in Kafka. One worker in one process.
"""

import os
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from framing import Record, output_writer, trade_reader

BATCH_RECORDS = 10_000
SNAPSHOT_EVERY = timedelta(seconds=10)
SIZE_LOTS_MIN = int(os.environ["BENCH_SIZE_LOTS_MIN"])
BROKERS = [os.environ["BENCH_KAFKA"]]

Sums = tuple[int, int]
read, write = trade_reader(), output_writer()


def keyed_trade(message: KafkaSourceMessage) -> tuple[str, Record]:
    """Return a trade under its symbol."""
    trade = read(message.value)
    return trade["symbol"], trade


def track_vwap(sums: Sums | None, trade: Record) -> tuple[Sums, Record]:
    """Return the sums of a symbol after a trade, and its running price."""
    turnover, volume_lots = sums or (0, 0)
    turnover += trade["price_ticks"] * trade["size_lots"]
    volume_lots += trade["size_lots"]
    return (turnover, volume_lots), {
        "symbol": trade["symbol"],
        "time_ns": trade["time_ns"],
        "vwap": turnover / volume_lots,
        "volume_lots": volume_lots,
    }


def notional(message: KafkaSourceMessage) -> tuple[str, Record] | None:
    """Return what a trade was worth, if it is large."""
    trade = read(message.value)
    if trade["size_lots"] <= SIZE_LOTS_MIN:
        return None
    return trade["symbol"], {
        "symbol": trade["symbol"],
        "time_ns": trade["time_ns"],
        "notional": trade["price_ticks"] * trade["size_lots"],
    }


def message(keyed: tuple[str, Record]) -> KafkaSinkMessage:
    """Return a record as the sink takes it."""
    symbol, record = keyed
    return KafkaSinkMessage(key=symbol.encode(), value=write(record))


def flow() -> Dataflow:
    """Return the job that the environment names."""
    found = Dataflow(os.environ["BENCH_JOB"])
    source = KafkaSource(
        BROKERS,
        [os.environ["BENCH_INPUT"]],
        batch_size=BATCH_RECORDS,
        add_config={"check.crcs": "true"},
    )
    trades = op.input("trades", found, source)
    if os.environ["BENCH_JOB"] == "vwap":
        keyed = op.stateful_map("vwap", op.map("decode", trades, keyed_trade), track_vwap)
    else:
        keyed = op.filter_map("filter", trades, notional)
    sink = KafkaSink(
        BROKERS,
        os.environ["BENCH_OUTPUT"],
        add_config={
            "acks": "all",
            "enable.idempotence": "true",
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
        },
    )
    op.output("output", op.map("encode", keyed, message), sink)
    return found


def main() -> None:
    """Run it."""
    folder = Path(os.environ["BENCH_STATE"]) / "recovery"
    folder.mkdir()
    init_db_dir(folder, 1)
    cli_main(flow(), epoch_interval=SNAPSHOT_EVERY, recovery_config=RecoveryConfig(folder))


if __name__ == "__main__":
    main()
