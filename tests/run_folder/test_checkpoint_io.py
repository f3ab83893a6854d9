"""Checkpoint files that are damaged are noticed, named, and passed over for the previous good one."""

import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from scconv_lab.errors import UserError
from scconv_lab.run_folder.checkpoint_io import VerifiedCheckpointIO, load_verified, set_aside
from scconv_lab.run_folder.results import Finished, write_results
from scconv_lab.run_folder.resume import Earlier, find

CONFIG = {"seed_everything": 0, "trainer": {"max_epochs": 3}, "data": {"init_args": {"root": "a"}}}


def content(step: int) -> dict:
    generator = torch.Generator().manual_seed(step)
    return {
        "global_step": step,
        "hyper_parameters": {"net": "x"},
        "state_dict": {f"layer{i}.weight": torch.randn(16, 16, 3, 3, generator=generator) for i in range(4)},
        "optimizer_states": [],
        "lr_schedulers": [],
        "callbacks": {},
        "loops": {},
        "epoch": 0,
    }


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of an unfinished run with checkpoints of steps 10 (previous) and 20 (last)."""
    folder = tmp_path / "runs" / "name" / "20260101-000000"
    for step in (10, 20):
        VerifiedCheckpointIO().save_checkpoint(content(step), folder / "checkpoints" / "last.ckpt")
    (folder / "config.yaml").write_text("seed_everything: 0\ntrainer: {max_epochs: 3}\ndata: {init_args: {root: b}}\n")
    return folder


def mutations() -> Iterator[tuple[str, Callable[[bytes], bytes]]]:
    """200 ways to damage a file: cut at every kind of place, flipped bits, zeroed and overwritten blocks."""
    draw = random.Random(0)
    for share in [0.0, 1e-4, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.9999]:
        yield f"cut at {share:.2%}", lambda raw, share=share: raw[: int(share * len(raw))]
    for lost in [1, 2, 4, 8, 16, 22, 23, 46, 64, 100, 128, 256, 511, 512, 1023, 1024, 2047, 2048, 4095, 4096]:
        yield f"cut by {lost} bytes", lambda raw, lost=lost: raw[:-lost]
    for kept in [1, 2, 4, 30, 64, 100, 511, 512, 513, 4095, 4096, 4097, 8192]:
        yield f"cut to {kept} bytes", lambda raw, kept=kept: raw[:kept]
    for number in range(17):
        at = draw.random()
        yield f"cut at random {number}", lambda raw, at=at: raw[: int(at * len(raw))]
    for number in range(100):
        at, bit = draw.random(), draw.randrange(8)
        yield (
            f"bit {number}",
            lambda raw, at=at, bit=bit: _changed(raw, int(at * len(raw)), lambda b, bit=bit: b ^ 1 << bit),
        )
    for at in [0, 1, 3, 30, -1, -4, -22]:
        yield f"byte {at}", lambda raw, at=at: _changed(raw, at % len(raw), lambda b: b ^ 0xFF)
    for number in range(30):
        at = draw.random() * 0.95
        yield f"block {number}", lambda raw, at=at: _block(raw, int(at * len(raw)))
    yield "doubled", lambda raw: raw + raw
    yield "a byte more", lambda raw: raw + b"\0"
    yield "text", lambda raw: b"not a checkpoint\n"


def _changed(raw: bytes, at: int, change: Callable[[int], int]) -> bytes:
    return raw[:at] + bytes([change(raw[at])]) + raw[at + 1 :]


def _block(raw: bytes, at: int) -> bytes:
    block = bytes(len(raw[at : at + 512]))
    return raw[:at] + (block if raw[at : at + 512] != block else b"\1" * len(block)) + raw[at + 512 :]


def test_200_damages_are_noticed_named_and_passed_over(run: Path, tmp_path: Path) -> None:
    last = run / "checkpoints" / "last.ckpt"
    whole = last.read_bytes()
    seen = 0
    for name, mutate in mutations():
        last.write_bytes(mutate(whole))
        assert last.read_bytes() != whole, name
        with pytest.raises(UserError, match=r"last\.ckpt \([\d,]+ bytes\) does not match last\.ckpt\.sha256"):
            load_verified(last)
        found = find("auto", run.parent, CONFIG)
        assert isinstance(found, Earlier), name
        assert (found.checkpoint.name, found.step) == ("previous.ckpt", 10), name
        assert found.bad == (last,), name
        assert "last.ckpt" in found.why[0]
        seen += 1
    assert seen == 200


def test_a_damage_without_a_checksum_is_never_taken_for_a_checkpoint_of_another_kind(run: Path) -> None:
    """Truncations and foreign content; a bit within a weight needs the checksum."""
    last = run / "checkpoints" / "last.ckpt"
    whole = last.read_bytes()
    (run / "checkpoints" / "last.ckpt.sha256").unlink()
    for name, mutate in mutations():
        if name.startswith(("cut", "text")):
            last.write_bytes(mutate(whole))
            with pytest.raises(UserError, match=r"last\.ckpt is not a readable checkpoint"):
                load_verified(last)


@pytest.mark.parametrize("part", ["optimizer_states", "lr_schedulers", "callbacks", "loops", "global_step", "epoch"])
@pytest.mark.parametrize("spoiled", ["missing", "text", None])
def test_a_checkpoint_that_lacks_a_part_of_the_fit(part: str, spoiled: object, tmp_path: Path) -> None:
    file = tmp_path / "x.ckpt"
    whole = content(10)
    if spoiled == "missing":
        del whole[part]
    else:
        whole[part] = spoiled
    VerifiedCheckpointIO().save_checkpoint(whole, file)
    assert load_verified(file)["hyper_parameters"] == {"net": "x"}
    with pytest.raises(UserError, match=rf"x\.ckpt cannot be resumed from: its {part} is missing .* `--weights`"):
        load_verified(file, for_training=True)


def test_nothing_good_is_one_message(run: Path) -> None:
    for name in ("last", "previous"):
        (run / "checkpoints" / f"{name}.ckpt").write_bytes(b"")
    with pytest.raises(UserError) as error:
        find("auto", run.parent, CONFIG)
    for part in ("no checkpoint of", "last.ckpt (0 bytes)", "previous.ckpt (0 bytes)", "start anew"):
        assert part in str(error.value)


def test_a_checkpoint_of_another_configuration_is_passed_over(run: Path) -> None:
    """Whole and with its checksum, but another run's."""
    other = content(30) | {"configuration": {**CONFIG, "seed_everything": 7}}
    VerifiedCheckpointIO().save_checkpoint(other, run / "checkpoints" / "last.ckpt")
    found = find("auto", run.parent, CONFIG)
    assert isinstance(found, Earlier)
    assert (found.checkpoint.name, found.step) == ("previous.ckpt", 20)
    assert "last.ckpt was made with another configuration: seed_everything is 7 there and 0 here" in found.why[0]


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"0000  last.ckpt\n"], ids=["empty", "bytes", "other"])
def test_a_damaged_checksum_is_not_trusted(run: Path, damage: bytes) -> None:
    (run / "checkpoints" / "last.ckpt.sha256").write_bytes(damage)
    found = find("auto", run.parent, CONFIG)
    assert isinstance(found, Earlier)
    assert found.checkpoint.name == "previous.ckpt"


