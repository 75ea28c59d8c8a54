"""The docs are complete: rules, settings, commands, routes, errors. Their links lead somewhere."""

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer.main

from meterbell.api.call import Operation
from meterbell.api.errors import ANSWERS, UNEXPECTED
from meterbell.api.routes import OPERATIONS, OURS
from meterbell.api.v2.route import Route
from meterbell.api.v2.router import ROUTES
from meterbell.cli.main import app
from meterbell.settings import ENVIRONMENT_PREFIX, Settings
from tests.support.server import ServerProcess
from tests.support.tree import ROOT, files, modules, text_of
from tests.unit.test_errors import all_errors

ALL_ROUTES: list[Operation | Route] = [*OPERATIONS, *OURS, *ROUTES]
RULES = [
    *(f"C{number}" for number in range(1, 8)),
    *(f"A{number}" for number in range(1, 9)),
    *(f"D{number}" for number in range(1, 6)),
]
PAGES = [path for path in files(".md") if path.parts[0] in {"docs", "README.md", "CONTRIBUTING.md"}]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r'(?:src(?:set)?="|\]\()([^")\s]+\.webp)')
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def doc(name: str) -> str:
    return text_of(Path("docs") / name)


def test_names() -> set[str]:
    """Return the name of every test function."""
    return {
        name
        for path in modules("tests")
        for name in re.findall(r"^(?:async )?def (test_\w+)\(", text_of(path), re.MULTILINE)
    }


test_names.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_test_that_names_it(rule: str) -> None:
    part = f"_{rule.lower()}_"
    assert any(part in f"{name}_" for name in test_names())


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_explained_with_tests_that_exist(rule: str) -> None:
    sections = re.split(r"^### ", doc("rules.md"), flags=re.MULTILINE)
    section = next(text for text in sections if text.startswith(f"{rule} "))

    named = re.findall(r"^- `(test_\w+)`$", section, re.MULTILINE)

    assert named
    assert [test for test in named if test not in test_names()] == []
    assert all(f"_{rule.lower()}_" in test for test in named)


def test_every_setting_is_documented_with_its_default() -> None:
    page = doc("settings.md")
    for field in msgspec.structs.fields(Settings):
        match field.default:
            case None:
                default = "none"
            case bool() as flag:
                default = f"`{str(flag).lower()}`"
            case value:
                default = f"`{value}`"
        assert f"| `{field.name}` | {default} |" in page
    assert f"{ENVIRONMENT_PREFIX}QUEUE_MAX" in page


def test_the_settings_page_names_no_setting_that_does_not_exist() -> None:
    known = {field.name for field in msgspec.structs.fields(Settings)}
    assert set(re.findall(r"^\| `(\w+)` \|", doc("settings.md"), re.MULTILINE)) == known


def commands(command: Any, path: str) -> list[str]:  # noqa: ANN401 - typer has no public type
    """Return the command lines of all commands that do something."""
    children = getattr(command, "commands", None)
    if children is None:
        return [path]
    return [
        line
        for name, child in children.items()
        if not child.hidden
        for line in commands(child, f"{path} {name}")
    ]


def test_every_command_is_documented() -> None:
    page = doc("cli.md")
    assert [c for c in commands(typer.main.get_command(app), "meterbell") if c not in page] == []


def test_every_error_is_documented() -> None:
    assert [name for name in all_errors() if f"`{name}`" not in doc("errors.md")] == []


def test_every_code_of_v2_is_documented() -> None:
    codes = {answer.v2_code for answer in (*ANSWERS.values(), UNEXPECTED)}
    assert [code for code in codes if f"`{code}`" not in doc("errors.md")] == []


def test_the_errors_page_names_no_error_that_does_not_exist() -> None:
    assert set(re.findall(r"`(\w+Error)`", doc("errors.md"))) <= set(all_errors())


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(CODE.sub("", text_of(page)))
    local = [target for target in targets if not re.match(r"https?://", target)]
    assert [target for target in local if not leads_somewhere(page, target)] == []


def test_every_picture_is_small_and_shown() -> None:
    shown = set(PICTURE.findall("".join(text_of(page) for page in PAGES)))
    pictures = {path.name: (ROOT / path).stat().st_size for path in files(".webp")}

    assert [name for name, size in pictures.items() if size >= 60_000] == []
    assert {Path(place).name for place in shown} == set(pictures)


def leads_somewhere(page: Path, target: str) -> bool:
    """Return whether a link's file exists, and the heading in it that the link names."""
    name, _, anchor = target.partition("#")
    path = (page.parent / name) if name else page
    if not (ROOT / path).exists():
        return False
    return not anchor or anchor in {slug(text) for text in HEADING.findall(text_of(path))}


def slug(heading: str) -> str:
    """Return a heading's anchor."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def test_every_page_is_in_the_navigation() -> None:
    navigation = text_of(Path("zensical.toml"))
    pages = [path.relative_to("docs") for path in files(".md") if path.parts[0] == "docs"]
    assert [page for page in pages if f'"{page.as_posix()}"' not in navigation] == []


def test_every_dependency_has_its_reason() -> None:
    project = msgspec.toml.decode(text_of(Path("pyproject.toml")))
    groups = project["dependency-groups"]
    wanted = [*project["project"]["dependencies"], *itertools.chain(*groups.values())]
    names = {re.split(r"[^\w-]", entry)[0] for entry in wanted}
    page = doc("dependencies.md")
    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_every_route_is_documented() -> None:
    page = doc("api.md")
    rows = [f"| `{o.method} {o.path}` | {o.summary} |" for o in ALL_ROUTES]
    assert [row for row in rows if row not in page] == []


def test_the_api_page_names_no_route_that_does_not_exist() -> None:
    known = {f"{o.method} {o.path}" for o in ALL_ROUTES}
    known |= {"GET /docs", "GET /openapi.json", "GET /healthz", "GET /readyz"}
    assert set(re.findall(r"`((?:GET|POST|DELETE) /[^`]+)`", doc("api.md"))) == known


def test_the_tour_in_the_readme_prints_what_it_says(tmp_path: Path) -> None:
    readme = text_of(Path("README.md"))
    script = between(readme, "<!-- runnable -->\n```python\n", "```\n")
    expected = between(readme, "<!-- output -->\n```\n", "```\n")

    with ServerProcess(tmp_path / "data", key="sk_test_tour") as server:
        tour = tmp_path / "tour.py"
        tour.write_text(script.replace("http://127.0.0.1:4242", server.url))
        done = subprocess.run(
            [sys.executable, str(tour)], check=True, capture_output=True, text=True, timeout=60
        )

    assert done.stdout == expected


def between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]
