"""What a bundle's training hands back, and the reading of its card."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from headrace.errors import ContractError
from headrace.inference import (
    CONTRACT_FILE,
    MODEL_FILE,
    Contract,
    InputField,
    fingerprint,
)

CARD_FILE = "card.md"


@dataclass(frozen=True)
class TrainingReport:
    """What a model was trained on."""

    name: str
    version: str
    examples: Mapping[str, int]
    labels: Sequence[int]
    scales: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)

    def __rich__(self) -> Table:
        """Return the report as a table."""
        table = Table(title=f"{self.name}.v{self.version}: trained on")
        table.add_column("instrument")
        table.add_column("examples", justify="right")
        for instrument, count in self.examples.items():
            table.add_row(instrument, f"{count:,}")
        table.caption = "labels down/flat/up " + "/".join(f"{count:,}" for count in self.labels)
        return table


@dataclass(frozen=True)
class TrainedBundle:
    """The files of a bundle that training made, by name; its card is written by people."""

    files: Mapping[str, bytes]
    report: TrainingReport

    @classmethod
    def of(
        cls,
        model: bytes,
        report: TrainingReport,
        *,
        schema: str,
        tensors: tuple[str, str],
        inputs: Sequence[InputField],
        outputs: tuple[str, ...],
        horizon_ns: int,
    ) -> "TrainedBundle":
        """Return the bundle of an ONNX model of float64 `tensors`, with its contract."""
        contract = Contract(
            name=report.name,
            version=report.version,
            schema=schema,
            fingerprint=fingerprint([(field.name, field.type) for field in inputs]),
            input=tensors[0],
            dtype="float64",
            inputs=tuple(inputs),
            output=tensors[1],
            outputs=outputs,
            horizon_ns=horizon_ns,
            sha256=hashlib.sha256(model).hexdigest(),
        )
        text = msgspec.json.format(msgspec.json.encode(contract), indent=2)
        return cls({MODEL_FILE: model, CONTRACT_FILE: text + b"\n"}, report)


def read_card(folder: Path) -> str:
    """Return the card of a bundle.

    Raises:  ContractError if it has none: a model without a card is not for use.
    """
    path = folder / CARD_FILE
    try:
        return path.read_text()
    except OSError as error:
        raise ContractError(
            f"{path}: cannot be read: {error.strerror}; say there what the model is for"
        ) from error
