"""Tables of metrics with their intervals, for the terminal, papers, spreadsheets and programs.

A table is built once, with numbers; each writer decides how a cell looks. Text for people has three decimals, CSV and
JSON have all of them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any, TypeAlias

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from benchc_metrics.escaping import for_csv, for_latex, for_markdown, for_terminal
from benchc_metrics.metrics.registry import EVERY_METRIC, NOT_DEFINED, Metric
from benchc_metrics.statistics.estimates import Estimate, EstimatedRun

__all__ = [
    "TABLES_SCHEMA",
    "Cell",
    "Column",
    "Probability",
    "Table",
    "bars_of_rows",
    "metric_cell",
    "metric_column",
    "print_tables",
    "to_csv",
    "to_json",
    "to_latex",
    "to_markdown",
]

TABLES_SCHEMA = "benchc.tables/1"
"""Name and version of what `to_json` writes."""

UNDEFINED = "–"  # a dash is what papers print for no value

WIDEST_LABEL = 24
"""A longer name of a model takes two lines, as its metrics do with their intervals."""

LATEX_COLUMN = 234.0
"""Width of a column of a page of two columns, 3.25 inches, in points."""

LATEX_HEIGHT = 510.0
"""Height of a column, with its caption, in points: a little less than that of `article`."""

LATEX_LINE, LATEX_RULES = 9.6, 36.0
"""Points of a line in `footnotesize`, and of a tabular's head with its rules."""

LATEX_CAPTION_LINE, LATEX_CAPTION_LETTERS = 12.0, 38
"""Points of a line of a caption, and letters that have room on it."""

LATEX_GAP = 4.0
LATEX_LETTER, LATEX_NARROW, LATEX_WIDE = 4.25, 2.5, 6.7
"""Points of a digit, of a narrow letter such as a comma, and of a wide one such as a minus, in `footnotesize`."""

SMALL_LATEX = 0.94
"""Of that in `scriptsize`."""

LONG_LATEX_NAME = 14


class Probability(float):
    """A p-value, which is shown with four decimals."""


Bars: TypeAlias = "tuple[tuple[float | None, ...], ...]"
"""Shares of a whole bar, one a cell."""

BAR_WIDTH, SHORT_BAR_WIDTH = 7, 3
"""Characters of a whole bar; an interval below a value leaves room for more of them than one beside it."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"

Cell: TypeAlias = str | int | Probability | Estimate | None
"""None is an empty cell."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
        For programs: the key in JSON, the head in CSV.
    title : str
        For people.
    """

    name: str
    title: str


@dataclass(frozen=True)
class Table:
    """A table of metrics.

    Attributes
    ----------
    title : str
    columns : tuple of Column
        The first `labels` of them name a row.
    rows : tuple of tuples of Cell
        One cell a column.
    labels : int
    bars : tuple of tuples of (float or None)
        What a terminal draws beside the estimates, as shares of a whole bar in [-1, 1], one a cell; empty for none.
    on_one_line : bool
        Whether a terminal shows an interval beside its value and not below it.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    labels: int = 1
    bars: tuple[tuple[float | None, ...], ...] = ()
    on_one_line: bool = False


def metric_column(name: str) -> Column:
    """Head the column of a metric, with an arrow to its better end where it has one."""
    metric = EVERY_METRIC[name]
    arrow = {True: " ↑", False: " ↓", None: ""}[metric.higher_is_better]
    return Column(name, metric.label + arrow)


def metric_cell(estimated: EstimatedRun, metric: str, view: str | None = None) -> Cell:
    """Write a metric with its interval, or that it is not defined for this kind of run."""
    return estimated.of(metric, view) if EVERY_METRIC[metric].is_defined_for(estimated.run) else NOT_DEFINED


