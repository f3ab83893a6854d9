"""How far a run has come."""

import json

import pytest

from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.progress import Progress, progress_of
from tests.runs import Run as Printed


class TestProgress:
    """How far a run has come, by what its processes wrote."""

    def write(self, run: RunFolder, *lines: dict[str, object] | str) -> Progress:
        run.path.mkdir(parents=True, exist_ok=True)
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        run.progress.write_text("\n".join(texts))
        return progress_of(run)

    def line(self, epoch: int, **changed: object) -> dict[str, object]:
        whole = {
            "epoch": epoch,
            "epochs": 15,
            "step": 19 * epoch,
            "steps": None,
            "seconds": 2.0,
            "val/acc1": epoch / 20,
        }
        return whole | changed

    def test_it_is_what_a_run_printed(self, run: RunFolder, quick_run: Printed) -> None:
        lines = RunFolder(quick_run.folder).progress.read_text().splitlines()
        for epoch in (1, 9, 15):
            progress = self.write(run, *lines[:epoch])
            assert (progress.epoch, progress.epochs, str(progress)) == (epoch, 15, f"{epoch}/15")
            assert [round(value, 4) for value in progress.accuracies.values()] == quick_run.console("val/acc1")[:epoch]
            assert progress.seconds_left == pytest.approx((15 - epoch) * sum(progress.seconds) / epoch)

    def test_before_the_first_epoch_nothing_is_known(self, run: RunFolder) -> None:
        assert progress_of(run) == self.write(run) == Progress()
        assert Progress().seconds_left is None
        assert str(Progress()) == ""

    def test_an_epoch_done_twice_counts_as_it_was_last(self, run: RunFolder) -> None:
        progress = self.write(run, self.line(1), self.line(2), self.line(1, **{"val/acc1": 0.125}))
        assert progress.accuracies == {1: 0.125, 2: 0.1}
        assert progress.epoch == 2

    def test_an_epoch_without_validation_has_no_accuracy(self, run: RunFolder) -> None:
        assert self.write(run, self.line(1), self.line(2, **{"val/acc1": None})).accuracies == {1: 0.05}

    def test_a_run_that_steps_end_is_shown_in_steps(self, run: RunFolder) -> None:
        progress = self.write(run, self.line(3, epochs=None, step=50, steps=200))
        assert str(progress) == "step 50/200"
        assert progress.seconds_left == pytest.approx(6.0)

    def test_the_sooner_of_both_ends_it(self, run: RunFolder) -> None:
        assert self.write(run, self.line(3, epochs=30, step=50, steps=100)).seconds_left == pytest.approx(2.0)

    @pytest.mark.parametrize(
        "damaged", ["", "{", "[]", "3", "\0", '{"epoch": 2}', '{"epoch": "x"}', '{"epoch": 3, "ep']
    )
    def test_a_damaged_line_is_passed_over(self, run: RunFolder, damaged: str) -> None:
        assert self.write(run, damaged, self.line(1), damaged).epoch == 1
