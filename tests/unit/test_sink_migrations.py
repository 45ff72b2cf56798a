"""Which SQL files are for which server."""

from pathlib import Path

import pytest

from headrace.errors import UsageError
from headrace.sinks.capability import Rung, settle_rung
from headrace.sinks.migrations import read_migrations


def names(folder: Path, rung: Rung) -> list[str]:
    return [migration.path.name for migration in read_migrations("project", folder, rung)]


def write(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).write_text("SELECT 1;", encoding="utf-8")
    return folder


def test_a_file_with_a_rung_is_for_that_rung_only(tmp_path: Path) -> None:
    write(tmp_path, "0002_b.plain.apache.sql", "0001_a.sql", "0002_b.community.sql", "notes.md")

    assert names(tmp_path, Rung.APACHE) == ["0001_a.sql", "0002_b.plain.apache.sql"]
    assert names(tmp_path, Rung.COMMUNITY) == ["0001_a.sql", "0002_b.community.sql"]


@pytest.mark.parametrize("name", ["1_a.sql", "0001-a.sql", "0001_a.gold.sql"])
def test_a_misnamed_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="0001_what"):
        names(write(tmp_path, name), Rung.PLAIN)


def test_two_files_of_one_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="same number"):
        names(write(tmp_path, "0001_a.sql", "0001_b.plain.sql"), Rung.PLAIN)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found none"):
        names(tmp_path / "nowhere", Rung.PLAIN)


def test_a_database_stays_on_the_rung_it_was_made_on() -> None:
    assert settle_rung(Rung.APACHE, None) is Rung.APACHE
    assert settle_rung(Rung.COMMUNITY, Rung.PLAIN) is Rung.PLAIN


def test_a_server_that_offers_less_than_the_tables_need_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'apache'.*'plain'"):
        settle_rung(Rung.PLAIN, Rung.APACHE)
