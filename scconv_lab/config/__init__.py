"""Reads configuration files: YAML, and the files that an experiment builds on."""

from scconv_lab.config.bases import expand_arguments, expand_bases, read_yaml

__all__ = ["expand_arguments", "expand_bases", "read_yaml"]
