"""What fuzzing found in settings, contracts and a home's notes: traces instead of words."""

from pathlib import Path

import pytest

from headrace.cli.connect import read_endpoints
from headrace.errors import ContractError, UsageError
from headrace.inference import read_contract
from headrace.servers.home import Home, _process
from headrace.servers.ports import choose
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


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"{", b""], ids=range(4))
def test_record_of_servers_that_is_no_json_is_moved_aside(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_bytes(content)

    assert Home(tmp_path).remembered("kafka") == {}
    assert not (tmp_path / "servers.json").exists()


@pytest.mark.parametrize("pid", [-5, 0, 2**40, 10**30])
def test_pid_that_can_be_none_is_no_process(pid: int) -> None:
    assert _process(pid, 1.0) is None


@pytest.mark.parametrize("remembered", [99_999, -1, 10**30])
def test_remembered_port_that_is_none_is_drawn_anew(remembered: int) -> None:
    assert 20_000 <= choose("HEADRACE_KAFKA_PORT", None, remembered, set()) < 32_000


@pytest.mark.parametrize(
    "content",
    [
        b"", b'{"pid":1', b"[]", b'{"pid":"x"}', b'{"pid":1}', b"[" * 100_000,
        b'{"pid":1,"kafka":5,"postgres":"","redis":""}', b'{"pid":%d}' % 10**30,
    ],
    ids=range(8),
)  # fmt: skip
def test_note_of_a_run_that_broke_off_is_said_to_the_person(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "endpoints.json").write_bytes(content)

    with pytest.raises(UsageError, match="expected where a run's servers listen"):
        read_endpoints(tmp_path)
