"""What the command line and the experiment files may say, against the keys that the lab really declares."""

import re

import pytest

from scconv_lab.errors import UserError
from tests.fit.unbuilt import UnbuiltCLI

BASELINE = ["--config", "experiments/baseline.yaml"]


@pytest.fixture(scope="module")
def cli():
    return UnbuiltCLI()


@pytest.fixture
def refused(cli, monkeypatch, request, tmp_path):
    """Parse the baseline and more; give the one short message that this ends in."""
    monkeypatch.chdir(request.config.rootpath)

    def refused(*arguments, yaml=None):
        if yaml is not None:
            (tmp_path / "x.yaml").write_text(yaml)
            arguments = ("--config", str(tmp_path / "x.yaml"))
        with pytest.raises(UserError) as info:
            cli.parse("fit", *BASELINE, *arguments)
        message = str(info.value).replace(str(tmp_path), "")
        assert "\n" not in message
        assert len(message) < 300
        assert not re.search(r"<class|Namespace\(", message)
        return message

    return refused


# (as YAML, as arguments, the key or name that the message has to hold, the nearest one)
UNKNOWN = [
    ("modle: {label_smoothing: 0.1}", ["--modle.label_smoothing", "0.1"], "modle", "model"),
    ("seed_everythin: 3", ["--seed_everythin", "3"], "seed_everythin", "seed_everything"),
    ("trainer: {max_epoch: 3}", ["--trainer.max_epoch", "3"], "trainer.max_epoch", "trainer.max_epochs"),
    ("model: {label_smoothin: 0.1}", ["--model.label_smoothin", "0.1"], "label_smoothin", "model.label_smoothing"),
    ("surgery: {site: paper}", ["--surgery.site", "paper"], "surgery.site", "surgery.sites"),
    ("net: {init_args: {dept: 18}}", ["--net.init_args.dept", "18"], "dept", "depth"),
    ("optimizer: {init_args: {weight_deca: 0}}", ["--optimizer.weight_deca", "0"], "weight_deca", "weight_decay"),
    ("lr_scheduler: {init_args: {gama: 1}}", ["--lr_scheduler.gama", "1"], "gama", "gamma"),
    ("data: {init_args: {batch_sise: 8}}", ["--data.batch_sise", "8"], "batch_sise", "batch_size"),
    (
        "surgery: {unit: {class_path: scconv_lab.nn.CRU, init_args: {alhpa: 0.25}}}",
        ["--surgery.unit", "CRU", "--surgery.unit.alhpa", "0.25"],
        "alhpa",
        "alpha",
    ),
]
ids = [key for *_, key, _ in UNKNOWN]


@pytest.mark.parametrize(
    ("yaml", "key", "nearest"), [(y, key, near) for y, _, key, near in UNKNOWN if key != "modle"], ids=ids[1:]
)
def test_an_unknown_key_of_a_file_is_named_with_the_nearest(refused, yaml, key, nearest):
    assert nearest in refused(yaml=yaml).partition(key)[2]


@pytest.mark.parametrize("yaml", ["modle: {}", "modle: {label_smoothing: 0.1}", "modle: 3"])
def test_an_unknown_group_of_a_file_is_named_with_the_nearest(refused, yaml):
    assert "model" in refused(yaml=yaml).partition("modle")[2]


@pytest.mark.parametrize(("given", "key", "nearest"), [(g, key, near) for _, g, key, near in UNKNOWN], ids=ids)
def test_an_unknown_argument_is_named_with_the_nearest(refused, given, key, nearest):
    assert nearest in refused(*given).partition(key)[2]


@pytest.mark.parametrize(
    ("yaml", "key"),
    [
        ("modle: {}", "modle"),
        ("foo:", "foo"),
        ("trainer: {foo: {}}", "trainer.foo"),
        ("model: {foo: {}}", "model.foo"),
        ("net: {init_args: {foo: {}}}", "foo"),
        ("net: {foo: {}}", "net.foo"),
        ("optimizer: {init_args: {foo: {}}}", "foo"),
        ("lr_scheduler: {init_args: {foo: {}}}", "foo"),
        ("data: {init_args: {foo: {}}}", "foo"),
        ("surgery: {foo: {}}", "surgery.foo"),
        ("surgery: {unit: {foo: {}}}", "surgery.unit.foo"),
        ("surgery: {unit: {class_path: scconv_lab.nn.CRU, init_args: {foo: {}}}}", "foo"),
        ("config: experiments/baseline.yaml", "config"),
        ("3: {}", "3"),
    ],
)
def test_an_empty_unknown_group_is_refused(refused, yaml, key):
    assert key in refused(yaml=yaml)


