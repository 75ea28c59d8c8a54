"""What the source must look like, as far as the linters can't say it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.tree import files, modules, text_of

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

CODE = ("src", "tests", "bench")
MIGRATIONS = Path("src/meterbell/store/migrations/versions")
CLOCK_AND_IDS = {Path("src/meterbell/clock.py"), Path("src/meterbell/ids.py")}

# Written in two halves, so that this file does not hold them.
REGISTRIES = [
    "".join(halves)
    for halves in (
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("yarn", "pkg.com"),
        ("crates", ".io"),
    )
]
UNFINISHED = re.compile("|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b"]))
MACHINE_PATH = re.compile(r"(?<![\w.~:/-])/(?:root|home|Users|work)/\w")
BARE_NOQA = re.compile(r"#\s*noqa(?!: [A-Z]+[0-9]+)")
BARE_IGNORE = re.compile(r"#\s*type:\s*ignore(?!\[)")

WALL_CLOCK = {
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}
RANDOMNESS = {"random", "secrets", "uuid"}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path), filename=str(path))


def all_modules() -> list[Path]:
    return [path for folder in CODE for path in modules(folder)]


def places(pattern: re.Pattern[str], paths: list[Path] | tuple[Path, ...]) -> list[str]:
    """Return `path:line: text` wherever a pattern stands."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if pattern.search(line)
    ]


def test_modules_are_short() -> None:
    long = {
        str(path): lines
        for path in all_modules()
        if (lines := len(text_of(path).splitlines())) > MODULE_LINES_MAX
    }
    assert long == {}, f"at most {MODULE_LINES_MAX} lines; look for the second idea in the file"


def test_functions_are_short() -> None:
    long = {
        f"{path}:{node.name}": lines
        for path in all_modules()
        if not path.is_relative_to(MIGRATIONS)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert long == {}, f"at most {FUNCTION_LINES_MAX} lines"


def test_every_module_says_its_purpose() -> None:
    silent = [str(path) for path in all_modules() if not ast.get_docstring(tree_of(path))]
    assert silent == []


def test_c3_no_float_touches_a_value_in_the_engine() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in modules("src/meterbell/engine")
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div))
    ]
    assert found == [], "floats, and `/`, which makes one, are not exact"


def test_time_and_randomness_are_passed_in() -> None:
    found = [
        f"{path}: {name}"
        for path in modules("src")
        if path not in CLOCK_AND_IDS
        for name in sources_of_chance(tree_of(path))
    ]
    assert found == [], "only clock.py reads the time and only ids.py draws random numbers"


def sources_of_chance(tree: ast.Module) -> Iterator[str]:
    """Yield the calls of the machine's clock and the imports of random numbers."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name in RANDOMNESS)
            case ast.ImportFrom(module=str(module), names=names):
                if module in RANDOMNESS:
                    yield module
                yield from (
                    f"{module}.{alias.name}"
                    for alias in names
                    if f"{module}.{alias.name}" in WALL_CLOCK | {"os.urandom"}
                )
            case ast.Attribute(value=owner, attr=attribute):
                name = f"{ast.unparse(owner).rpartition('.')[2]}.{attribute}"
                if name in WALL_CLOCK | {"os.urandom"}:
                    yield name
            case _:
                pass


def test_nothing_is_left_for_later() -> None:
    assert places(UNFINISHED, all_modules()) == []


def test_silenced_checks_say_which() -> None:
    assert places(BARE_NOQA, all_modules()) == []
    assert places(BARE_IGNORE, all_modules()) == []


def test_no_file_names_a_package_registry() -> None:
    pattern = re.compile("|".join(map(re.escape, REGISTRIES)))
    assert places(pattern, files()) == []


def test_no_file_names_a_place_on_one_machine() -> None:
    assert places(MACHINE_PATH, files()) == []
