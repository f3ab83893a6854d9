"""A data file's MD5 sum is computed once, and again when the file is another."""

import gzip
import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from scconv_lab.data import checksums
from scconv_lab.data.checksums import STATE, md5_of, require_md5
from scconv_lab.errors import UserError

CONTENT = b"what a data file holds"
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An old file: the sums of files as young as a clock's tick are not kept."""
    path = tmp_path / "root" / "set" / "batch"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    age(path)
    return path


def age(path: Path, seconds: int = 60) -> None:
    then = time.time_ns() - seconds * 1_000_000_000
    os.utime(path, ns=(then, then))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows with each sum that is computed."""
    calls: list[object] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *arguments: calls.append(1) or digest(*arguments))
    return calls


def root(file: Path) -> Path:
    return file.parent.parent


def test_a_sum_is_computed_once(file: Path, computed: list[object]) -> None:
    assert [md5_of(file, root=root(file)) for _ in range(3)] == [MD5] * 3
    assert len(computed) == 1
    assert list(json.loads((root(file) / STATE).read_text())) == ["set/batch"]
    assert {path.name for path in root(file).iterdir()} == {"set", STATE}


@pytest.mark.parametrize("change", ["longer", "same length", "same content"])
def test_a_changed_file_is_read_again(file: Path, computed: list[object], change: str) -> None:
    md5_of(file, root=root(file))
    content = {"longer": CONTENT + b"x", "same length": CONTENT[::-1]}.get(change, CONTENT)
    file.unlink()
    file.write_bytes(content)
    age(file, 30)
    assert md5_of(file, root=root(file)) == hashlib.md5(content).hexdigest()
    assert len(computed) == 2
    md5_of(file, root=root(file))
    assert len(computed) == 2


def test_a_file_that_may_change_under_the_same_time_stamp_is_not_remembered(file: Path, computed: list[object]) -> None:
    file.write_bytes(CONTENT)
    for _ in range(2):
        md5_of(file, root=root(file))
    assert len(computed) == 2
    assert not (root(file) / STATE).exists()


def test_what_a_zipped_file_holds_counts(file: Path) -> None:
    zipped = file.with_name("batch.gz")
    zipped.write_bytes(gzip.compress(CONTENT))
    assert md5_of(zipped, root=root(file)) == MD5


def test_files_keep_their_sums_beside_each_other(file: Path, tmp_path: Path, computed: list[object]) -> None:
    other = tmp_path / "elsewhere"
    other.write_bytes(b"other")
    age(other)
    for _ in range(2):
        assert md5_of(file, root=root(file)) == MD5
        assert md5_of(other, root=root(file)) == hashlib.md5(b"other").hexdigest()
    assert len(computed) == 2


@pytest.mark.parametrize("state", ["", "[]", "{", '{"set/batch": 3}', '{"set/batch": {"md5": "x"}}', "\x00"])
def test_a_broken_state_is_computed_anew(file: Path, state: str) -> None:
    (root(file) / STATE).write_text(state)
    assert md5_of(file, root=root(file)) == MD5
    assert json.loads((root(file) / STATE).read_text())["set/batch"]["md5"] == MD5


@pytest.mark.parametrize("error", [PermissionError, OSError])
def test_a_read_only_root_does_without(
    file: Path, computed: list[object], error: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(checksums, "TemporaryDirectory", refuse)  # the tests may run as root, who may write anywhere
    assert [md5_of(file, root=root(file)) for _ in range(2)] == [MD5] * 2
    assert len(computed) == 2


def test_a_missing_root_is_not_made(file: Path, tmp_path: Path) -> None:
    assert md5_of(file, root=tmp_path / "nowhere") == MD5
    assert not (tmp_path / "nowhere").exists()


def test_the_message_names_the_file_and_the_remedy(file: Path) -> None:
    require_md5(file, MD5, root=root(file), remedy="fetch it.")
    zipped = file.with_name("batch.gz")
    zipped.write_bytes(gzip.compress(CONTENT)[:-9])
    cases = {
        file.with_name("nowhere"): "is missing: fetch it.",
        zipped: "cannot be read (",
        file: f"has another MD5 sum than the original ({MD5}, not 0): fetch it.",
    }
    for path, state in cases.items():
        with pytest.raises(UserError) as error:
            require_md5(path, "0", root=root(file), remedy="fetch it.")
        assert str(error.value).startswith(f"{path} {state}")
        assert str(error.value).endswith("fetch it.")
