"""The report: its page in a browser, its files, and that it needs nothing."""

import csv
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scconv_lab.cli import main
from tests.results.made import PLAIN, S, change, made_sweep, run_of

FILE = "sweeps/small.yaml"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a sweep, learning curves and one run that is missing."""
    monkeypatch.chdir(tmp_path)
    arms = {"plain": {}, "S<&>": {"a": 1}, "C": {"a": 2}}
    content = {"grid": {"arm": arms}, "pairs": [["C", "S<&>"]]}
    made_sweep(tmp_path, {"plain": PLAIN, "S<&>": S, "C": [*PLAIN[:5], None]}, content=content)
    for arm, params, macs in (("S<&>", 1200, 2400), ("C", 500, 900)):
        for seed in range(5):
            change(run_of(tmp_path, arm, seed), params=params, macs=macs, **{"perf/latency_ms": params / 500})
    for arm in arms:
        lines = [
            f'{{"epoch": {e}, "epochs": 3, "step": {e}, "steps": null, "seconds": 1.0, "val/acc1": 0.{e}}}'
            for e in (1, 2, 3)
        ]
        (run_of(tmp_path, arm, 0) / "progress.jsonl").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def page(here: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The text of its page."""
    assert main(["results", FILE, "--report", "report"]) == 0
    assert "report   report/index.html" in capsys.readouterr().err
    return (here / "report/index.html").read_text()


class Outline(HTMLParser):
    """The tags of a page, and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.labels: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "svg":
            self.labels.append(found.get("aria-label"))
        self.links += [
            str(found[key]) for key in ("src", "href") if key in found and not str(found[key]).startswith("#")
        ]


def test_verdicts_come_first_and_every_figure_has_words(page: str) -> None:
    assert "S&lt;&amp;&gt; is better than plain: +3.02 points (98.3 % interval" in page
    assert page.index("is better than plain") < page.index("<svg")
    outline = Outline(page)
    assert len(outline.labels) == page.count("<figure>") == 6
    assert all(label and len(label) > 20 for label in outline.labels)
    assert "S<&>" not in page


def test_it_refers_to_its_own_files_only(here: Path, page: str) -> None:
    for link in Outline(page).links:
        assert (here / "report" / link).is_file(), link
    # names of formats, which nobody fetches
    assert set(re.findall(r"https?://[^\s\"'<>]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_what_does_not_count_stands_in_it(page: str) -> None:
    assert "<li>C, seed 5: not run</li>" in page
    assert "not all planned seeds are there" in page


def test_figures_and_tables_are_files(here: Path, page: str) -> None:
    names = {"forest", "runs", "macs", "params", "latency", "curves"}
    assert {path.stem for path in (here / "report/figures").iterdir()} == names
    for name in names:
        assert (here / f"report/figures/{name}.pdf").read_bytes().startswith(b"%PDF")
        with Image.open(here / f"report/figures/{name}.png") as picture:
            assert picture.width > 800
    rows = list(csv.DictReader((here / "report/tables/contrasts.csv").read_text().splitlines()))
    assert [row["verdict"] for row in rows] == ["better", "cannot tell", "cannot tell"]
    assert r"\toprule" in (here / "report/tables/arms.tex").read_text()


def test_the_same_runs_give_the_same_bytes(here: Path, page: str) -> None:
    before = {path: path.read_bytes() for path in (here / "report").rglob("*") if path.is_file()}
    assert main(["results", FILE, "--report", "report"]) == 0
    assert {path: path.read_bytes() for path in (here / "report").rglob("*") if path.is_file()} == before


def test_a_folder_of_something_else_is_left_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", FILE, "--report", "runs"]) == 2
    assert "--report runs holds something else than a report" in capsys.readouterr().err
    assert main(["results", FILE, "--report", FILE]) == 2


def test_an_axis_of_numbers_has_a_curve(here: Path) -> None:
    grid = {"surgery.unit.alpha": [0.25, 0.5, 0.75]}
    values = {f"alpha={alpha}": PLAIN for alpha in (0.25, 0.5, 0.75)}
    made_sweep(here, values, content={"grid": grid, "contrasts": {"axis": "alpha", "reference": 0.5}})
    assert main(["results", FILE, "--report", "report"]) == 0
    assert "test/acc1 along alpha" in (here / "report/index.html").read_text()


def test_three_hundred_runs_are_below_two_megabytes(here: Path) -> None:
    arms = {f"arm{index}": {"a": index} for index in range(30)}
    values = np.random.default_rng(0).normal(0.9, 0.002, (30, 10))
    made_sweep(
        here,
        {arm: values[index].tolist() for index, arm in enumerate(arms)},
        content={"grid": {"arm": arms}, "seeds": [*range(10)], "contrasts": {"axis": "arm", "reference": "arm0"}},
    )
    assert main(["results", FILE, "--report", "report"]) == 0
    assert (here / "report/index.html").stat().st_size < 2_000_000


def in_browser(page: Path, script: str = "", *, width: int = 1200) -> tuple[str, str]:
    """The document after a script, and the errors of the console; the network is cut."""
    assert BROWSER is not None
    copy = page.with_name("copy.html")
    copy.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--virtual-time-budget=3000",
    ]
    cut = "--host-resolver-rules=MAP * ~NOTFOUND"
    command = [BROWSER, *options, cut, f"--window-size={width},900", "--dump-dom", copy.as_uri()]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return finished.stdout, "\n".join(line for line in finished.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is here")
class TestBrowser:
    def test_it_loads_without_an_error(self, here: Path, page: str) -> None:
        _, errors = in_browser(here / "report/index.html")
        assert errors == ""
        assert "CONSOLE" in in_browser(here / "report/index.html", "console.error('seen')")[1]

    def test_a_click_sorts_and_another_turns_round(self, here: Path, page: str) -> None:
        clicks = "const head = [...document.querySelectorAll('th button')].find(b => b.textContent === 'difference');"
        read = "document.title = [...head.closest('table').tBodies[0].rows].map(r => r.cells[0].textContent).join();"
        for times, order in ((1, "C,C,S&lt;&amp;&gt;"), (2, "S&lt;&amp;&gt;,C,C")):
            document, errors = in_browser(here / "report/index.html", clicks + "head.click();" * times + read)
            assert errors == ""
            assert f"<title>{order}</title>" in document

    def test_an_arm_can_be_hidden(self, here: Path, page: str) -> None:
        hide = "document.querySelector('#arms input[value=C]').click();"
        count = "document.title = document.querySelectorAll('tr[data-arm=C]:not([hidden])').length;"
        assert "<title>0</title>" in in_browser(here / "report/index.html", hide + count)[0]

    @pytest.mark.parametrize("width", [500, 1200])
    def test_nothing_but_a_table_scrolls_sideways(self, here: Path, page: str, width: int) -> None:
        script = "document.title = document.documentElement.scrollWidth <= innerWidth;"
        assert "<title>true</title>" in in_browser(here / "report/index.html", script, width=width)[0]
