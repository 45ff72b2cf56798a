"""The table of a step that uses operators: one object an operator, by the step's name for it."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from headrace.errors import InvariantError
from headrace.state.tables import ObjectTable


class OperatorState(Protocol):
    """What an operator remembers in one partition."""

    def dump(self) -> Mapping[int, bytes | None]:
        """Return the pages that changed since the last dump or load."""


class Operator(Protocol):
    """What can keep its state in a step's table."""

    @property
    def layout(self) -> str:
        """Return what tells this way of writing the state from another."""

    def new(self) -> OperatorState:
        """Return the state before the first record."""

    def load(self, name: str, pages: Mapping[int, bytes]) -> OperatorState:
        """Return the state that these pages were dumped from."""


class OperatorsCodec:
    """Writes each operator's state as the operator says."""

    def __init__(self, operators: Mapping[str, Operator]) -> None:
        self._operators = dict(operators)
        self.layout = json.dumps({name: one.layout for name, one in operators.items()})

    def new(self, key: str) -> OperatorState:
        """Return the state of an operator before the first record."""
        return self._operator(key).new()

    def dump(self, state: OperatorState) -> Mapping[int, bytes | None]:
        """Return the pages that changed since the last dump or load."""
        return state.dump()

    def load(self, key: str, pages: Mapping[int, bytes]) -> OperatorState:
        """Return the state that these pages were dumped from."""
        return self._operator(key).load(key, pages)

    def _operator(self, key: str) -> Operator:
        if key not in self._operators:
            raise InvariantError(
                f"operators of a step: expected one of {', '.join(self._operators)}, found "
                f"{key!r}; name it in operator_table, or raise the table's version"
            )
        return self._operators[key]


def operator_table(name: str, operators: Mapping[str, Operator]) -> ObjectTable[Any]:
    """Return the table `owner.noun_by_key.vN` of a step that uses these operators.

    The step's agent gets at the state of one by its name: `state.edit(name)`.
    """
    return ObjectTable(name, codec=OperatorsCodec(operators))
