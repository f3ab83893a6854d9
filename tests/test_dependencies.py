"""What pyproject.toml and uv.lock promise: public packages, for each Python that is named."""

import re
import tomllib
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from tests.runs import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCK_TEXT = (REPOSITORY / "uv.lock").read_text()
LOCKED = tomllib.loads(LOCK_TEXT)["package"]
VERSIONS = [
    text.rpartition(" ")[2] for text in PROJECT["project"]["classifiers"] if re.search(r"Python :: 3\.\d+$", text)
]
NOT_FOR_LINUX = ("scconv-lab", "pywin32")
LINUX = [*(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)), "manylinux2014_x86_64", "manylinux1_x86_64"]


def test_the_lock_names_public_hosts_only() -> None:
    hosts = set(re.findall(r"https?://[^/\"]+", LOCK_TEXT))
    assert hosts == {"https://pypi.org", "https://files.pythonhosted.org"}


def test_the_versions_of_python_are_those_that_are_required() -> None:
    assert VERSIONS == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["project"]["requires-python"] == ">=3.11"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_package_has_a_wheel_for_linux(version: str) -> None:
    """None is compiled where it is installed."""
    python = tuple(map(int, version.split(".")))
    tags = {*cpython_tags(python, platforms=LINUX), *compatible_tags(python, platforms=LINUX)}
    without = [
        package["name"]
        for package in LOCKED
        if package["name"] not in NOT_FOR_LINUX
        and is_for(package, version)
        and not any(parse_wheel_filename(file["url"].rpartition("/")[2])[3] & tags for file in package["wheels"])
    ]
    assert without == []


def is_for(package: dict[str, Any], version: str) -> bool:
    """Whether a package is resolved for a version of Python; some have two versions in the lock."""
    markers = package.get("resolution-markers", ["python_full_version >= '3'"])
    return any(Marker(marker).evaluate({"python_full_version": f"{version}.0"}) for marker in markers)


def test_what_export_needs_is_an_extra_that_tests_have() -> None:
    base = " ".join(PROJECT["project"]["dependencies"])
    assert "onnx" not in base
    assert {"onnx", "onnxscript", "onnxruntime"} == {
        re.match(r"[\w-]+", text)[0] for text in PROJECT["project"]["optional-dependencies"]["export"]
    }
    assert "scconv-lab[export,report]" in PROJECT["dependency-groups"]["dev"]


def test_uv_run_compiles_nothing() -> None:
    """It says so at each command; .ci/run compiles once."""
    assert "compile-bytecode" not in PROJECT.get("tool", {}).get("uv", {})