@pytest.mark.parametrize(
    ("yaml", "key"),
    [
        ("net: {init_args: {width_per_group: {}}}", "width_per_group"),  # ResNeXt's; the baseline has a ResNet
        ("trainer: {logger: {foo: {}}}", "foo"),
        ("trainer: {logger: {class_path: CSVLogger, init_args: {save_dir: x, foo: {}}}}", "foo"),
    ],
)
def test_an_empty_unknown_argument_of_the_class_at_hand_is_refused(refused, yaml, key):
    assert key in refused(yaml=yaml)


@pytest.mark.parametrize("key", ["net", "surgery", "optimizer", "lr_scheduler", "num_classes", "image_shape"])
@pytest.mark.parametrize("value", ["{}", "3", ""])
def test_a_computed_key_says_where_to_give_it(refused, key, value):
    message = refused(yaml=f"model: {{{key}: {value}}}")
    assert f"model.{key}" in message
    assert f"taken from `{'data' if key in ('num_classes', 'image_shape') else key}`" in message


@pytest.mark.parametrize(
    "given",
    [
        ["--model.net", "ResNet"],
        ["--model.net.class_path", "ResNet"],
        ["--model.surgery", "{}"],
        ["--model.num_classes", "3"],
        ["--model.image_shape", "[3,8,8]"],
    ],
    ids=" ".join,
)
def test_a_computed_argument_is_refused(refused, given):
    assert ".".join(given[0].removeprefix("--").split(".")[:2]) in refused(*given)


@pytest.mark.parametrize("key", ["net", "surgery"])
def test_a_computed_argument_says_where_to_give_it(refused, key):
    message = refused(f"--model.{key}", "{}")
    assert f"`{key}`" in message
    assert not re.search(r"plain_values|surgery_arguments|-->", message)


@pytest.mark.parametrize(
    "given",
    [["--trainer.max_ep", "3"], ["--see", "3"], ["--trainer.max_ep=3"], ["--exp", "x"], ["--optimizer.moment", "0.9"]],
    ids=" ".join,
)
def test_abbreviations_are_refused(refused, given):
    assert given[0].removeprefix("--").partition("=")[0].rpartition(".")[2] in refused(*given)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (["--trainer.max_epochs", "many"], ["trainer.max_epochs", "int", "many"]),
        (["--net.depth", "deep"], ["net", "depth", "int", "deep"]),
        (["--data.batch_size", "1.5"], ["data", "batch_size", "int", "1.5"]),
        (["--optimizer.lr", "fast"], ["optimizer", "lr", "float", "fast"]),
        (["--surgery.action", "replce"], ["surgery.action", "replce", "replace", "insert_after"]),
        (["--net.stem", "cifr"], ["net", "stem", "cifr", "cifar", "imagenet"]),
        (
            ["--surgery.unit", "CRU", "--surgery.unit.fusion", "join"],
            ["surgery.unit", "fusion", "join", "pairwise", "joint"],
        ),
        (["--final_test", "maybe"], ["final_test", "bool", "maybe"]),
        (["--seed_everything", "x"], ["seed_everything", "int", "x"]),
    ],
    ids=lambda value: value[-2] if value[0].startswith("--") else "",
)
def test_a_value_of_another_type_is_refused(refused, given, parts):
    message = refused(*given)
    assert not [part for part in parts if part not in message]


@pytest.mark.parametrize(
    "yaml",
    [
        "trainer: {max_epochs: {}}",
        "trainer: {max_epochs: [1]}",
        "final_test: maybe",
        "experiment: [a]",
        "bases: 3",
        "net: {init_args: {depth: deep}}",
        "lr_scheduler: {init_args: {milestones: 3}}",
        "net: []",
    ],
)
def test_a_value_of_another_type_in_a_file_is_refused(refused, yaml):
    *_, key = re.findall(r"\w+(?=:)", yaml)
    assert key in refused(yaml=yaml)


