import shutil

import pytest
import torch
from PIL import Image

from scconv_lab.data import ImageFolder
from scconv_lab.errors import UserError
from tests.data.samples import looks


@pytest.fixture
def root(tmp_path):
    """Two classes, 6 training and 3 test images each; sizes, modes and formats differ as the web's do."""
    for folder, n in {"train": 6, "val": 3}.items():
        for name, colour in {"ant": 40, "bee": 200}.items():
            (tmp_path / folder / name).mkdir(parents=True)
            for i in range(n):
                mode = ("RGB", "L", "CMYK")[i % 3]
                image = Image.new(mode, (40 + 10 * i, 50), colour if mode == "L" else (colour,) * len(mode))
                image.save(tmp_path / folder / name / f"{i}.jpeg")
    return tmp_path


def module(root, **kwargs):
    return ImageFolder(root=str(root), **{"image_size": 16, "val_size": 4, "batch_size": 4, "num_workers": 0, **kwargs})


def test_classes_and_shape_come_from_names_alone(root):
    for path in root.glob("*/*/*.jpeg"):
        path.write_bytes(b"")
    data = module(root, image_size=24)
    assert data.num_classes == 2
    assert data.image_shape == (3, 24, 24)


def test_batches(root):
    data = module(root)
    data.setup("fit")
    data.setup("test")
    for loader, n in ((data.train_dataloader(), 8), (data.val_dataloader(), 4), (data.test_dataloader(), 6)):
        batches = list(loader)
        assert sum(len(labels) for _, labels in batches) == n
        for images, labels in batches:
            assert images.shape[1:] == (3, 16, 16)
            assert images.dtype == torch.float32
            assert set(labels.tolist()) <= {0, 1}
    images, labels = next(iter(data.test_dataloader()))
    assert labels.tolist() == [0, 0, 0, 1], "the folder `val`, in order"
    expected = (40 / 255 - torch.tensor(data.mean)) / torch.tensor(data.std)
    assert torch.allclose(images[0].mean((1, 2)), expected, atol=0.05)


def test_evaluation_cuts_the_centre_after_resizing(root):
    for path in root.glob("val/*/*.jpeg"):
        path.unlink()
    for name in ("ant", "bee"):
        image = Image.new("RGB", (64, 64))
        image.paste((255, 255, 255), (8, 8, 56, 56))  # a frame of 1/8: gone after Resize(16 / 0.875) and CenterCrop(16)
        image.save(root / "val" / name / "0.png")
    data = module(root, image_size=224)
    data.setup("test")
    images, _ = next(iter(data.test_dataloader()))
    pixels = images[0, 0] * data.std[0] + data.mean[0]
    assert pixels[112, 112] == pytest.approx(1)
    assert pixels[0, 0] == pytest.approx(0, abs=1e-6)
    white = (pixels[112] > 0.5).sum().item()
    assert abs(white - 256 * 48 / 64) <= 2


def test_training_crops_are_random_and_evaluation_is_not(root):
    for path in root.glob("train/*/*.jpeg"):
        Image.radial_gradient("L").save(path)
    data = module(root)
    data.setup("fit")
    assert not torch.equal(looks(data, range(4), 0), looks(data, range(4), 1))
    assert torch.equal(next(iter(data.val_dataloader()))[0], next(iter(data.val_dataloader()))[0])


def test_fit_does_without_val(root):
    shutil.rmtree(root / "val")
    data = module(root)
    data.setup("fit")
    with pytest.raises(UserError, match="val must hold one folder per class"):
        data.setup("test")


def test_missing_or_empty_root(root):
    with pytest.raises(UserError, match=r"nowhere/train must hold one folder per class.*set `root`"):
        _ = module(root / "nowhere").num_classes
    (root / "empty" / "train").mkdir(parents=True)
    with pytest.raises(UserError, match="empty/train must hold one folder per class"):
        module(root / "empty").setup("fit")


def test_empty_class(root):
    (root / "train" / "cow").mkdir()
    with pytest.raises(UserError, match=r"train: Found no valid file for the classes cow"):
        module(root).setup("fit")


def test_classes_must_agree(root):
    shutil.move(root / "val" / "bee", root / "val" / "bees")
    with pytest.raises(UserError, match="only one has bee, bees"):
        module(root).setup("test")


