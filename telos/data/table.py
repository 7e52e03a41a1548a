"""Tables of numbers that come with recordings: csv (nothing needed) or parquet (needs pyarrow)."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from telos.errors import TelosError

SUFFIXES = (".csv", ".parquet")


class VideoImportError(TelosError):
    """Recordings cannot become an episode store: a file is unreadable, or the table does not fit."""


class Table:
    """Columns of equal length by name, from one csv or parquet file or from all those in a folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            files = sorted(file for file in self.path.rglob("*") if file.suffix.lower() in SUFFIXES)
        else:
            files = [self.path]
        if not files:
            raise VideoImportError(f"{self.path} holds no table: no file ends in {' or '.join(SUFFIXES)}.")
        parts = [_read(file) for file in files]
        for file, part in zip(files, parts, strict=True):
            if set(part) != set(parts[0]):
                raise VideoImportError(
                    f"{file} has the columns {list(part)}; {files[0]} has {list(parts[0])}."
                )
        self._columns = {name: [value for part in parts for value in part[name]] for name in parts[0]}

    def __len__(self) -> int:
        """The number of rows."""
        return len(next(iter(self._columns.values()), []))

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self._columns)

    def find(self, what: str, candidates: Sequence[str]) -> str:
        """The first of `candidates` that is a column; `VideoImportError` with near names if none is."""
        for name in candidates:
            if name in self._columns:
                return name
        near = [near for name in candidates for near in difflib.get_close_matches(name, self.names, n=2)]
        hint = f" Did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
        raise VideoImportError(
            f"{self.path} has no column for {what} ({' or '.join(candidates)}).{hint} "
            f"It has: {', '.join(self.names) or 'no columns'}."
        )

    def values(self, name: str) -> list[Any]:
        """A column as it was read."""
        return self._columns[self.find("this", [name])]

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """Columns side by side, float64 `[rows, k]`; an empty cell is NaN. A column may hold lists."""
        parts = []
        for name in names:
            values = self.values(name)
            try:
                column = np.array(_filled([_number(value) for value in values]), np.float64)
            except (TypeError, ValueError) as error:
                wrong = [row for row, value in enumerate(values) if not _is_number(value)]
                found = f"{values[wrong[0]]!r} in row {wrong[0]}" if wrong else "lists of different lengths"
                raise VideoImportError(
                    f"{self.path}: column '{name}' must hold numbers; got {found}."
                ) from error
            parts.append(column.reshape(len(values), -1))
        return np.concatenate(parts, axis=1)


def _number(value: Any) -> Any:
    if value is None or value == "":
        return np.nan
    return [_number(item) for item in value] if isinstance(value, list) else float(value)


def _filled(cells: list[Any]) -> list[Any]:
    """The cells of a column; in one of lists, as long a list of NaN for each that is empty."""
    width = next((len(cell) for cell in cells if isinstance(cell, list)), None)
    if width is None:
        return cells
    return [cell if isinstance(cell, list) or not np.isnan(cell) else [np.nan] * width for cell in cells]


def _is_number(value: Any) -> bool:
    try:
        _number(value)
    except (TypeError, ValueError):
        return False
    return True


def _read(file: Path) -> dict[str, list[Any]]:
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise VideoImportError(
            f"{file} must be a table that ends in {' or '.join(SUFFIXES)}; got '{suffix}'."
        )
    try:
        return _read_csv(file) if suffix == ".csv" else _read_parquet(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VideoImportError(f"{file} cannot be read: {error}.") from error


def _read_csv(file: Path) -> dict[str, list[Any]]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.reader(lines))
    rows = [row for row in rows if row]
    if not rows:
        raise VideoImportError(f"{file} is empty; its first line must name the columns.")
    names = [name.strip() for name in rows[0]]
    if len(set(names)) != len(names):
        raise VideoImportError(f"{file} names a column twice: {', '.join(names)}.")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise VideoImportError(f"{file}: row {number} has {len(row)} cells; the header has {len(names)}.")
    return {name: [row[column].strip() for row in rows[1:]] for column, name in enumerate(names)}


def _read_parquet(file: Path) -> dict[str, list[Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise VideoImportError(
            f"{file} needs pyarrow: pip install 'telos[video]', or save the table as csv."
        ) from error
    try:
        return parquet.read_table(file).to_pydict()
    except pyarrow.ArrowException as error:
        raise VideoImportError(f"{file} cannot be read: {error}.") from error