def bars_of_rows(rows: Sequence[Sequence[Cell]], metrics: Sequence[Sequence[str | None]]) -> Bars:
    """Return a table's bars: a metric with the range 0 to 1 in that range, another one beside its largest value.

    A metric without a direction has no bar, and neither has one value that has nothing beside it.

    Parameters
    ----------
    rows : sequence of sequence of Cell
    metrics : sequence of sequence of (str or None)
        The metric of each cell; None for one without a bar.

    Returns
    -------
    tuple of tuples of (float or None)
        Shares of a whole bar.
    """
    values = [
        [
            cell.value if name is not None and isinstance(cell, Estimate) and isfinite(cell.value) else None
            for cell, name in zip(row, names, strict=True)
        ]
        for row, names in zip(rows, metrics, strict=True)
    ]
    sizes: dict[str, list[float]] = {}
    for row, names in zip(values, metrics, strict=True):
        for value, name in zip(row, names, strict=True):
            if value is not None and name is not None:
                sizes.setdefault(name, []).append(abs(value))
    whole = {name: _whole_bar(EVERY_METRIC[name], of_metric) for name, of_metric in sizes.items()}
    return tuple(
        tuple(
            None if value is None or name is None or not whole[name] else value / whole[name]
            for value, name in zip(row, names, strict=True)
        )
        for row, names in zip(values, metrics, strict=True)
    )


def _whole_bar(metric: Metric, sizes: Sequence[float]) -> float:
    """Return the value of a whole bar; 0 where there is nothing to compare with."""
    if metric.higher_is_better is None:
        return 0.0
    if metric.maximum - metric.minimum == 1:
        return 1.0
    return max(sizes) if len(sizes) > 1 else 0.0


def print_tables(tables: Sequence[Table], notes: Sequence[str], console: Console, cautions: Sequence[str] = ()) -> None:
    """Print tables for a person; one wider than the console is cut into several with the same rows.

    Cautions stand before the tables, in bold and red.
    """
    for caution in cautions:
        console.print(for_terminal(caution), style="bold red", markup=False, highlight=False)
    for table in tables:
        console.print(for_terminal(table.title), style="bold", markup=False, highlight=False)
        for part in _cut_to_width(_without_idle_columns(table), console.width):
            console.print(_rich_table(part))
    for note in notes:
        console.print(for_terminal(note), style="italic", markup=False, highlight=False)


def to_markdown(tables: Sequence[Table]) -> str:
    """Write tables in GitHub's Markdown."""
    return "\n".join(_markdown_table(_without_idle_columns(table)) for table in tables)


def to_latex(tables: Sequence[Table]) -> str:
    r"""Write tables in LaTeX that fit a column of 3.25 inches and need `\usepackage{booktabs}`."""
    return "\n".join(_latex_table(_without_idle_columns(table)) for table in tables)


def to_csv(tables: Sequence[Table]) -> str:
    """Write tables of the same columns as one CSV: a metric takes three columns, itself, `_low` and `_high`.

    Raises
    ------
    ValueError
        If the tables' columns differ.
    """
    if len({table.columns for table in tables}) > 1:
        raise ValueError("tables of different columns do not fit into one CSV: write them one by one")
    rows = [row for table in tables for row in table.rows]
    is_estimate = [any(isinstance(row[place], Estimate) for row in rows) for place in range(len(tables[0].columns))]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(
        name
        for column, wide in zip(tables[0].columns, is_estimate, strict=True)
        for name in ((column.name, f"{column.name}_low", f"{column.name}_high") if wide else (column.name,))
    )
    for row in rows:
        writer.writerow(
            value
            for cell, wide in zip(row, is_estimate, strict=True)
            for value in (_csv_estimate(cell) if wide else [for_csv(cell) if isinstance(cell, str) else _plain(cell)])
        )
    return written.getvalue()


