"""The command `scconv-lab export`: writes a checkpoint's net for other programs, and checks what it wrote."""

from scconv_lab.export.command import run
from scconv_lab.export.formats import FORMATS, Format, load_safetensors
from scconv_lab.export.parity import ParityError, require_parity
from scconv_lab.export.write import export

__all__ = ["FORMATS", "Format", "ParityError", "export", "load_safetensors", "require_parity", "run"]