@pytest.mark.parametrize("damage", ["truncated", "not an image", "empty"])
def test_broken_image_is_named(root, damage):
    path = root / "val" / "ant" / "1.jpeg"
    Image.effect_noise((200, 200), 50).save(path)
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) // 2], "not an image": b"<html>", "empty": b""}[damage])
    data = module(root)
    data.setup("test")
    with pytest.raises(UserError, match=r"cannot be read as an image .*: replace or delete it") as error:
        list(data.test_dataloader())
    assert str(path) in str(error.value)


def test_image_size(root):
    with pytest.raises(UserError, match=r"`image_size` \(=0\)"):
        module(root, image_size=0)


def test_inspection_opens_every_image(root):
    noise = Image.effect_noise((50, 50), 50)
    noise.save(root / "train" / "ant" / "noise.png")
    tail = root / "val" / "bee" / "tail.jpeg"
    noise.save(tail)
    tail.write_bytes(tail.read_bytes() + b"more")  # decoders take it
    assert module(root).inspect() == "13 images to train and validate on, 7 to test; every file opens"


@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda _: b"<html>", lambda _: b""])
@pytest.mark.parametrize("suffix", ["jpeg", "png"])
def test_inspection_names_a_broken_image(root, damage, suffix):
    path = root / "val" / "ant" / f"noise.{suffix}"
    Image.effect_noise((200, 200), 50).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"cannot be read as an image .*: replace or delete it.$") as error:
        module(root).inspect()
    assert str(error.value).startswith(str(path))
    (root / "val" / "bee" / "0.jpeg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UserError, match=r"\(and 1 more\)$"):
        module(root).inspect()


def test_leftovers_and_hidden_files_are_no_classes_and_no_images(root):
    before = module(root).inspect()
    for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir"):
        for folder in (root / "train", root / "train" / "ant"):
            shutil.copytree(root / "train" / "bee", folder / name)
    for name in ("._0.jpeg", ".DS_Store", "Thumbs.db"):
        (root / "train" / "ant" / name).write_bytes(b"\0\5\26\7")
    data = module(root)
    assert data.num_classes == 2
    assert data.class_names == ["ant", "bee"]
    assert data.inspect() == before


@pytest.mark.parametrize("target", [".", "..", "../ant", "../bee", "../../val/ant"])
def test_a_link_that_leads_back_adds_nothing(root, target):
    (root / "train" / "bee" / "link").symlink_to(target)
    assert len(module(root).load("train")) == 12 + 3 * (target == "../../val/ant")


def test_a_link_to_pictures_elsewhere_is_followed(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("pictures")
    (elsewhere / "deep").mkdir()
    for name in ("a.JPG", "deep/b.png"):
        Image.new("RGB", (9, 9)).save(elsewhere / name)
    (elsewhere / "deep" / "round").symlink_to("..")
    (root / "train" / "bee" / "more").symlink_to(elsewhere)
    assert len(module(root).load("train")) == 14


def test_images_are_known_by_ending_or_content_and_the_rest_is_counted(root):
    folder = root / "train" / "ant"
    for name, kind in (("a.gif", "GIF"), ("b.jfif", "JPEG"), ("c", "PNG"), ("d.PNG", "PNG"), ("e.dat", "JPEG")):
        Image.new("RGB", (9, 9)).save(folder / name, kind)
    (folder / "notes.txt").write_text("not a picture")
    (folder / "empty").write_bytes(b"")
    said = module(root).inspect()
    assert said.startswith("17 images")
    assert said.endswith(f"; 2 files that are no images are skipped, such as {folder / 'empty'}")


def test_samples_have_the_names_of_their_files(root):
    names = module(root).sample_names("test")
    assert names == [f"val/{name}/{i}.jpeg" for name in ("ant", "bee") for i in range(3)]


@pytest.mark.parametrize(("images", "count"), [(3, 1), (40, 8)])
def test_the_default_split_fits_any_folder(root, images, count):
    for name in ("ant", "bee"):
        for i in range(images):
            Image.new("RGB", (9, 9)).save(root / "train" / name / f"{i}.png")
    data = ImageFolder(root=str(root), image_size=16, batch_size=4, num_workers=0)
    data.setup("fit")
    assert len(data.val_set) == max(1, round(0.1 * (12 + 2 * images)))
