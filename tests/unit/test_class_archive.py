"""Where an archive of Kafka's classes is looked for, and how many are kept."""

import os
from pathlib import Path

import pytest

from headrace.servers import class_archive
from headrace.servers.class_archive import ARCHIVES_MAX, ClassArchive
from headrace.servers.jars import kafka_folder


@pytest.fixture
def jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    java = tmp_path / "jdk" / "bin" / "java"
    (tmp_path / "jdk" / "lib").mkdir(parents=True)
    (tmp_path / "jdk" / "lib" / "modules").write_bytes(b"modules")
    monkeypatch.setattr(class_archive, "java_program", lambda: java)
    found = [tmp_path / name for name in ("kafka.jar", "log.jar")]
    for jar in found:
        jar.write_bytes(b"classes")
    kafka_folder(tmp_path).mkdir()
    return found


def added(cache: Path, jars: list[Path], second: int) -> ClassArchive:
    """Add an archive that was made at that second."""
    made = cache / "made"
    made.write_bytes(b"archive")
    archive = ClassArchive(cache, jars)
    archive.add(made)
    os.utime(archive.path, (second, second))
    return archive


def test_what_is_not_there_is_not_asked_for(tmp_path: Path, jars: list[Path]) -> None:
    assert ClassArchive(tmp_path, jars).options() == ()


def test_what_was_made_is_used_by_the_next(tmp_path: Path, jars: list[Path]) -> None:
    archive = added(tmp_path, jars, 1)

    option, *_ = ClassArchive(tmp_path, jars).options()

    assert option == f"-XX:AOTCache={archive.path}"
    assert archive.path.read_bytes() == b"archive"


def test_other_jars_want_another(tmp_path: Path, jars: list[Path]) -> None:
    added(tmp_path, jars, 1)

    jars[0].write_bytes(b"classes of another version")
    assert ClassArchive(tmp_path, jars).options() == ()


def test_another_jdk_wants_another(tmp_path: Path, jars: list[Path]) -> None:
    added(tmp_path, jars, 1)

    (tmp_path / "jdk" / "lib" / "modules").write_bytes(b"other modules")
    assert ClassArchive(tmp_path, jars).options() == ()


def test_the_oldest_of_many_is_forgotten(tmp_path: Path, jars: list[Path]) -> None:
    made = []
    for number in range(ARCHIVES_MAX + 1):
        jars[0].write_bytes(b"x" * number)
        made.append(added(tmp_path, jars, number).path)

    assert [path.is_file() for path in made] == [False, *[True] * ARCHIVES_MAX]
