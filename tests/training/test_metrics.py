import torch

from scconv_lab.data import IGNORE_INDEX
from scconv_lab.training.metrics import accuracies


def counted(logits: torch.Tensor, labels: torch.Tensor, k: int) -> float:
    hits = [label in row.topk(k).indices.tolist() for row, label in zip(logits, labels.tolist(), strict=True)]
    return sum(hits) / len(hits)


def test_accuracies_count_samples_over_batches_of_different_size() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(50, 10), torch.randint(0, 10, (50,))
    metrics = accuracies(10, prefix="val/")
    for part in (slice(0, 32), slice(32, 50)):
        metrics.update(logits[part], labels[part])
    values = metrics.compute()
    assert values["val/acc1"].item() == torch.tensor(counted(logits, labels, 1)).item()
    assert values["val/acc5"].item() == torch.tensor(counted(logits, labels, 5)).item()


def test_padding_counts_nowhere() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 10), torch.tensor([1, 2, 3, 4, IGNORE_INDEX, IGNORE_INDEX])
    with_padding, without = accuracies(10, prefix=""), accuracies(10, prefix="")
    with_padding.update(logits, labels)
    with_padding.update(logits[:2], torch.tensor([IGNORE_INDEX, IGNORE_INDEX]))
    without.update(logits[:4], labels[:4])
    assert with_padding.compute() == without.compute()


def test_a_first_batch_where_both_agree_does_not_merge_them() -> None:
    metrics = accuracies(6, prefix="")
    logits = torch.eye(6)
    metrics.update(logits, torch.arange(6))  # top-1 and top-5 both perfect
    metrics.update(logits, torch.arange(6).roll(1))  # top-1 all wrong
    values = metrics.compute()
    assert values["acc1"].item() == 0.5
    assert values["acc5"].item() > 0.5


def test_few_classes_make_acc5_one() -> None:
    metrics = accuracies(3, prefix="")
    metrics.update(torch.randn(9, 3), torch.randint(0, 3, (9,)))
    assert metrics.compute()["acc5"].item() == 1