def to_json(tables: Sequence[Table], facts: dict[str, Any], notes: Sequence[str], cautions: Sequence[str] = ()) -> str:
    """Write tables in strict JSON: an estimate is `{"value", "low", "high"}`, and null is undefined or without limit.

    Parameters
    ----------
    tables : sequence of Table
    facts : dict
        How the metrics were made, written beside the tables.
    notes, cautions : sequence of str
    """
    written = {
        "schema": TABLES_SCHEMA,
        **facts,
        "cautions": list(cautions),
        "notes": list(notes),
        "tables": [
            {
                "title": table.title,
                "rows": [
                    {column.name: _json_cell(cell) for column, cell in zip(table.columns, row, strict=True)}
                    for row in table.rows
                ],
            }
            for table in tables
        ],
    }
    return json.dumps(written, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _number(value: float, decimals: int = 3) -> str:
    if not isfinite(value):
        return UNDEFINED
    # Adding zero makes the "-0.000" of a small negative number plain.
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def _value_and_interval(cell: Cell) -> tuple[str, str]:
    """Write a cell, and its interval beside it (empty where there is none)."""
    if cell is None:
        return "", ""
    if isinstance(cell, Estimate):
        interval = "" if isnan(cell.low) else f"[{_number(cell.low)}, {_number(cell.high)}]"
        return _number(cell.value), interval
    if isinstance(cell, Probability):
        return _number(cell, 4), ""
    return for_terminal(str(cell)), ""


def _on_one_line(cell: Cell) -> str:
    return " ".join(part for part in _value_and_interval(cell) if part)


def _rich_table(table: Table) -> RichTable:
    rich = RichTable(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), show_edge=not table.on_one_line)
    for place, column in enumerate(table.columns):
        is_label = place < table.labels
        rich.add_column(
            Text(column.title),
            justify="left" if is_label else "right",
            overflow="fold",
            max_width=WIDEST_LABEL if is_label else None,
        )
    for number, row in enumerate(table.rows):
        bars = table.bars[number] if table.bars else (None,) * len(row)
        rich.add_row(*(_rich_cell(cell, bar, table.on_one_line) for cell, bar in zip(row, bars, strict=True)))
    return rich


def _rich_cell(cell: Cell, share: float | None, on_one_line: bool) -> Text:
    """Write a cell; not as a string, in which rich would look for markup."""
    parts = [part for part in _value_and_interval(cell) if part]
    text = Text((" " if on_one_line else "\n").join(parts))
    if share is None or not parts:
        return text
    colour = "red" if share < 0 else "cyan"
    return Text.assemble((_bar(share, SHORT_BAR_WIDTH if on_one_line else BAR_WIDTH), colour), " ", text)


def _bar(share: float, width: int) -> str:
    """Draw a share of a whole bar from the left, in eighths of a character."""
    eighths = round(min(1.0, abs(share)) * width * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).strip()


def _cut_to_width(table: Table, width: int) -> list[Table]:
    """Cut a table into as few parts as fit, of even numbers of columns, each with the columns that name a row."""
    widths = [_text_width(table, place) + 2 for place in range(len(table.columns))]
    free = width - 2 - sum(min(label, WIDEST_LABEL + 2) for label in widths[: table.labels])
    places = range(table.labels, len(table.columns))
    for number in range(1, len(places) + 1):
        parts = [part.tolist() for part in np.array_split(places, number)]
        if all(sum(widths[place] for place in part) <= free for part in parts):
            break
    return [_with_columns(table, [*range(table.labels), *part]) for part in parts]


def _without_idle_columns(table: Table) -> Table:
    """Leave out what tells a person nothing: an empty column, and a name that all rows share beside another one."""
    places = [place for place in range(len(table.columns)) if any(row[place] is not None for row in table.rows)]
    for place in range(table.labels):
        labels = [each for each in places if each < table.labels]
        if place in labels and len(labels) > 1 and len({row[place] for row in table.rows}) == 1:
            places.remove(place)
    return _with_columns(table, places)