@pytest.mark.parametrize("given", [["--net.depth", "deep"], ["--data.batch_size", "1.5"], ["--optimizer.lr", "fast"]])
def test_a_message_quotes_the_value_as_given(refused, given):
    assert "NestedArg(" not in refused(*given)


@pytest.mark.parametrize("yaml", ["model: 3", "trainer: 3", "trainer: []", "net: 3", "net: {init_args: 3}"])
def test_a_group_that_is_no_mapping_is_refused(refused, yaml):
    *_, key = re.findall(r"\w+(?=:)", yaml)
    assert key in refused(yaml=yaml)


@pytest.mark.parametrize(
    ("key", "given", "nearest"),
    [
        ("net", "ResNeet", "ResNet"),
        ("net", "scconv_lab.models.Resnet", "ResNet"),
        ("surgery.unit", "SRUU", "SRU"),
        ("surgery.unit", "scconv_lab.nn.ScCnv", "ScConv"),
        ("data", "Digit", "Digits"),
        ("optimizer", "SDG", "SGD"),
        ("lr_scheduler", "MultiStepLr", "MultiStepLR"),
    ],
)
def test_an_unknown_class_is_named_with_the_nearest(refused, key, given, nearest):
    message = refused(f"--{key}", given)
    assert f"`{key}`" in message
    assert f"'{nearest}'" in message.partition(given)[2]


@pytest.mark.parametrize(
    ("key", "given", "nearest"),
    [
        ("net", "scconv_lab.models.Resnet", "ResNet"),
        ("surgery.unit", "scconv_lab.nn.ScCnv", "ScConv"),
        ("data", "scconv_lab.data.Digit", "Digits"),
        ("optimizer", "torch.optim.SDG", "SGD"),
    ],
)
def test_an_unknown_class_path_of_a_file_is_named_with_the_nearest(refused, key, given, nearest):
    message = refused(yaml=as_yaml(key, given))
    assert f"`{key}`" in message
    assert f"'{nearest}'" in message.partition(given)[2]


@pytest.mark.parametrize(
    ("class_path", "reason"),
    [
        (".", "is not there"),
        ("..X", "is not there"),
        ("a..b", "is not there"),
        ("X.", "is not there"),
        ("a b", "is not there"),
        ("torch.optim", "is not a class"),
        ("os.path.join", "is not a class"),
        ("scconv_lab.nn.READINGS", "is not a class"),
    ],
)
@pytest.mark.parametrize("key", ["net", "surgery.unit", "optimizer"])
def test_a_class_path_that_names_no_class_is_refused(refused, key, class_path, reason):
    message = refused(yaml=as_yaml(key, f"'{class_path}'"))
    assert f"`{key}` names {class_path!r}, which {reason}" in message


@pytest.mark.parametrize(
    "yaml", ["surgery: {unit: {}}", "surgery: {unit: scconv_lab.nn.Unit}", "net: scconv_lab.models.Net"]
)
def test_what_classes_have_in_common_is_none_of_them(refused, yaml):
    assert re.search("`(net|surgery.unit)` must name a class, and (Net|Unit) is what", refused(yaml=yaml))


@pytest.mark.parametrize(
    "key", ["net.depth", "optimizer.lr", "data.batch_size", "model.label_smoothing", "final_test", "surgery.action"]
)
def test_null_is_refused_where_it_means_nothing(refused, key):
    message = refused(f"--{key}", "null")
    assert re.search(rf"`{key}`( \(=null\) must have a value|: Expected (a|one of) .* Got value: None)", message)


