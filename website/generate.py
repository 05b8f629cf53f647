"""A hook of MkDocs: pages of reference, written from the code itself, so that they cannot be out of date."""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

import differnet
from differnet.cli.main import app
from differnet.server.app import build_app
from differnet.server.limits import Limits
from differnet.server.station import Station
from differnet.server.storage.database import Database
from differnet.settings import Settings, preset

PROJECT = Path(__file__).parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {
        "reference/commands.md": commands_page(),
        "reference/settings.md": settings_page(),
        "reference/python.md": python_page(),
        "reference/http.md": http_page(),
        "examples.md": examples_page(),
        **{f"{name.lower()}.md": root_page(name) for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")},
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Pages of the repository's root lie beside the others here."""
    return re.sub(r"\]\(\.\./(CHANGELOG|CONTRIBUTING|SECURITY)\.md", lambda found: f"]({found[1].lower()}.md", markdown)


def root_page(name: str) -> str:
    """A page of the repository's root, with its links as they are from here."""
    text = (PROJECT / f"{name}.md").read_text(encoding="utf-8").replace("](docs/", "](")
    return re.sub(r"\]\((CHANGELOG|CONTRIBUTING|SECURITY)\.md", lambda found: f"]({found[1].lower()}.md", text)


def examples_page() -> str:
    """The readme of the examples, each with its text below."""
    folder = PROJECT / "examples"
    text = (folder / "README.md").read_text(encoding="utf-8")
    parts = [re.sub(r"\]\((\w+)/([\w.]+)\)", lambda found: f"](#{re.sub('[^a-z_]', '', found[2])})", text)]
    for path in re.findall(r"\]\((\w+/[\w.]+)\)", text):
        language = {".py": "py", ".mjs": "js", ".cpp": "cpp"}[Path(path).suffix]
        code = (folder / path).read_text(encoding="utf-8")
        parts.append(f"## {Path(path).name}\n\n```{language}\n{code.strip()}\n```\n")
    return "\n".join(parts)


def commands_page() -> str:
    """What every command says of itself."""
    parts = ["# Commands\n\nWritten from the commands themselves: what `differnet COMMAND --help` prints.\n"]
    for path in _commands(typer.main.get_command(app), ()):
        told = CliRunner().invoke(app, [*path, "--help"], prog_name="differnet", env={"COLUMNS": "100"}).output
        parts.append(f"## differnet {' '.join(path)}\n\n```text\n{told.strip()}\n```\n")
    return "\n".join(parts)


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:  # noqa: ANN401 - typer's or click's
    if hasattr(command, "commands"):
        for name in sorted(command.commands):
            yield from _commands(command.commands[name], (*path, name))
    else:
        yield path


def settings_page() -> str:
    """Every setting: type, bounds, the presets' values, meaning."""
    presets = {name: preset(name) for name in ("default", "paper", "fast")}
    parts = [
        "# Settings\n\nWritten from `differnet.settings`. Set one by `--set NAME=VALUE`, in a recipe, or by "
        "`Settings.with_overrides`; a preset is chosen by `--preset`.\n"
    ]
    for name, field in Settings.model_fields.items():
        if not (inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel)):
            parts.append(f"## {name}\n\n{_attributes(Settings)[name]}\n")
            parts.append(_settings_table([(name, name, field, _attributes(Settings))], presets))
            continue
        told = _attributes(field.annotation)
        rows = [(f"{name}.{key}", key, each, told) for key, each in field.annotation.model_fields.items()]
        parts.append(f"## {name}\n\n{(inspect.getdoc(field.annotation) or '').partition(chr(10))[0]}\n")
        parts.append(_settings_table(rows, presets))
    return "\n".join(parts)


def _settings_table(rows: list[tuple[str, str, FieldInfo, dict[str, str]]], presets: dict[str, Settings]) -> str:
    lines = [f"| name | type | {' | '.join(presets)} | meaning |", "|---" * (3 + len(presets)) + "|"]
    for path, key, field, told in rows:
        values = " | ".join(f"`{_value(settings, path)}`" for settings in presets.values())
        kind = re.sub(r"typing\.|differnet\.[\w.]+\.|<class '([\w.]+)'>", r"\1", str(field.annotation))
        signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
        limits = [(sign, getattr(each, key, None)) for each in field.metadata for key, sign in signs.items()]
        bounds = ", ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)
        kind = f"{kind}, {bounds}" if bounds else kind
        lines.append(f"| `{path}` | {_cell(kind)} | {values} | {_cell(told.get(key, ''))} |")
    return "\n".join(lines) + "\n"


def _value(settings: Settings, path: str) -> object:
    value: object = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _attributes(model: type[BaseModel]) -> dict[str, str]:
    """What a Google docstring says of each attribute."""
    section = (inspect.getdoc(model) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=    \w+: )", "\n" + section)[1:]:
        name, _, text = block.strip().partition(": ")
        found[name] = re.split(r"\n\n|\n(?=\w)", text)[0].replace("\n", " ")
    return found


def python_page() -> str:
    """Every public name of the package."""
    parts = [
        "# Python\n\nAll of this is imported from `differnet`; other names are not meant for use from outside and may "
        "change, but for those that [extending](../extending.md) describes.\n"
    ]
    for name in sorted(differnet.__all__, key=lambda name: (name.endswith("Error"), name != "DifferNet", name)):
        if name == "__version__":
            continue
        home = differnet._HOMES[name]
        parts.append(f"## {name}\n\n::: {_defined(home, name)}\n")
    return "\n".join(parts)


def _defined(home: str, name: str) -> str:
    found = getattr(differnet, name)
    module = getattr(found, "__module__", home)
    return f"{module if module.startswith('differnet') else _alias_home(name, home)}.{name}"


def _alias_home(name: str, home: str) -> str:
    return "differnet.images.given" if name.startswith("Given") else home


def http_page() -> str:
    """Every path of the HTTP API, from the service's own description."""
    with tempfile.TemporaryDirectory() as folder:
        station = Station(
            Path(folder), Path(folder), Database.in_folder(Path(folder)), limits=Limits(), keys_required=True
        )
        described = build_app(station).openapi()
    parts = [
        "# HTTP API\n\nWritten from the service's own OpenAPI description, which it serves at `/openapi.json`. "
        "Keys go into the header `X-API-Key`; see [the service](../service.md).\n"
    ]
    for path, methods in described["paths"].items():
        for method, about in methods.items():
            parts.append(f"## {method.upper()} {path}\n\n{about.get('description', about.get('summary', ''))}\n")
            parameters = about.get("parameters", [])
            if parameters:
                rows = (
                    f"| `{each['name']}` | {each['in']} | {'yes' if each.get('required') else 'no'} | "
                    f"{_cell(each.get('description', ''))} |"
                    for each in parameters
                )
                parts.append("| parameter | in | required | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
            answers = ", ".join(
                f"{status} {each.get('description', '')}" for status, each in about["responses"].items()
            )
            parts.append(f"Answers: {answers}.\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
