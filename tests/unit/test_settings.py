"""Settings: what is read, what is refused and how, and that a secret is never shown."""

from pathlib import Path

import pytest

from headrace.errors import UsageError
from headrace.servers.external import _without_secrets, where
from headrace.settings import Settings

SECRET = "hunter2"  # noqa: S105  # what must never be shown


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"HEADRACE_{name.upper()}", raising=False)


def test_everything_is_embedded_by_default() -> None:
    settings = Settings.load()

    assert (settings.kafka, settings.postgres, settings.redis) == (None, None, None)
    assert settings.home == Path.cwd() / ".headrace"
    assert settings.commit_interval_ms == 100


def test_environment_is_read_and_an_argument_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_KAFKA", "one:9092,two:9093")
    monkeypatch.setenv("HEADRACE_COMMIT_INTERVAL_MS", "250")

    settings = Settings.load(commit_interval_ms=500)

    assert settings.kafka == "one:9092,two:9093"
    assert settings.commit_interval_ms == 500


def test_empty_variable_means_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_REDIS", "")

    assert Settings.load().redis is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("COMMIT_INTERVAL_MS", "0", "greater than or equal to 1"),
        ("COMMIT_INTERVAL_MS", "soon", "valid integer"),
        ("KAFKA", "broker", "host:port"),
        ("KAFKA", "broker:99999", "host:port"),
        ("KAFKA_PORT", "70000", "less than or equal to 65535"),
    ],
)
def test_bad_value_names_variable_expected_and_found(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(f"HEADRACE_{name}", value)

    with pytest.raises(UsageError) as raised:
        Settings.load()

    assert f"HEADRACE_{name}:" in str(raised.value)
    assert expected in str(raised.value)
    assert f"found '{value}'" in str(raised.value)


@pytest.mark.parametrize("name", ["POSTGRES", "REDIS", "SCHEMA_REGISTRY"])
def test_bad_secret_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"HEADRACE_{name}", f"ftp://user:{SECRET}@host/")

    with pytest.raises(UsageError, match=f"HEADRACE_{name}: expected a URL") as raised:
        Settings.load()

    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def test_secrets_are_in_no_representation() -> None:
    settings = Settings.load(
        postgres=f"postgresql://user:{SECRET}@host/db",
        redis=f"redis://:{SECRET}@host:6379/0",
        schema_registry=f"https://user:{SECRET}@host",
    )

    assert SECRET not in repr(settings) + str(settings)


def test_unknown_setting_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"kafak: no such setting; there are .*kafka"):
        Settings.load(kafak="one:9092")


def test_address_shown_holds_no_password() -> None:
    assert where(f"postgresql://user:{SECRET}@host:5432/db?sslmode=require") == "host:5432/db"
    assert where("one:9092,two:9092") == "one:9092,two:9092"


def test_password_is_cut_out_of_an_error_quoted_or_not() -> None:
    url = "redis://:p%40ss@host:6379/0"

    assert _without_secrets(f"{url} p%40ss p@ss", url) == "host:6379/0 *** ***"
