"""The end of a log, for an error message."""

from pathlib import Path


def log_tail(path: Path, *, lines_max: int = 20, size_bytes_max: int = 16_384) -> list[str]:
    """The last lines of a text file; none when there is no such file."""
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            file.seek(max(0, size_bytes - size_bytes_max))
            text = file.read(size_bytes_max).decode(errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines_max:]
