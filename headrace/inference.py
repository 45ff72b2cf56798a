"""Model bundles: an ONNX graph and the contract that says what it is fed and what it answers."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import onnxruntime
import pyarrow as pa
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from headrace.batch import BoolArray, FloatArray, Selection
from headrace.errors import ContractError, InvariantError

CONTRACT_FILE = "contract.json"
MODEL_FILE = "model.onnx"

MATRIX = 2

THREADS = 1
"""Threads inside one call: a worker scales by partitions, and more would fight over its cores."""

_ONNX_TYPES = {"tensor(double)": "float64", "tensor(float)": "float32"}
_LOAD_ERRORS = (
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.InvalidGraph,
    onnx_errors.InvalidProtobuf,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
)


class InputField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field of the features that the model is fed: its Avro type, and whether it may be NaN."""

    name: str
    type: Literal["double", "float", "long", "int", "boolean"]
    nan: bool = False


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `contract.json` says.

    The tensor `input` has a row a record and a column a field of `inputs`, in their order.
    The tensor `output` has a row a record and a column a name of `outputs`.
    `fingerprint` is of the inputs' names and types in `schema`; `sha256` is of `model.onnx`.
    """

    name: str
    version: str
    schema: str
    fingerprint: str
    input: str
    dtype: Literal["float64", "float32"]
    inputs: tuple[InputField, ...]
    output: str
    outputs: tuple[str, ...]
    horizon_ns: int
    sha256: str


class Model:
    """A model that was loaded from its bundle and fits its contract."""

    def __init__(self, contract: Contract, session: onnxruntime.InferenceSession) -> None:
        self.contract = contract
        self._session = session
        self._dtype = np.dtype(contract.dtype)
        self._may_be_nan = np.array([field.nan for field in contract.inputs])
        self._selected = Selection([field.name for field in contract.inputs])
        self._is_double = all(field.type == "double" for field in contract.inputs)
        self._names = pa.repeat(self.name, 1)
        self._horizons = pa.array([contract.horizon_ns], pa.int64())

    @classmethod
    def load(cls, folder: Path) -> "Model":
        """Return the model in a bundle's folder.

        Raises:  ContractError if a file is missing, or the model differs from the contract.
        """
        contract = read_contract(folder)
        model = _read(folder / MODEL_FILE)
        found = hashlib.sha256(model).hexdigest()
        if found != contract.sha256:
            raise ContractError(
                f"{folder / MODEL_FILE}: expected sha256 {contract.sha256}, as {CONTRACT_FILE} "
                f"says, found {found}; train again, or restore the file that belongs to it"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = THREADS
        try:
            session = onnxruntime.InferenceSession(
                model, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except _LOAD_ERRORS as error:
            raise ContractError(
                f"{folder / MODEL_FILE}: expected an ONNX model this runtime can run, "
                f"found {error}; export it again"
            ) from error
        _require_tensor(folder, "input", contract.input, len(contract.inputs), session.get_inputs())
        _require_tensor(
            folder, "output", contract.output, len(contract.outputs), session.get_outputs()
        )
        (tensor,) = session.get_inputs()
        if _ONNX_TYPES.get(tensor.type) != contract.dtype:
            raise ContractError(
                f"{folder}: input {contract.input}: expected {contract.dtype}, as {CONTRACT_FILE} "
                f"says, found {tensor.type}; export the model again"
            )
        return cls(contract, session)

    @property
    def name(self) -> str:
        """Return name and version, as predictions carry them."""
        return f"{self.contract.name}.v{self.contract.version}"

    def check(self, schema_fields: Sequence[Mapping[str, Any]]) -> None:
        """Refuse features that lack an input of the model, or have it under another type.

        `schema_fields` are the fields of the Avro schema the model's step reads.
        Raises:  ContractError naming the field, what is expected, found, and how to mend it.
        """
        types = {field["name"]: field["type"] for field in schema_fields}
        for field in self.contract.inputs:
            if types.get(field.name) != field.type:
                found = types.get(field.name, "no such field")
                raise ContractError(
                    f"model {self.name}: input {field.name}: expected {field.type} as in schema "
                    f"{self.contract.schema}, found {found}; train the model again on these "
                    "features, or restore the field"
                )
        found = fingerprint([(field.name, types[field.name]) for field in self.contract.inputs])
        if found != self.contract.fingerprint:
            raise ContractError(
                f"model {self.name}: inputs: expected the fingerprint {self.contract.fingerprint} "
                f"of schema {self.contract.schema}, found {found}: {CONTRACT_FILE} was edited; "
                "restore it, or train the model again"
            )

    def inputs(self, columns: pa.RecordBatch) -> FloatArray:
        """Return what the model is fed of these records.

        Shapes:  (n, len(contract.inputs)) float64.
        """
        if self._is_double:
            # In one call: for a single record, calls are all that is paid for.
            matrix = self._selected.of(columns).to_tensor(null_to_nan=True, row_major=True)
            return np.asarray(matrix.to_numpy(), np.float64)
        fed = np.empty((columns.num_rows, len(self.contract.inputs)))
        for index, field in enumerate(self.contract.inputs):
            fed[:, index] = columns.column(field.name).to_numpy(zero_copy_only=False)
        return fed

    def refused(self, inputs: FloatArray) -> BoolArray:
        """Return which inputs are not finite though the contract wants them so.

        Shapes:  (n, len(contract.inputs)) in and out.
        """
        refused: BoolArray = ~np.isfinite(inputs) & ~(np.isnan(inputs) & self._may_be_nan)
        return refused

    def run(self, inputs: FloatArray) -> FloatArray:
        """Return the model's answers; a row's does not depend on the rows beside it.

        Shapes:  (n, len(contract.inputs)) to (n, len(contract.outputs)) float64.
        """
        if not len(inputs):
            return np.empty((0, len(self.contract.outputs)))
        fed = inputs.astype(self._dtype, copy=False)
        (answers,) = self._session.run([self.contract.output], {self.contract.input: fed})
        if answers.shape != (len(inputs), len(self.contract.outputs)):
            raise InvariantError(
                f"model {self.name}: expected answers of shape "
                f"{(len(inputs), len(self.contract.outputs))}, found {answers.shape}"
            )
        return np.asarray(answers, np.float64)

    def names(self, count: int) -> pa.StringArray:
        """Return the model's name for each of so many records."""
        names = self._names
        if len(names) != count:
            names = self._names = pa.repeat(self.name, count)
        return names

    def horizons_ns(self, count: int) -> pa.Int64Array:
        """Return how far ahead the model looks for each of so many records."""
        horizons = self._horizons
        if len(horizons) != count:
            horizon = pa.scalar(self.contract.horizon_ns, pa.int64())
            horizons = self._horizons = pa.repeat(horizon, count)
        return horizons

    def predict(self, columns: pa.RecordBatch) -> FloatArray:
        """Return the model's answers for these records.

        Shapes:  (n, len(contract.outputs)) float64.
        """
        return self.run(self.inputs(columns))


