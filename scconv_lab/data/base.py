"""What every data set of the lab has in common: the split, the transforms, and who sees which sample."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import v2

from scconv_lab.data.padding import Padded
from scconv_lab.data.sampling import EpochSampler, Keyed, ResumableLoader, drawing_from
from scconv_lab.data.unlabelled import Unlabelled
from scconv_lab.errors import UserError

Split = Literal["val", "train", "test"]
"""The validation images, the training images without them, or the test set."""


class ImageDataModule(LightningDataModule, ABC):
    """Labelled images: a training set, a validation set carved from it, and a test set that only `test` reads.

    A batch is (images, labels): float32 (B, 3, H, W), normalised per channel, and int64 (B,). Grey images have three
    equal channels. Evaluation gives every sample to exactly one process and fills up with items labelled
    `IGNORE_INDEX`; training pads with repeated samples, as torch's DistributedSampler does. Both need
    `Trainer(use_distributed_sampler=False)`. Fit and validate read training files only.

    A subclass names `num_classes`, `image_shape`, `mean` and `std`, loads the images, and says how they are augmented.

    Args:
        root: Folder that holds the data set, or receives its download.
        batch_size: Images in one step, over all processes together; divisible by the number of processes.
        val_size: Training images set aside for validation and model choice: a whole number below the training set's
            size, or a share between 0 and 1 of it. 0 sets none aside, for a protocol in which no model is chosen: the
            last epoch is the result.
        split_seed: Seed of the permutation that chooses the validation images, apart from the run's own seed.
        augment: Whether training images are augmented.
        num_workers: Worker processes per loader; 0 loads in the training process, enough for sets held in memory.
    """

    image_shape: tuple[int, int, int]
    """(3, H, W), in pixels."""
    mean: Sequence[float]
    """Per channel, of intensities in [0, 1]; one value for grey images."""
    std: Sequence[float]

    def __init__(
        self,
        *,
        root: str = "data",
        batch_size: int = 128,
        val_size: int | float,
        split_seed: int = 0,
        augment: bool = True,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UserError(f"`batch_size` (={batch_size}) must be at least 1.")
        if num_workers < 0:
            raise UserError(f"`num_workers` (={num_workers}) must not be negative; 0 loads in the training process.")
        self.root = Path(root).expanduser()
        self.batch_size = batch_size
        self.val_size = val_size
        self.most_val: int | None = None
        """The most images that a share sets aside; None is no limit."""
        self.split_seed = split_seed
        self.augment = augment
        self.num_workers = num_workers
        self.predicted: Split | Path = "val"
        """What `predict` is about: a split, or a folder of images without labels."""
        self._loaded: dict[str, Dataset] = {}

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Number of classes; labels are 0..num_classes - 1."""

    @abstractmethod
    def load(self, split: Literal["train", "test"]) -> Dataset:
        """Samples (image, label) of one split, reading no file of the other: uint8 (1 or 3, h, w) and an int.

        Raises UserError, with the path and the way out, for a file that is missing, truncated or wrong.
        """

    def to_fetch(self) -> str | None:
        """What `prepare_data` would do, such as "downloads URL to FOLDER"; None where it does nothing."""
        return None

    def inspect(self) -> str:
        """Read every file of both splits and say what is there.

        Raises UserError, with the path and the way out, for what a run could not read.
        """
        train, test = (len(self.load(split)) for split in ("train", "test"))  # pyrefly: ignore[bad-argument-type]
        return f"{train:,} images to train and validate on, {test:,} to test"

    def augmentation(self) -> list[v2.Transform]:
        """What a uint8 batch (B, C, H, W) of training images goes through, each image drawn on its own.

        Drawn only from torch's generator, which is seeded for each batch: see `scconv_lab.data.sampling`.
        """
        return []

    def resizing(self, augment: bool) -> Callable[[Tensor], Tensor]:
        """What brings a loaded image (C, h, w) to (C, H, W); for `augment` at random, only from torch's generator."""
        return nn.Identity()

    def setup(self, stage: str) -> None:
        """Load the training set and split it; for the stage "test" only the test set, for "predict" what is asked."""
        if stage == "test" or (stage == "predict" and self.predicted == "test"):
            self.test_set = self._load_once("test")
            return
        if stage == "predict" and isinstance(self.predicted, Path):
            same_size = self.image_shape if isinstance(self.resizing(augment=False), nn.Identity) else None
            self.unlabelled = Unlabelled(self.predicted, resize_to=same_size)
            return
        samples = self._load_once("train")
        n = len(samples)  # pyrefly: ignore[bad-argument-type]  # torch's Dataset declares no __len__
        count = self._val_count(n)
        generator = torch.Generator(device="cpu").manual_seed(self.split_seed)
        order = torch.randperm(n, generator=generator, device="cpu").tolist()
        self.val_set = Subset(samples, order[:count])
        self.train_set = Subset(samples, order[count:])

    def _val_count(self, n: int) -> int:
        """How many of ``n`` training images are set aside; a share sets aside at least one."""
        if isinstance(self.val_size, float) and 0 < self.val_size < 1:
            count = max(1, round(self.val_size * n))
            count = count if self.most_val is None else min(count, self.most_val)
        else:
            count = self.val_size if isinstance(self.val_size, int) else -1
        if not 0 <= count < n:
            raise UserError(
                f"`val_size` (={self.val_size}) must be a whole number from 0 and below the {n} training images, or a "
                "share between 0 and 1 of them; 0 sets none aside"
            )
        return count

    @property
    def class_names(self) -> list[str]:
        """The name of each class, in the order of the labels; numbers where the data set gives none."""
        return [str(label) for label in range(self.num_classes)]

    @property
    def description(self) -> dict[str, Any]:
        """What a user of a trained net has to know of its images, of plain values.

        ``image_shape`` is [3, H, W]; ``mean`` and ``std`` are of each channel, for intensities in [0, 1];
        ``class_names`` are in the order of the logits.
        """
        return {
            "image_shape": list(self.image_shape),
            "mean": [*self.mean] * (3 // len(self.mean)),
            "std": [*self.std] * (3 // len(self.std)),
            "class_names": list(self.class_names),
        }

    def sample_names(self, split: Literal["train", "test"]) -> list[str] | None:
        """The file of each sample of `load`; None where samples are no files."""
        return None

    @property
    def predicted_samples(self) -> list[str]:
        """The file of each image of `predict_dataloader`, or its number in its file where it is none."""
        if isinstance(self.predicted, Path):
            return [str(path.relative_to(self.predicted)) for path in self.unlabelled.files]
        names = self.sample_names("test" if self.predicted == "test" else "train")
        if self.predicted == "test":
            return names or [str(index) for index in range(len(self.test_set))]  # pyrefly: ignore[bad-argument-type]
        chosen = self.val_set if self.predicted == "val" else self.train_set
        return [names[index] if names else str(index) for index in chosen.indices]

    def _load_once(self, split: Literal["train", "test"]) -> Dataset:
        """A fit looks at its data before it makes a folder, and Lightning sets them up again."""
        if split not in self._loaded:
            self._loaded[split] = self.load(split)
        return self._loaded[split]

    def train_dataloader(self) -> DataLoader:
        """Shuffled and augmented anew each epoch by the run's seed, shared out over the processes."""
        world_size, rank = self._place()
        # The seed is where Lightning's seed_everything leaves it and its own samplers look for it.
        seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
        sampler = EpochSampler(self.train_set, seed=seed, num_replicas=world_size, rank=rank)
        return self._loader(Keyed(self.train_set), sampler, ResumableLoader, augment=self.augment)

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        """Every validation image once; none where `val_size` is 0."""
        return self._eval_loader(self.val_set) if len(self.val_set) else []

    def test_dataloader(self) -> DataLoader:
        """Every test image once."""
        return self._eval_loader(self.test_set)

    def predict_dataloader(self) -> DataLoader:
        """What `predicted` names, without augmentation: the validation images, if nothing else is asked for."""
        if isinstance(self.predicted, Path):
            return self._eval_loader(self.unlabelled)
        if self.predicted == "val" and not len(self.val_set):
            raise UserError(
                "`val_size` (=0) leaves no validation images to predict; give the run's own val_size, or --split test"
            )
        sets = {"val": "val_set", "train": "train_set", "test": "test_set"}
        return self._eval_loader(getattr(self, sets[self.predicted]))

    def _place(self) -> tuple[int, int]:
        """(number of processes, this one's rank)."""
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)

    def _eval_loader(self, dataset: Dataset) -> DataLoader:
        world_size, rank = self._place()
        padded = Padded(dataset, world_size)
        return self._loader(padded, range(rank, len(padded), world_size), augment=False)

    def batch_size_per_process(self, world_size: int) -> int:
        """Share of `batch_size` that each of `world_size` processes takes.

        Raises UserError if it is not a whole number.
        """
        if self.batch_size % world_size:
            raise UserError(
                f"`batch_size` (={self.batch_size}) counts the images of all processes and must be divisible by their "
                f"number (={world_size}); choose {self.batch_size // world_size * world_size or world_size}, say"
            )
        return self.batch_size // world_size

    def _loader(
        self, dataset: Dataset, sampler: Any, make: type[DataLoader] = DataLoader, *, augment: bool
    ) -> DataLoader:
        world_size, _ = self._place()
        normalize = [v2.RGB(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(self.mean), list(self.std))]
        return make(
            dataset,
            batch_size=self.batch_size_per_process(world_size),
            sampler=sampler,
            collate_fn=Collate(
                each=self.resizing(augment),
                batch=v2.Compose([*self.augmentation(), *normalize] if augment else normalize),
            ),
            generator=torch.Generator(),  # torch's global one is only for the net
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )


class Collate:
    """Samples (uint8 image, label) -> (images, labels): `each` before the images are stacked, `batch` after.

    What can work on a whole batch does so: on small images a v2 transform costs the same for one image as for many.
    Training samples carry the seed of their looks as a third value; `each` draws from the sample's own seed, `batch`
    from that of the first sample.
    """

    def __init__(self, each: Callable[[Tensor], Tensor], batch: Callable[[Tensor], Tensor]) -> None:
        self.each = each
        self.batch = batch

    def __call__(self, samples: list[tuple[Any, ...]]) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) and int64 (B,)."""
        images, labels, *seeds = zip(*samples, strict=True)
        if seeds:
            images = self._draw(images, seeds[0])
        else:
            images = self.batch(torch.stack([self.each(image) for image in images]))
        return images, torch.tensor([int(label) for label in labels])

    def _draw(self, images: Sequence[Tensor], seeds: Sequence[int]) -> Tensor:
        if not isinstance(self.each, nn.Identity):
            images = [self._draw_each(image, seed) for image, seed in zip(images, seeds, strict=True)]
        with drawing_from(seeds[0]):
            return self.batch(torch.stack(list(images)))

    def _draw_each(self, image: Tensor, seed: int) -> Tensor:
        with drawing_from(seed):
            return self.each(image)
