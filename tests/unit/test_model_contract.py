"""A bundle that does not fit is refused before it predicts anything, and says how to mend it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from headrace.avro.schema import load_schema
from headrace.errors import ContractError
from headrace.inference import InputField, Model, fingerprint, load_models, read_contract
from models.bundle import read_card
from tests.binance_records import SCHEMAS

BUNDLE = Path(__file__).parents[2] / "models" / "direction"
FEATURE_FIELDS = load_schema(SCHEMAS, "feature_vector.v1").fields
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name in ("model.onnx", "contract.json"):
        (tmp_path / name).write_bytes((BUNDLE / name).read_bytes())
    return tmp_path


def edit(bundle: Path, change: Edit) -> None:
    path = bundle / "contract.json"
    contract = json.loads(path.read_text())
    change(contract)
    path.write_text(json.dumps(contract))


def replace_model(bundle: Path, content: bytes) -> None:
    (bundle / "model.onnx").write_bytes(content)
    edit(bundle, lambda contract: contract.update(sha256=hashlib.sha256(content).hexdigest()))


def drop_last_input(contract: dict[str, Any]) -> None:
    del contract["inputs"][-1]


def rename_input(contract: dict[str, Any]) -> None:
    contract["inputs"][0]["name"] = "queue_balance"


def retype_input(contract: dict[str, Any]) -> None:
    contract["inputs"][0]["type"] = "long"


def swap_inputs(contract: dict[str, Any]) -> None:
    contract["inputs"][:2] = contract["inputs"][1::-1]


def test_the_reference_bundle_fits_the_feature_schema() -> None:
    model = Model.load(BUNDLE)

    model.check(FEATURE_FIELDS)

    assert model.name == "direction.v1"
    assert model.contract.horizon_ns == 10**9
    assert "## Limits" in read_card(BUNDLE)


def test_an_added_field_does_not_matter() -> None:
    Model.load(BUNDLE).check([*FEATURE_FIELDS, {"name": "new", "type": "double"}])


@pytest.mark.parametrize("missing", ["model.onnx", "contract.json"])
def test_a_missing_file_is_named(bundle: Path, missing: str) -> None:
    (bundle / missing).unlink()

    with pytest.raises(ContractError, match=rf"{missing}: cannot be read.*train the model"):
        Model.load(bundle)


def test_a_card_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"card\.md: cannot be read"):
        read_card(tmp_path)


def test_another_model_than_the_contracts_is_refused(bundle: Path) -> None:
    with (bundle / "model.onnx").open("ab") as file:
        file.write(b"\0")

    with pytest.raises(ContractError, match=r"expected sha256 [0-9a-f]{64}.*found [0-9a-f]{64}"):
        Model.load(bundle)


def test_a_model_that_is_not_onnx_is_refused(bundle: Path) -> None:
    replace_model(bundle, b"this is no graph")

    with pytest.raises(ContractError, match="expected an ONNX model"):
        Model.load(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda contract: contract.pop("horizon_ns"), "horizon_ns"),
        (lambda contract: contract.update(horizon_ns=0), "horizon above 0"),
        (lambda contract: contract.update(dtype="float32"), "expected float32.*tensor.double"),
        (lambda contract: contract.update(input="data"), "expected one input data"),
        (lambda contract: contract.update(output="label"), "output label"),
        (lambda contract: contract.update(outputs=["up"]), "expected rows of 1"),
        (drop_last_input, "expected rows of 5"),
    ],
)
def test_a_contract_that_differs_from_the_model_is_refused(
    bundle: Path, change: Edit, message: str
) -> None:
    edit(bundle, change)

    with pytest.raises(ContractError, match=message):
        Model.load(bundle)


def test_a_contract_that_is_not_json_is_refused(bundle: Path) -> None:
    (bundle / "contract.json").write_text("{")

    with pytest.raises(ContractError, match=r"contract\.json: expected a model's contract"):
        Model.load(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_input, "input queue_balance: expected double.*found no such field"),
        (retype_input, "input queue_imbalance: expected long.*found double"),
        (swap_inputs, "expected the fingerprint .* contract.json was edited"),
    ],
)
def test_a_contract_that_differs_from_the_features_is_refused(
    bundle: Path, change: Edit, message: str
) -> None:
    edit(bundle, change)
    model = Model.load(bundle)

    with pytest.raises(ContractError, match=message):
        model.check(FEATURE_FIELDS)


def rename_output(contract: dict[str, Any]) -> None:
    contract["outputs"][0] = "chance"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_input, "model other.v1: input queue_balance"),
        (rename_output, "model other.v1: expected the outputs of direction.v1.* probability_down"),
        (lambda contract: contract.update(name="direction"), "name and version of its own"),
    ],
)
def test_a_challenger_that_could_not_take_the_place_of_the_model_is_refused(
    bundle: Path, change: Edit, message: str
) -> None:
    edit(bundle, lambda contract: contract.update(name="other"))
    edit(bundle, change)

    with pytest.raises(ContractError, match=message):
        load_models(bundle.parent, [BUNDLE, bundle], {"feature_vector.v1": FEATURE_FIELDS})


def test_a_model_is_held_against_the_schema_it_was_trained_on_alone(bundle: Path) -> None:
    """A step may read what operators say beside the features."""
    edit(bundle, lambda contract: contract.update(name="other"))
    schemas = {"word.v1": [{"name": "word", "type": "string"}], "feature_vector.v1": FEATURE_FIELDS}

    models = load_models(bundle.parent, [BUNDLE, bundle], schemas)

    assert [model.name for model in models] == ["direction.v1", "other.v1"]
    with pytest.raises(ContractError, match="no such field"):
        load_models(bundle.parent, [BUNDLE], {"word.v1": schemas["word.v1"]})


def test_a_fingerprint_tells_order_and_type() -> None:
    prints = {
        fingerprint([("a", "long"), ("b", "double")]),
        fingerprint([("b", "double"), ("a", "long")]),
        fingerprint([("a", "double"), ("b", "double")]),
    }

    assert len(prints) == 3


def test_inputs_of_every_type_are_fed_as_numbers() -> None:
    """Doubles alone take another way than a mixture does."""
    types = {"size_lots": "long", "mid": "double", "quote_valid": "boolean", "flow": "float"}
    records = pa.RecordBatch.from_pydict(
        {
            "mid": pa.array([0.5, None]),
            "flow": pa.array([0.25, 2.0], pa.float32()),
            "quote_valid": pa.array([True, False]),
            "size_lots": pa.array([7, 2**53 - 1]),
        }
    )

    mixed = fed_with(types).inputs(records)
    doubles = fed_with({"mid": "double"}).inputs(records)

    np.testing.assert_array_equal(mixed, [[7, 0.5, 1, 0.25], [2**53 - 1, np.nan, 0, 2]])
    np.testing.assert_array_equal(doubles, [[0.5], [np.nan]])


def fed_with(types: Mapping[str, Any]) -> Model:
    """Return a model that is fed these fields, and cannot be run."""
    contract = read_contract(BUNDLE)
    fields = tuple(InputField(name, kind) for name, kind in types.items())
    return Model(msgspec.structs.replace(contract, inputs=fields), cast("Any", None))