def _with_columns(table: Table, places: Sequence[int]) -> Table:
    return Table(
        table.title,
        tuple(table.columns[place] for place in places),
        tuple(tuple(row[place] for place in places) for row in table.rows),
        sum(place < table.labels for place in places),
        tuple(tuple(row[place] for place in places) for row in table.bars),
        table.on_one_line,
    )


def _text_width(table: Table, place: int) -> int:
    cells = [
        part
        for row in table.rows
        for part in ([_on_one_line(row[place])] if table.on_one_line else _value_and_interval(row[place]))
    ]
    width = SHORT_BAR_WIDTH if table.on_one_line else BAR_WIDTH
    room = width + 1 if any(row[place] is not None for row in table.bars) else 0
    values = [len(cell.partition(" ")[0]) + room for cell in cells] if not table.on_one_line else [0]
    words = table.columns[place].title.split()
    beside = room if table.on_one_line else 0
    return max(*(len(text) + beside for text in cells), *values, *map(len, words))


def _markdown_table(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(for_markdown(cell) for cell in cells) + " |"

    rule = ["---" if place < table.labels else "---:" for place in range(len(table.columns))]
    rows = [line([_on_one_line(cell) for cell in row]) for row in table.rows]
    return "\n".join(
        [f"**{for_markdown(table.title)}**", "", line([c.title for c in table.columns]), line(rule), *rows, ""]
    )


_LATEX_SYMBOLS = str.maketrans({"↑": r"$\uparrow$", "↓": r"$\downarrow$", UNDEFINED: "--"})


def _latex_text(text: str) -> str:
    return for_latex(text).translate(_LATEX_SYMBOLS)


def _latex_table(table: Table) -> str:
    """Write a table as wide as a column of a paper, and as many floats as it needs to be no longer than one."""
    floats = _latex_floats(table)
    written = []
    for place, parts in enumerate(floats):
        title = table.title if place == 0 else f"{table.title} (continued)"
        lines = [line for part in parts for line in (r"  \par\smallskip", *_latex_tabular(part))][1:]
        written.append(
            "\n".join(
                [
                    r"\begin{table}",
                    r"  \centering",
                    r"  \footnotesize",
                    f"  \\setlength{{\\tabcolsep}}{{{LATEX_GAP / 2:g}pt}}",
                    f"  \\caption{{{_latex_text(title)}}}",
                    *lines,
                    r"\end{table}",
                    "",
                ]
            )
        )
    return "\n".join(written)


def _latex_floats(table: Table) -> list[list[Table]]:
    """Share the parts of a table out over floats; what has no room beside the rest stands below it, or in the next."""
    room = LATEX_HEIGHT - LATEX_CAPTION_LINE * (2 + len(table.title) // LATEX_CAPTION_LETTERS)
    floats: list[list[Table]] = [[]]
    left = room
    for part in _latex_parts(table):
        for piece in _latex_pieces(part, room):
            height = _latex_height(piece)
            if floats[-1] and height > left:
                floats.append([])
                left = room
            floats[-1].append(piece)
            left -= height
    return floats


def _latex_pieces(part: Table, room: float) -> list[Table]:
    """Cut a part that is longer than a column between its rows."""
    pieces: list[list[tuple[Cell, ...]]] = [[]]
    left = room - LATEX_RULES
    for row in part.rows:
        height = _latex_row_height(row)
        if pieces[-1] and height > left:
            pieces.append([])
            left = room - LATEX_RULES
        pieces[-1].append(row)
        left -= height
    return [Table(part.title, part.columns, tuple(rows), part.labels) for rows in pieces]


def _latex_height(part: Table) -> float:
    return LATEX_RULES + sum(map(_latex_row_height, part.rows))


def _latex_row_height(row: tuple[Cell, ...]) -> float:
    return LATEX_LINE * (2 if any(_latex_lines(cell)[1] for cell in row) else 1)


def _latex_parts(table: Table) -> list[Table]:
    """Cut a table into as few parts as fit a column, each with the columns that name a row."""
    widths = [_latex_width(table, place) + LATEX_GAP for place in range(len(table.columns))]
    free = LATEX_COLUMN - sum(widths[: table.labels])
    places = range(table.labels, len(table.columns))
    parts = [list(places)]
    for number in range(1, len(places) + 1):
        parts = [part.tolist() for part in np.array_split(places, number)]
        if all(sum(widths[place] for place in part) <= free for part in parts):
            break
    return [_with_columns(table, [*range(table.labels), *part]) for part in parts]


def _latex_width(table: Table, place: int) -> float:
    """Estimate a column's width in points, rather too wide than too narrow."""
    cells = [_latex_lines(row[place]) for row in table.rows]
    small = 1.0 if place < table.labels else SMALL_LATEX
    if place < table.labels:
        # A hyphen is shorter than a minus.
        cells = [(value.replace("-", "."), below.replace("-", ".")) for value, below in cells]
    values = [_latex_text_width(value) for value, _ in cells]
    below = [small * _latex_text_width(text) for _, text in cells]
    return max(*values, *below, small * _latex_text_width(table.columns[place].title))


def _latex_text_width(text: str) -> float:
    wide = sum(letter.isupper() or letter in "mw-" or not letter.isascii() for letter in text)
    narrow = sum(letter in ".,:;()[]/!ijltI '" for letter in text)
    return LATEX_WIDE * wide + LATEX_NARROW * narrow + LATEX_LETTER * (len(text) - wide - narrow)


def _latex_lines(cell: Cell) -> tuple[str, str]:
    """Write a cell and what stands below it: its interval, or the rest of a long name after its last slash."""
    if isinstance(cell, str):
        owner, slash, name = cell.rpartition("/")
        return (owner + slash, name) if slash and name and len(cell) > LONG_LATEX_NAME else (cell, "")
    return _value_and_interval(cell)


def _latex_tabular(table: Table) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        # After the end of a row LaTeX takes a bracket for a distance.
        guard = "{}" if cells[0].startswith("[") else ""
        return f"    {guard}{' & '.join(cells)} \\\\"

    rows = []
    for row in table.rows:
        rows.append(line([_latex_cell(cell) for cell in row]))
        if any(_latex_lines(cell)[1] for cell in row):
            rows.append(line([_latex_below(cell) for cell in row]))
    titles = [_latex_text(column.title) for column in table.columns]
    heads = [title if place < table.labels else f"{{\\scriptsize {title}}}" for place, title in enumerate(titles)]
    alignment = "l" * table.labels + "r" * (len(table.columns) - table.labels)
    return [
        f"  \\begin{{tabular}}{{{alignment}}}",
        r"    \toprule",
        line(heads),
        r"    \midrule",
        *rows,
        r"    \bottomrule",
        r"  \end{tabular}",
    ]


def _latex_cell(cell: Cell) -> str:
    value, _ = _latex_lines(cell)
    if isinstance(cell, str):
        return _latex_text(value)
    return f"${value}$" if value and value != UNDEFINED else _latex_text(value)


def _latex_below(cell: Cell) -> str:
    _, text = _latex_lines(cell)
    if isinstance(cell, str) or not text:
        return _latex_text(text)
    return f"{{\\scriptsize ${text}$}}"


def _plain(cell: Cell) -> str | int | float | None:
    if isinstance(cell, float):
        return float(cell) if isfinite(cell) else None
    if isinstance(cell, Estimate):
        raise TypeError("an estimate is three numbers")
    return cell


def _csv_estimate(cell: Cell) -> list[float | None]:
    if not isinstance(cell, Estimate):
        return [None, None, None]
    return [value if isfinite(value) else None for value in cell]


def _json_cell(cell: Cell) -> Any:
    if isinstance(cell, Estimate):
        return {name: value if isfinite(value) else None for name, value in cell._asdict().items()}
    return _plain(cell)
