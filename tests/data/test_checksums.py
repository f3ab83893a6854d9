"""A data file has to be the original's."""

import gzip
import hashlib
from pathlib import Path

import pytest

from scconv_lab.data.checksums import require_md5
from scconv_lab.errors import UserError

CONTENT = b"what a data file holds"
MD5 = hashlib.md5(CONTENT).hexdigest()


def test_the_original_passes_zipped_or_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    (tmp_path / "a.gz").write_bytes(gzip.compress(CONTENT))
    for name in ("a", "a.gz"):
        require_md5(tmp_path / name, MD5, remedy="fetch it.")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "a.gz"}


@pytest.mark.parametrize(
    ("name", "content", "state"),
    [
        ("a", None, "is missing"),
        ("a", CONTENT[::-1], "has another MD5 sum than the original"),
        ("a.gz", gzip.compress(CONTENT, mtime=0)[:-9], "cannot be read"),
        ("a.gz", CONTENT, "cannot be read"),
        ("a.gz", gzip.compress(b"other", mtime=0), "has another MD5 sum"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(tmp_path: Path, name: str, content: bytes | None, state: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} {state}.*: fetch it\.$"):
        require_md5(tmp_path / name, MD5, remedy="fetch it.")
