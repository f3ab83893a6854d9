"""What the net of one experiment costs: counted, and measured where that is asked for."""

from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any

import torch

from scconv_lab.complexity import Cost, count_cost, layer_summary
from scconv_lab.complexity.macs import meta_inputs
from scconv_lab.complexity.measure import Measurement, cases, device_name, find_device, measure_all
from scconv_lab.cost.layers import print_layers
from scconv_lab.cost.show import print_csv, print_json, print_table, progress, short
from scconv_lab.errors import UserError
from scconv_lab.fit.dry import build_classifier, build_data, parse_fit
from scconv_lab.messages import first_line
from scconv_lab.training import Classifier

Shape = tuple[int, int, int]


def report_experiment(
    keys: Sequence[str],
    *,
    experiment: str | None,
    image_shape: Shape | None,
    device: str | None,
    batch_size: int,
    layers: bool,
    file_format: str,
) -> None:
    """Print what ``scconv-lab cost`` is asked for.

    Args:
        keys: What a fit of the experiment is given: ``--config`` files and keys, bases expanded.
        experiment: Name of the experiment.
        image_shape: C, H and W of the image; None is that of the experiment's data.
        device: Where to measure; None only counts.
        batch_size: Images in a measured batch; 1 is measured too.
        layers: Whether to print torchinfo's table of the layers, and nothing else.
        file_format: "table", "csv" or "json".

    Raises:
        UserError: (a ValueError) if the experiment is not one, the net cannot take the image, or the device is not
            there.
    """
    target = find_device(device) if device else None
    settings = parse_fit(keys, experiment=experiment)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    classifier = build_classifier(settings, build_data(settings), with_values=target is not None)
    shape = image_shape or classifier.image_shape
    _require_fitting(classifier, shape, given=image_shape is not None)
    if layers:
        print_layers(layer_summary(classifier.net, shape), file_format)
        return
    cost = count_cost(classifier.net, shape)
    if file_format == "table":
        _print_counted(classifier, cost)
    measured = _measure(classifier, shape, target, batch_size) if target else []
    if file_format == "json":
        print_json(_document(classifier, cost, target, measured))
    elif file_format == "csv":
        print_csv([dict(zip(("part", "name", "figure", "value"), row, strict=True)) for row in _rows(cost, measured)])
    elif target:
        _print_measured(target, measured)
    else:
        print("measured  not asked for; --device cpu or --device cuda measures latency, throughput and memory")


def _require_fitting(classifier: Classifier, shape: Shape, *, given: bool) -> None:
    meta_net, images = meta_inputs(classifier.net, shape)
    try:
        meta_net(images)
    except (RuntimeError, ValueError, AssertionError) as error:
        own = ",".join(map(str, classifier.image_shape))
        size = ",".join(map(str, shape))
        raise UserError(
            f"{type(classifier.net).__name__} cannot take the image of {f'--input-size {size}' if given else '`data`'} "
            f"({first_line(error)}); "
            f"{f'that of `data` is {own}' if given else f'it is {size}, and --input-size C,H,W gives another'}"
        ) from error


def _measure(classifier: Classifier, shape: Shape, device: torch.device, batch_size: int) -> list[Measurement]:
    with progress(len(cases(device, batch_size))) as step:
        return list(measure_all(classifier.net, shape, device=device, batch_size=batch_size, progress=step))


def _rows(cost: Cost, measured: Sequence[Measurement]) -> list[tuple[str, str, str, float]]:
    return [*cost.rows(), *(row for measurement in measured for row in measurement.rows())]


def _document(
    classifier: Classifier, cost: Cost, device: torch.device | None, measured: Sequence[Measurement]
) -> dict[str, Any]:
    report = classifier.surgery_report
    return {
        "net": type(classifier.net).__name__,
        "surgery": str(report) if report else None,
        "image_shape": list(cost.image_shape),
        "counted": cost.figures(),
        "operators": [asdict(row) for row in cost.operators],
        "units": [{"unit": unit.unit, **unit.figures()} for unit in cost.units],
        "measured": device
        and {
            "device": device_name(device),
            "torch": str(torch.__version__),
            "backend": "reference",
            "cases": [{**asdict(row.case), **row.figures()} for row in measured],
        },
    }


def _print_counted(classifier: Classifier, cost: Cost) -> None:
    trainable = "all" if cost.params == cost.params_trainable else f"{cost.params_trainable:,}"
    print(f"net       {type(classifier.net).__name__}, {classifier.surgery_report or 'plain'}")
    print(f"image     {' x '.join(map(str, cost.image_shape))}, one in fp32; counted on the reference implementation")
    print(f"params    {cost.params:,}, {trainable} trainable")
    print(f"MACs      {cost.macs:,} = {cost.flops:,} FLOPs\n")
    print_table("part", *cost.params_by_part, rows=[("params", *(f"{n:,}" for n in cost.params_by_part.values()))])
    print()
    _print_operators(cost)
    _print_units(cost)


def _print_operators(cost: Cost) -> None:
    whys = list(dict.fromkeys(row.why for row in cost.operators if row.why))
    rows = [
        (row.operator, row.flop_counter, row.torchinfo, f"({whys.index(row.why) + 1})" if row.why else "")
        for row in cost.operators
    ]
    rows.append(("all", cost.macs, cost.macs_torchinfo, ""))
    columns = ("MACs of", "FlopCounterMode", "torchinfo", "difference", "")
    print_table(*columns, rows=[(name, f"{a:,}", f"{b:,}", f"{b - a:+,}", mark) for name, a, b, mark in rows])
    for number, why in enumerate(whys, 1):
        print(f"({number}) {why}")
    print()


def _print_units(cost: Cost) -> None:
    columns = ("", "sites", "params", "MACs", "point-wise", "norm", "reduced", "moved B", "least B")
    rows = [
        (unit.unit, f"{unit.count}", *map(short, (unit.params, unit.macs, *astuple(unit.work), unit.least_bytes)))
        for unit in cost.units
    ]
    rows.append(("the whole net", "", *map(short, (cost.params, cost.macs, *astuple(cost.work))), ""))
    print_table(*columns, rows=rows)
    print(
        "point-wise: operations, one an element of an output; norm, reduced: elements read;\n"
        "moved: bytes that the operators read and write, each on its own; least: input and\n"
        "params read, output written, once\n"
    )


def _print_measured(device: torch.device, measured: Sequence[Measurement]) -> None:
    print(f"measured  {device_name(device)}, torch {torch.__version__}, reference backend")
    if not any(row.case.precision == "bf16" for row in measured):
        print("          bf16 is left out: this device does not compute in it")
    print()
    columns = ("", "batch", "P50 ms", "P95 ms", "IQR ms", "images/s", "peak MB", "runs")
    rows = [
        (
            f"{row.case.precision} {row.case.execution} {row.case.step}",
            f"{row.case.batch_size}",
            *map(_digits, (row.p50_ms, row.p95_ms, row.iqr_ms, row.images_per_s)),
            f"{row.peak_memory_mb:,.1f}",
            f"{row.runs}",
        )
        for row in measured
    ]
    print_table(*columns, rows=rows)


def _digits(value: float) -> str:
    """Three digits, or all of a larger number's."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
