"""What counts as other code."""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from scconv_lab.run_folder import source_code
from scconv_lab.run_folder.source_code import changed_sources, source_hashes

PLAIN = {"net": {"class_path": "scconv_lab.models.ResNet"}, "optimizer": {"class_path": "torch.optim.SGD"}}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own: a unit, which imports a module and a package, beside a module that nobody imports."""
    (tmp_path / "ownpack/inner").mkdir(parents=True)
    (tmp_path / "ownpack/__init__.py").write_text("")
    (tmp_path / "ownpack/inner/__init__.py").write_text("from ..sides import right\n")
    (tmp_path / "ownpack/sides.py").write_text("right = 1\n")
    (tmp_path / "ownunit.py").write_text("import torch\nimport ownhelp\n\n\ndef later():\n    import ownpack.inner\n")
    (tmp_path / "ownhelp.py").write_text("factor = 2\n")
    (tmp_path / "ownother.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("own")]:
        del sys.modules[name]


def unit(class_path: str) -> dict[str, object]:
    return PLAIN | {"surgery": {"unit": {"class_path": class_path, "init_args": {}}}}


def test_the_lab_and_what_is_installed_is_one_entry() -> None:
    assert source_hashes(PLAIN) == source_hashes({})
    assert list(source_hashes(PLAIN)) == ["scconv_lab"]


def test_ones_own_modules_count_with_all_that_they_import(own: Path) -> None:
    modules = ["ownhelp", "ownpack", "ownpack.inner", "ownpack.sides", "ownunit"]
    assert sorted(source_hashes(unit("ownunit.Mine"))) == [*modules, "scconv_lab"]


@pytest.mark.parametrize("file", ["ownunit.py", "ownhelp.py", "ownpack/sides.py"])
def test_every_edit_differs(own: Path, file: str) -> None:
    seen = [source_hashes(unit("ownunit.Mine"))]
    for text in ("# one edit\n", "# another\n"):
        (own / file).write_text(text)
        seen.append(source_hashes(unit("ownunit.Mine")))
    assert all(changed_sources(a, b) for a, b in pairwise(seen))
    assert file.removesuffix(".py").replace("/", ".") in changed_sources(seen[0], seen[1])


def test_what_nobody_imports_does_not_count(own: Path) -> None:
    before = source_hashes(unit("ownunit.Mine"))
    (own / "ownother.py").write_text("x = 1\n")
    assert changed_sources(before, source_hashes(unit("ownunit.Mine"))) == []


@pytest.mark.parametrize(
    "config",
    [
        {"trainer": {"callbacks": [{"class_path": "ownhelp.Callback"}]}},
        {"surgery": {"sites": {"any": [{"predicate": "ownhelp.pick"}]}}},
        {"data": {"class_path": "ownhelp.Data", "init_args": {"inner": {"class_path": "ownpack.X"}}}},
    ],
)
def test_callbacks_predicates_and_what_is_nested_count(own: Path, config: dict[str, object]) -> None:
    assert "ownhelp" in source_hashes(config)


def test_the_labs_own_edits_count_where_they_can_change_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("nn", "sweeps"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "x.py").write_text("")
    monkeypatch.setattr(source_code, "_LAB", tmp_path)
    before = source_hashes({})
    (tmp_path / "sweeps/x.py").write_text("edited")
    assert source_hashes({}) == before
    (tmp_path / "nn/x.py").write_text("edited")
    assert changed_sources(before, source_hashes({})) == ["scconv_lab"]


def test_a_module_that_is_not_there_counts_as_gone(own: Path) -> None:
    before = source_hashes(unit("ownunit.Mine"))
    sys.modules.pop("ownunit", None)
    (own / "ownunit.py").unlink()
    assert "ownunit" in changed_sources(before, source_hashes(unit("ownunit.Mine")))