def load_models(
    folder: Path, bundles: Sequence[Path], schemas: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[Model, ...]:
    """Return the models of a step's bundles in `folder`; each may take the place of the first.

    `schemas` are the fields of what the step reads, by the schema's name.
    Raises:  ContractError naming the first bundle that is damaged, lacks an input or an output, or
             has the name of another.
    """
    models: dict[str, Model] = {}
    for bundle in bundles:
        model = Model.load(folder / bundle)
        named = schemas.get(model.contract.schema)
        for fields in schemas.values() if named is None else [named]:
            model.check(fields)
        first = next(iter(models.values()), model)
        missing = sorted(set(first.contract.outputs) - set(model.contract.outputs))
        if missing:
            raise ContractError(
                f"model {model.name}: expected the outputs of {first.name}, whose place it may "
                f"take, found none named {', '.join(missing)}; train it with them, or take "
                f"{bundle} off the step"
            )
        if model.name in models:
            raise ContractError(
                f"{folder / bundle}: expected a name and version of its own, found {model.name} "
                "again: nobody could say which of the two is meant; raise its version"
            )
        models[model.name] = model
    return tuple(models.values())


def read_contract(folder: Path) -> Contract:
    """Return the contract of a bundle.

    Raises:  ContractError if there is none, or it is not one.
    """
    path = folder / CONTRACT_FILE
    try:
        contract = msgspec.json.decode(_read(path), type=Contract)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(
            f"{path}: expected a model's contract, found {error}; train the model again"
        ) from error
    if not contract.inputs or not contract.outputs or contract.horizon_ns <= 0:
        raise ContractError(
            f"{path}: expected inputs, outputs and a horizon above 0; train the model again"
        )
    return contract


def fingerprint(fields: Sequence[tuple[str, Any]]) -> str:
    """Return a digest of fields' names and types in their order."""
    return hashlib.sha256(msgspec.json.encode(fields)).hexdigest()[:16]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ContractError(
            f"{path}: cannot be read: {error.strerror}; a bundle holds {CONTRACT_FILE} and "
            f"{MODEL_FILE}: train the model, or name another folder"
        ) from error


def _require_tensor(folder: Path, what: str, name: str, width: int, found: Sequence[Any]) -> None:
    """Require a tensor of this name and width; the model may answer more than it is asked."""
    tensors = {tensor.name: tensor.shape for tensor in found}
    if what == "input" and set(tensors) != {name}:
        raise ContractError(
            f"{folder}: expected one input {name}, found {sorted(tensors)}; export the model again"
        )
    shape = tensors.get(name)
    if shape is None or len(shape) != MATRIX or shape[1] not in {width, None}:
        raise ContractError(
            f"{folder}: {what} {name}: expected rows of {width}, found {shape or sorted(tensors)}; "
            "export the model again"
        )
