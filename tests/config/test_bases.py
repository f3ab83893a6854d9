"""An experiment file becomes the ordered list of files that it builds on."""

import os
from pathlib import Path

import pytest

from scconv_lab.config import expand_arguments, expand_bases
from scconv_lab.errors import UserError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file of the working folder; give its path, which is relative."""
    monkeypatch.chdir(tmp_path)

    def write(name, text=""):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def names(path):
    return [str(file) for file in expand_bases(path)]


def error(path):
    """The one message that expanding a file ends in."""
    with pytest.raises(UserError) as info:
        expand_bases(path)
    assert "\n" not in str(info.value)
    return str(info.value)


@pytest.mark.parametrize("text", ["", "# a comment\n", "bases:\n", "bases: []\n", "key: 1\n"])
def test_a_file_without_bases_stands_alone(write, text):
    assert names(write("a.yaml", text)) == ["a.yaml"]


def test_bases_come_first_in_their_order(write):
    write("one.yaml")
    write("two.yaml")
    assert names(write("a.yaml", "bases: [two.yaml, one.yaml]")) == ["two.yaml", "one.yaml", "a.yaml"]


def test_bases_of_bases_come_before_them(write):
    write("low.yaml")
    write("middle.yaml", "bases: [low.yaml]")
    write("other.yaml")
    assert names(write("a.yaml", "bases: [middle.yaml, other.yaml]")) == [
        "low.yaml",
        "middle.yaml",
        "other.yaml",
        "a.yaml",
    ]


def test_bases_are_relative_to_the_file_that_names_them(write):
    write("configs/net/small.yaml", "bases: [../data/digits.yaml]")
    write("configs/data/digits.yaml")
    experiment = write("experiments/a.yaml", "bases: [../configs/net/small.yaml]")
    assert names(experiment) == ["configs/data/digits.yaml", "configs/net/small.yaml", "experiments/a.yaml"]


def test_absolute_paths_stand(write, tmp_path):
    base, experiment = write("base.yaml"), write("folder/a.yaml", f"bases: [{tmp_path}/base.yaml]")
    assert expand_bases(experiment) == [tmp_path / base, experiment]
    assert expand_bases(tmp_path / experiment) == [tmp_path / base, tmp_path / experiment]


def test_a_file_reached_twice_counts_once_and_first(write):
    """However it is spelled."""
    write("parts/low.yaml")
    write("parts/left.yaml", "bases: [low.yaml]")
    write("parts/right.yaml", "bases: [../parts/../parts/./low.yaml]")
    assert names(write("a.yaml", "bases: [parts/left.yaml, parts/right.yaml, parts/low.yaml]")) == [
        "parts/low.yaml",
        "parts/left.yaml",
        "parts/right.yaml",
        "a.yaml",
    ]


def test_a_folder_above_the_working_one_is_kept(write, tmp_path, monkeypatch):
    write("shared.yaml")
    write("here/a.yaml", "bases: [../shared.yaml]")
    monkeypatch.chdir(tmp_path / "here")
    assert names(Path("a.yaml")) == ["../shared.yaml", "a.yaml"]


def test_a_circle_is_named(write):
    write("start.yaml", "bases: [a.yaml]")
    write("a.yaml", "bases: [parts/b.yaml]")
    write("parts/b.yaml", "bases: [../a.yaml]")
    message = error(Path("start.yaml"))
    assert "circle: a.yaml -> parts/b.yaml -> a.yaml;" in message


def test_a_file_on_itself_is_a_circle(write):
    assert "circle: a.yaml -> a.yaml" in error(write("a.yaml", "bases: [a.yaml]"))


def test_a_missing_base_names_who_asks_and_the_nearest_file(write):
    write("configs/cifar100.yaml")
    write("configs/digits.yaml")
    message = error(write("experiments/a.yaml", "bases: [../configs/cifar_100.yaml]"))
    assert "`bases` of experiments/a.yaml" in message
    assert "configs/cifar_100.yaml, which is not there" in message
    assert "did you mean 'configs/cifar100.yaml'" in message
    assert "digits" not in message


def test_a_missing_file_is_named_as_the_argument(write):
    write("experiments/baseline.yaml")
    message = error(Path("experiments/basline.yaml"))
    assert "--config names experiments/basline.yaml" in message
    assert "'experiments/baseline.yaml'" in message


def test_a_missing_folder_is_a_missing_file(write):
    assert "nowhere/a.yaml, which is not there" in error(Path("nowhere/a.yaml"))
    write("file.yaml")
    assert "file.yaml/a.yaml, which is not there" in error(Path("file.yaml/a.yaml"))


def test_what_cannot_be_read_is_named(write, tmp_path):
    write("folder.yaml/inside.txt")
    assert "folder.yaml, which cannot be read" in error(Path("folder.yaml"))
    path = write("latin.yaml")
    path.write_bytes("größe: 1".encode("latin-1"))
    assert "latin.yaml, which cannot be read" in error(path)


@pytest.mark.parametrize(
    "text", ["a: [1, 2", "a: b: c", "\tkey: 1", "a: !!python/object:os.system {}", "a: !!timestamp x", "a: !!float x"]
)
def test_what_is_no_yaml_is_named(write, text):
    write("broken.yaml", text)
    assert "broken.yaml is not valid YAML" in error(write("a.yaml", "bases: [broken.yaml]"))


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_what_is_nested_beyond_reading_is_named(write, opening):
    assert "a.yaml is nested too deeply" in error(write("a.yaml", f"a: {5000 * opening}"))


@pytest.mark.parametrize("base", ["/dev/zero", "fifo", "a\\0b", "x" * 5000, "."])
def test_what_is_no_file_is_not_read(write, tmp_path, base):
    os.mkfifo(tmp_path / "fifo")
    message = error(write("a.yaml", f'bases: ["{base}"]'))
    assert message.startswith("`bases` of a.yaml names ")
    assert "which cannot be read: " in message


@pytest.mark.parametrize(("text", "kind"), [("- 1\n- 2\n", "list"), ("word", "str"), ("3", "int"), ("false", "bool")])
def test_what_is_no_mapping_is_named(write, text, kind):
    message = error(write("a.yaml", text))
    assert message.startswith("a.yaml must hold a mapping")
    assert message.endswith(f"holds a {kind}")


@pytest.mark.parametrize("bases", ["one.yaml", "{one.yaml: }", "[1]", "[[one.yaml]]", "3", "[null]"])
def test_bases_of_another_type_are_refused(write, bases):
    write("one.yaml")
    assert error(write("a.yaml", f"bases: {bases}")).startswith("a.yaml: `bases` (=")


@pytest.fixture
def experiment(write):
    write("base.yaml")
    write("other.yaml")
    return write("folder/exp.yaml", "bases: [../base.yaml]")


@pytest.mark.parametrize(
    "given", [["--config", "folder/exp.yaml"], ["--config=folder/exp.yaml"], ["-c", "folder/exp.yaml"]]
)
@pytest.mark.usefixtures("experiment")
def test_arguments_get_the_bases_before_the_file(given):
    expanded, name = expand_arguments(["fit", *given, "--optimizer.lr", "0.1"])
    assert expanded == ["fit", "--config", "base.yaml", "--config", "folder/exp.yaml", "--optimizer.lr", "0.1"]
    assert name == "exp"


@pytest.mark.usefixtures("experiment")
def test_the_first_config_names_the_experiment():
    expanded, name = expand_arguments(["fit", "--x", "1", "--config", "folder/exp.yaml", "--config", "other.yaml"])
    assert expanded == [
        "fit",
        "--x",
        "1",
        *(word for file in ("base.yaml", "folder/exp.yaml", "other.yaml") for word in ("--config", file)),
    ]
    assert name == "exp"


def test_arguments_without_a_config_stay():
    assert expand_arguments(["fit", "--config.x", "--seed_everything=1"]) == (
        ["fit", "--config.x", "--seed_everything=1"],
        None,
    )


@pytest.mark.parametrize("arguments", [["fit", "--config"], ["fit", "--config="], ["fit", "-c"], ["--config", ""]])
def test_a_config_without_a_file_is_refused(arguments):
    with pytest.raises(UserError, match=r"--config needs a file"):
        expand_arguments(arguments)
