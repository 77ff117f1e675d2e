"""Reads pages as a browser would, and complains about what it would have to mend or to fetch."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

VOID = {"meta", "link", "br", "img", "input", "hr"}
FETCHED = {"src", "href", "data", "srcset", "action", "poster", "xlink:href"}


@dataclass
class Page:
    """What is on a page.

    Attributes:
        text: Everything that can be read, white space made single.
        tags: The names of all elements.
        fetched: Attributes that make a browser fetch something.
        labels: What is said of pictures to those who do not see them.
    """

    text: str = ""
    tags: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page, self.open, self.words = Page(), [], []

    def handle_starttag(self, tag, attributes):
        self.page.tags.append(tag)
        self.page.fetched += [name for name, _ in attributes if name in FETCHED or name.startswith("on")]
        self.page.labels += [value for name, value in attributes if name == "aria-label"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


def read_page(path: Path) -> Page:
    """Reads a page; every element must be closed in its turn, and every picture be well-formed XML."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    for part in text.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + part.partition("</svg>")[0] + "</svg>")
    assert "url(" not in text
    assert "@import" not in text
    reader.page.text = " ".join(" ".join(reader.words).split())
    return reader.page
