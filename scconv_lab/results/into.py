"""Puts results into a text between two markers, so that its numbers are those of the ledger."""

from pathlib import Path

from scconv_lab.errors import UserError
from scconv_lab.run_folder.files import write_whole


def put_into(file: Path, name: str, text: str) -> bool:
    """Replace what stands between ``<!-- results NAME -->`` and ``<!-- end of results NAME -->``.

    Args:
        file: Of Markdown.
        name: Of the results.
        text: Their new text.

    Returns:
        Whether the file has changed.

    Raises:
        UserError: (a ValueError) if the file is not there, or has no such markers.
    """
    start, end = f"<!-- results {name} -->\n", f"<!-- end of results {name} -->"
    try:
        before = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--into {file} cannot be read ({error}); name a file of Markdown") from error
    if before.count(start) != 1 or before.count(end) != 1 or before.index(start) > before.index(end):
        raise UserError(f"--into {file} needs a line {start.strip()!r} and a line {end!r} after it, each once")
    head, _, rest = before.partition(start)
    after = f"{head}{start}{text}{end}{rest.partition(end)[2]}"
    if after != before:
        write_whole(file, after)
    return after != before
