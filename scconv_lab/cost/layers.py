"""Prints torchinfo's table of a net's layers."""

import re

import torchinfo

from scconv_lab.cost.show import print_csv, print_json


def print_layers(summary: torchinfo.ModelStatistics, file_format: str) -> None:
    """Print every layer's name, output and parameters: as torchinfo does, or as rows of CSV or JSON."""
    if file_format == "table":
        print(re.sub(r"Units\.(\w)\w+", r"\1", str(summary)))  # torchinfo 1.8.0 on Python 3.11: "Units.GIGABYTES"
        return
    rows = [
        {
            "depth": layer.depth,
            "name": layer.var_name,
            "type": layer.class_name,
            "output_size": "x".join(map(str, layer.output_size)),
            "params": max(layer.num_params, 0),
            "mult_adds": layer.macs,
        }
        for layer in summary.summary_list
    ]
    if file_format == "json":
        print_json(rows)
    else:
        print_csv(rows)
