"""What all pages have in common: head, sections, tables, figures, legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from bertx.atomic import write_text
from bertx.report.charts.axes import Mark, swatch
from bertx.report.markup import as_html, node
from bertx.report.style import CSS


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: What it shows.
        kind: `number`, `text`, `name`, or empty: how its cells are set.
        axis: What stands in its head in place of the title: the scale of the pictures in its cells.
    """

    title: str
    kind: str = ""
    axis: Element | None = None


def write_page(path: Path, title: str, children: Sequence[Element | None]) -> Path:
    """Writes a page.

    Args:
        path: The file.
        title: What the window is called.
        children: What is on it.

    Returns:
        The file.

    Raises:
        DataError: It cannot be written.
    """
    head = node(
        "head",
        None,
        node("meta", {"charset": "utf-8"}),
        node("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        node("title", None, title),
        node("style", None, CSS),
    )
    write_text(path, as_html(node("html", {"lang": "en"}, head, node("body", None, *children))))
    return path


def heading(kicker: str, title: str) -> Element:
    """Makes the head of a page: what it is, and of what."""
    return node("header", None, node("div", {"class": "kicker"}, kicker), node("h1", None, title))


def section(title: str, *children: Element | None) -> Element:
    """Makes a section."""
    return node("section", None, node("h2", None, title), *children)


def paragraph(text: str, kind: str = "") -> Element:
    """Makes a paragraph: plain, or of the kind `note` or `summary`."""
    return node("p", {"class": kind} if kind else None, text)


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Element | str]], *, cards: bool = False
) -> Element:
    """Makes a table that scrolls by itself where it is too wide; the first cell of a row is its head.

    Args:
        columns: Their heads.
        rows: The cells.
        cards: Whether every row is a card of its own on a phone.
    """
    head = node(
        "tr",
        None,
        *(_cell("th", column, column.title if column.axis is None else column.axis) for column in columns),
    )
    body = [
        node(
            "tr",
            None,
            *(
                _cell("td" if number else "th", column, cell)
                for number, (column, cell) in enumerate(zip(columns, row, strict=True))
            ),
        )
        for row in rows
    ]
    whole = node("table", None, node("thead", None, head), node("tbody", None, *body))
    # A part that scrolls must be reachable by keyboard.
    kind = "scroll cards" if cards else "scroll"
    return node("div", {"class": kind, "tabindex": "0", "role": "region", "aria-label": "table"}, whole)


def _cell(tag: str, column: Column, content: Element | str) -> Element:
    attributes = {"class": column.kind} if column.kind else {}
    return node(tag, attributes | ({"data-label": column.title} if tag == "td" else {}), content)


def figure(title: str, caption: str, chart: Element) -> Element:
    """Makes a figure: its title, in the same line what else is to know, and the chart."""
    told = node("figcaption", None, node("strong", None, title), f" {caption}" if caption else None)
    return node("figure", None, told, chart)


def facets(figures: Sequence[Element], *, wide: bool = False) -> Element:
    """Sets figures side by side, as many as there is room for; wide ones at most two."""
    return node("div", {"class": "facets wide" if wide else "facets"}, *figures)


def legend(marks: Mapping[str, Mark]) -> Element:
    """Explains the marks of charts; it stands beside them, so that it covers nothing."""
    return node(
        "ul", {"class": "legend"}, *(node("li", None, swatch(mark), name) for name, mark in marks.items())
    )


def number_with_range(number: str, interval: str | None) -> Element | str:
    """Sets a number, and its interval below it."""
    if interval is None:
        return number
    return node("span", None, number, node("span", {"class": "range"}, interval))
