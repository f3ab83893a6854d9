"""Every notebook runs from top to bottom, and is shipped with the outputs of such a run."""

import ast
import os
import shutil
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
INHERITED = {"PYTHONWARNINGS", "MPLBACKEND"}
"""Variables of the caller that change what a notebook prints or draws."""

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def figures(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for output in outputs(notebook) if any(kind.startswith("image/") for kind in output.get("data", {}))]


def complaints(notebook: NotebookNode) -> list[str]:
    """What went to stderr, and errors."""
    return [
        output.get("text") or output.get("evalue", "")
        for output in outputs(notebook)
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def execute(path: Path, folder: Path) -> NotebookNode:
    """Run a copy of a notebook in ``folder``, with this interpreter and this checkout."""
    copy = shutil.copy(path, folder)
    notebook = nbformat.read(copy, as_version=4)
    for cell in code_cells(notebook):
        cell.update(outputs=[], execution_count=None)
    # No kernel folders: what is left is ipykernel's own "python3", which is sys.executable and not a user's other one.
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(notebook, km=manager, timeout=300, resources={"metadata": {"path": str(folder)}})
    env = {name: value for name, value in os.environ.items() if name not in INHERITED}
    env |= {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / ".ipython")}
    client.execute(env=env, cleanup_kc=True)  # shuts the kernel down, also when a cell fails
    return notebook


@pytest.mark.slow
def test_runs(path: Path, tmp_path: Path) -> None:
    notebook = execute(path, tmp_path)
    assert not complaints(notebook)
    shipped = nbformat.read(path, as_version=4)
    assert len(figures(notebook)) == len(figures(shipped)) > 0
    written = {file.name for file in tmp_path.iterdir()} - {path.name, ".ipython"}
    assert not written, "a notebook writes nothing beside itself"


def test_is_shipped_with_the_outputs_of_one_clean_run(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not complaints(notebook)
    assert figures(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert path.stat().st_size < 900 * 1024
    text = path.read_text()
    for machine_path in (str(ROOT), str(Path.home()) + "/", "/tmp/", "site-packages"):
        assert machine_path not in text, f"{machine_path} says where the notebook was run"


def test_defines_no_class(path: Path) -> None:
    for cell in code_cells(nbformat.read(path, as_version=4)):
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.ClassDef), f"{node.name} belongs in the package, where it is tested"
