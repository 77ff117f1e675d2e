"""HTML and SVG as trees: what is text stays text, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

# What neither HTML nor XML may hold, not even escaped.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def node(name: str, attributes: Mapping[str, str] | None = None, *children: Element | str | None) -> Element:
    """Makes an element.

    Args:
        name: Its tag.
        attributes: Its attributes.
        children: Elements and texts, in their order; None is left out.
    """
    made = Element(name, {key: clean(value) for key, value in (attributes or {}).items()})
    for child in children:
        if isinstance(child, str):
            _append_text(made, clean(child))
        elif child is not None:
            made.append(child)
    return made


def nodes(name: str, texts: Iterable[Element | str]) -> list[Element]:
    """Makes an element of each child, such as the items of a list."""
    return [node(name, None, text) for text in texts]


def clean(text: str) -> str:
    """Replaces characters that no page may hold."""
    return FORBIDDEN.sub("\ufffd", text)


def as_html(root: Element) -> str:
    """Writes a page."""
    return "<!DOCTYPE html>\n" + ElementTree.tostring(root, encoding="unicode", method="html") + "\n"


def _append_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text
