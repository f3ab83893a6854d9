"""`python -m scconv_lab`: the same as the command `scconv-lab`."""

import sys

from scconv_lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