def test_runs_have_a_folder_by_default(cli, monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    for given in ([], ["--trainer.default_root_dir", "null"]):
        assert cli.parse("fit", *BASELINE, *given).trainer.default_root_dir == "runs"


def test_null_is_taken_where_it_means_something(cli, monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    nulls = ["threads", "experiment", "lr_scheduler", "surgery.unit", "trainer.precision", "trainer.logger", "bases"]
    settings = cli.parse("fit", *BASELINE, *(word for key in nulls for word in (f"--{key}", "null")))
    assert not [key for key in nulls if settings[key] is not None]


@pytest.mark.parametrize("yaml", ["", "# a comment"])
def test_a_file_without_keys_is_refused(refused, yaml):
    assert "x.yaml holds no keys" in refused(yaml=yaml)


@pytest.mark.parametrize("key", ["experiment", "weights", "trainer.default_root_dir", "data.init_args.root"])
def test_a_text_with_a_zero_byte_is_refused(refused, key):
    assert f"`{key}` (='a\\x00b') must not hold a zero byte" in refused(yaml=as_yaml(key, '"a\\0b"', last=""))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threads", 0),
        ("threads", 10**9),
        ("trainer.devices", 10**9),
        ("trainer.devices", 1025),
        ("seed_everything", -1),
        ("seed_everything", 2**32),
    ],
)
def test_a_number_that_no_machine_has_is_refused(refused, key, value):
    assert f"`{key}` (={value}) must be" in refused(f"--{key}", str(value))


@pytest.mark.parametrize(
    ("key", "given", "nearest"),
    [("net", "ResNeet", "ResNet"), ("surgery.unit", "SRUU", "SRU"), ("lr_scheduler", "MultiStepLr", "MultiStepLR")],
)
def test_an_unknown_class_of_a_file_is_named_with_the_nearest(refused, key, given, nearest):
    assert f"'{nearest}'" in refused(yaml=as_yaml(key, given)).partition(given)[2]


@pytest.mark.parametrize(("key", "base"), [("net", "Net"), ("surgery.unit", "Unit"), ("data", "ImageDataModule")])
def test_a_class_of_another_kind_is_refused(refused, key, base):
    for message in (refused(f"--{key}", "torch.nn.Linear"), refused(yaml=as_yaml(key, "torch.nn.Linear"))):
        assert f"`{key}`" in message
        assert "torch.nn.Linear" in message
        assert base in message


def as_yaml(key, value, *, last=".class_path"):
    """``a.b`` and a value, of a class its path, as a nested mapping."""
    text = value
    for part in reversed(f"{key}{last}".split(".")):
        text = f"{{{part}: {text}}}"
    return text


def test_dict_kwargs_are_refused(refused):
    """Nothing would hand them on."""
    assert "dict_kwargs" in refused(yaml="optimizer: {dict_kwargs: {lr: 3}}")


def test_a_stray_word_is_refused(refused):
    assert "stray" in refused("stray")


def test_evaluation_needs_weights(cli, monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    for command in ("validate", "test", "predict"):
        with pytest.raises(UserError, match=rf"^{command} needs the weights .* --ckpt_path"):
            cli.parse(command, *BASELINE)
        assert cli.parse(command, *BASELINE, "--ckpt_path", "best.ckpt").ckpt_path == "best.ckpt"


def test_another_sampler_is_refused(refused):
    assert "trainer.use_distributed_sampler" in refused("--trainer.use_distributed_sampler", "true")


def test_later_files_and_arguments_win(cli, monkeypatch, request, tmp_path):
    """Mappings merge key by key, and lists are replaced."""
    monkeypatch.chdir(request.config.rootpath)
    override = tmp_path / "x.yaml"
    override.write_text("optimizer: {init_args: {lr: 0.2}}\nlr_scheduler: {init_args: {milestones: [3]}}\n")
    settings = cli.parse("fit", *BASELINE, "--config", str(override), "--optimizer.momentum", "0.5")
    given = settings.optimizer.init_args
    assert (given.lr, given.momentum, given.weight_decay) == (0.2, 0.5, 5e-4)
    assert settings.lr_scheduler.init_args.milestones == [3]
    assert settings.model.optimizer["init_args"]["lr"] == 0.2


def test_a_short_class_name_stands_for_its_path(cli, monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    settings = cli.parse("fit", *BASELINE, "--surgery.unit", "CRU", "--surgery.unit.alpha", "0.25")
    assert settings.model.surgery["unit"]["class_path"] == "scconv_lab.nn.CRU"
    assert settings.model.surgery["unit"]["init_args"]["alpha"] == 0.25
