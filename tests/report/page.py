"""A page as its elements, and a report written and read back as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from differnet import DifferNet
from differnet.evaluation.evaluate import Evaluation
from differnet.report import write_report


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """The elements of a page, each with the text within it; raises where tags do not match."""

    source: str
    elements: list[Element] = field(default_factory=list)

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []
        self.feed(self.source)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [e for e in self.elements if e.tag == tag and wanted.items() <= e.attributes.items()]

    def section(self, name: str) -> str:
        (element,) = self.all("section", **{"aria-labelledby": name})
        return plain(element.text)

    @property
    def text(self) -> str:
        (body,) = self.all("body")
        return plain(body.text)


def plain(text: str) -> str:
    return " ".join(text.split())


def write(model: DifferNet, evaluation: Evaluation, path: Path, title: str = "Bolts", credit: str = "") -> Page:
    write_report(model, evaluation, path, title=title, credit=credit)
    return Page(path.read_text(encoding="utf-8"))
