"""What fuzzing found in settings and contracts: values that ended in a trace instead of words."""

from pathlib import Path

import pytest

from headrace.errors import ContractError, UsageError
from headrace.inference import read_contract
from headrace.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("home", "~nobody-of-that-name/x"),
        ("cache", "~nobody-of-that-name"),
        ("kafka", "host:٣"),
        ("kafka", "host:" + "1" * 5_000),
        ("schema_registry", "http://["),
        ("schema_registry", "http://"),
        ("schema_registry", "http://host:99999"),
        ("schema_registry", "http://a\x7fb"),
        ("schema_registry", "http://a b"),
    ],
)
def test_value_no_client_could_use_is_refused_when_it_is_read(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"HEADRACE_{name.upper()}: expected") as caught:
        Settings.load(**{name: value})

    assert len(str(caught.value)) < 6_000


@pytest.mark.parametrize(
    "content", [b'{"name":"\xff"}', b"[" * 100_000, b'{"inputs":' + b"[" * 100_000], ids=range(3)
)
def test_contract_that_is_no_json_is_refused_in_words(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "contract.json").write_bytes(content)

    with pytest.raises(ContractError, match="expected a model's contract"):
        read_contract(tmp_path)