def test_checksums_are_sha256sums(run: Path) -> None:
    for name in ("last.ckpt", "previous.ckpt"):
        path = run / "checkpoints" / name
        expected = f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n"
        assert path.with_name(f"{name}.sha256").read_text() == expected
    assert load_verified(run / "checkpoints" / "previous.ckpt")["global_step"] == 10


@pytest.mark.parametrize("killed_at", range(12))
def test_a_kill_between_any_two_steps_of_writing_leaves_only_files_that_match(
    killed_at: int, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rename and each sync is a place to die."""
    import os

    class Killed(BaseException):
        pass

    left = [killed_at]

    def dying(call: Callable) -> Callable:
        def maybe(*arguments: object) -> object:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return call(*arguments)

        return maybe

    with monkeypatch.context() as patch:
        for name in ("replace", "fsync"):
            patch.setattr(os, name, dying(getattr(os, name)))
        try:
            VerifiedCheckpointIO().save_checkpoint(content(30), run / "checkpoints" / "last.ckpt")
        except Killed:
            died = True
        else:
            died = False
    assert died
    found = find("auto", run.parent, CONFIG)
    assert isinstance(found, Earlier)
    assert found.bad == ()
    assert found.step in (20, 30)
    VerifiedCheckpointIO().save_checkpoint(content(40), run / "checkpoints" / "last.ckpt")  # what was left does no harm
    assert load_verified(run / "checkpoints" / "last.ckpt")["global_step"] == 40
    assert load_verified(run / "checkpoints" / "previous.ckpt")["global_step"] == found.step


def test_a_bad_file_set_aside_does_not_replace_the_previous_good_one(run: Path) -> None:
    last = run / "checkpoints" / "last.ckpt"
    last.write_bytes(b"bad")
    set_aside(last)
    VerifiedCheckpointIO().save_checkpoint(content(30), last)
    assert load_verified(last.with_name("previous.ckpt"))["global_step"] == 10
    assert last.with_name("last.ckpt.bad").read_bytes() == b"bad"


def test_no_room_leaves_the_old_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left") as error:
        VerifiedCheckpointIO().save_checkpoint(content(30), run / "checkpoints" / "last.ckpt")
    assert error.value.filename.endswith("last.ckpt.tmp")
    assert load_verified(run / "checkpoints" / "last.ckpt")["global_step"] == 20
    assert not list(run.rglob("*.tmp"))


class TestFind:
    """Which run is gone on with."""

    def test_the_newest_of_the_same_configuration(self, run: Path) -> None:
        later = run.with_name("20260102-000000")
        VerifiedCheckpointIO().save_checkpoint(content(5), later / "checkpoints" / "last.ckpt")
        (later / "config.yaml").write_text((run / "config.yaml").read_text())
        assert find("auto", run.parent, CONFIG) == Earlier(later, later / "checkpoints/last.ckpt", 5)
        assert find(str(run), run.parent, CONFIG) == Earlier(run, run / "checkpoints/last.ckpt", 20)

    def test_none_is_a_new_run(self, run: Path) -> None:
        assert find("auto", run.parent.parent / "another", CONFIG) is None

    def test_one_that_was_killed_before_its_first_checkpoint_comes_last(self, run: Path) -> None:
        later = run.with_name("20260102-000000")
        later.mkdir()
        (later / "config.yaml").write_text((run / "config.yaml").read_text())
        assert find("auto", run.parent, CONFIG) == Earlier(run, run / "checkpoints/last.ckpt", 20)
        for path in (run / "checkpoints").iterdir():
            path.unlink()
        assert find("auto", run.parent, CONFIG) == Earlier(later)
        assert find(str(run), run.parent, CONFIG) == Earlier(run)

    def test_a_key_that_an_earlier_version_did_not_have_may_be_at_its_default(self, run: Path) -> None:
        config = {**CONFIG, "lr_interval": "epoch"}
        found = find("auto", run.parent, config, {"lr_interval": "epoch"})
        assert isinstance(found, Earlier)
        assert found.step == 20
        with pytest.raises(UserError, match="lr_interval is None there and 'epoch' here"):
            find("auto", run.parent, config, {"lr_interval": "step"})

    def test_a_run_is_claimed_before_its_checkpoints_are_read(self, run: Path) -> None:
        def claim(folder: Path) -> None:
            claimed.append(folder)
            VerifiedCheckpointIO().save_checkpoint(content(30), folder / "checkpoints" / "last.ckpt")

        claimed: list[Path] = []
        found = find("auto", run.parent, CONFIG, claim=claim)
        assert (claimed, found) == ([run], Earlier(run, run / "checkpoints/last.ckpt", 30))

    @pytest.mark.parametrize("asked", ["auto", "folder"])
    def test_another_configuration_is_refused_with_the_keys(self, asked: str, run: Path) -> None:
        config = {**CONFIG, "trainer": {"max_epochs": 4}, "optimizer": {"lr": 0.5}}
        with pytest.raises(UserError) as error:
            find("auto" if asked == "auto" else str(run), run.parent, config)
        for part in ("trainer.max_epochs is 3 there and 4 here", "optimizer.lr is None there and 0.5 here"):
            assert part in str(error.value)
        assert "data.init_args" not in str(error.value)

    @pytest.mark.parametrize(
        "without_effect",
        [
            {"measure_cost": True},
            {"final_test": False},
            {"save_every": 5},
            {"experiment": "x"},
            {"data": {"init_args": {"root": "b", "num_workers": 8, "download": True}}},
            {"trainer": {"max_epochs": 3, "logger": False, "enable_progress_bar": True, "default_root_dir": "x"}},
        ],
        ids=str,
    )
    def test_keys_that_change_no_weight_may_differ(self, without_effect: dict, run: Path) -> None:
        found = find("auto", run.parent, CONFIG | without_effect)
        assert isinstance(found, Earlier)
        assert found.step == 20

    def test_a_finished_one_is_told(self, run: Path) -> None:
        write_results(run, {"steps": 20, "test/acc1": 0.5})
        found = find("auto", run.parent, CONFIG)
        assert isinstance(found, Finished)
        assert str(found) == f"finished {run}  test/acc1 0.5000"
        assert find("auto", run.parent, {**CONFIG, "seed_everything": 1}) is None

    def test_a_folder_that_is_no_run_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"--resume .* is not the folder of a run: it has no config\.yaml"):
            find(str(tmp_path), tmp_path, CONFIG)
