"""Every text of the page has a line in each language's file, with the same places for values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import differnet.server
from tests.server.sentences import places, sentences, split

WEB = Path(differnet.server.__file__).parent / "web"
LANGUAGES = sorted(path.stem for path in (WEB / "js" / "texts").glob("*.js"))
TEXT = r'"((?:[^"\\\\]|\\\\.)*)"'


def used() -> set[str]:
    """The texts in the code and in the page."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (WEB / "js").glob("*.js") if path.name != "locale.js")
    texts = set(re.findall(rf"\bt\({TEXT}", code))
    for one in re.findall(rf"\bplural\([^\n]*?, {TEXT}\)", code):
        texts |= {one, f"{one}s"}
    texts |= set(re.findall(r"data-label aria-label=\"([^\"]+)\"", page()))
    texts |= set(re.findall(r"data-text>([^<]+)<", page()))
    return texts | set(re.findall(r"<title>([^<]+)<", page())) | {"accept", "review", "reject", "failed"}


def page() -> str:
    return (WEB / "index.html").read_text(encoding="utf-8")


def translations(language: str, folder: str = "texts") -> dict[str, str]:
    lines = (WEB / "js" / folder / f"{language}.js").read_text(encoding="utf-8").splitlines()
    pairs = [re.fullmatch(rf"  {TEXT}: {TEXT},", line) for line in lines if line.startswith('  "')]
    assert all(pairs)
    return {json.loads(f'"{pair[1]}"'): json.loads(f'"{pair[2]}"') for pair in pairs if pair}


def test_there_is_german() -> None:
    assert LANGUAGES == ["de"]
    assert len(used()) > 150


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_is_translated_with_the_same_values(language: str) -> None:
    found = translations(language)
    assert found.keys() == used()
    places = {text: set(re.findall(r"\{\w+\}", text)) for text in found}
    assert {text: set(re.findall(r"\{\w+\}", other)) for text, other in found.items()} == places


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_sentence_of_the_service_is_translated_with_all_its_values(language: str) -> None:
    found, said = translations(language, "sentences"), sentences()
    assert all(split(text) == [text] for text in found)
    missing = said - {places(text) for text in found}
    assert not missing
    values = {text: set(re.findall(r"\{\w+\}", text)) for text in found}
    assert {text: set(re.findall(r"\{\w+\}", other)) for text, other in found.items()} == values
    # Words that are put into a sentence, and sentences that end with another one, begin or end otherwise.
    assert not {text for text in found if places(text) not in said and text.endswith(".") and text[0].isupper()}
