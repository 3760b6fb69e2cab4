"""Rules of this repository that no linter knows. They hold on a partial tree too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST_MODULE = 400
OWN_FOLDERS = ("dataflow_*", "plugins", "tests", "examples", "benchmarks", "scripts")

# A module of the core imports from its own layer and from lower ones.
LAYERS = {
    "environment": 0,
    "errors": 0,
    "features": 0,
    "limits": 0,
    "naming_hints": 0,
    "settings": 0,
    "types": 0,
    "url": 0,
    "uuid7": 0,
    "schema": 1,
    "aggregate": 2,
    "expressions": 2,
    "filters": 2,
    "order": 2,
    "updates": 2,
    "operations": 3,
    "compile": 4,
    "contract": 5,
    "dialect": 5,
    "run": 6,
    "evolve": 7,
    "nodes": 8,
    "transfer": 8,
    "workflow": 9,
    "app": 10,
    # Beside the layers: these may import anything, and no layer imports them.
    "conformance": 99,
    "__init__": 99,
}

# (importing module, imported module): the reason why this one import may go upwards.
UPWARDS: dict[tuple[str, str], str] = {}

# Where a plugin author may import from; within them, the names in `__all__`.
PUBLIC_MODULES = {
    "dataflow_core",
    "dataflow_core.aggregate",
    "dataflow_core.compile",
    "dataflow_core.conformance",
    "dataflow_core.conformance.servers",
    "dataflow_core.contract",
    "dataflow_core.dialect",
    "dataflow_core.errors",
    "dataflow_core.expressions",
    "dataflow_core.features",
    "dataflow_core.filters",
    "dataflow_core.naming_hints",
    "dataflow_core.operations",
    "dataflow_core.schema",
    "dataflow_core.types",
    "dataflow_core.updates",
}

DIALECT_NAMES = re.compile("sqlite|postgres|mysql|mariadb|asyncpg|psycopg|aiomysql", re.IGNORECASE)
# Put together here, so that this file does not hold the words itself.
LEFT_OPEN = re.compile(rf"\b({'TO' + 'DO'}|{'FIX' + 'ME'}|{'X' * 3})\b")
SKIPS = {"skip", "skip" + "if", "import" + "orskip", "skip" + "Test"}
FRAGMENT = re.compile(r"[a-z0-9][a-z0-9-]*\.(feature|fix|change)\.md")


def python_files(*patterns: str) -> list[Path]:
    """The Python files below the folders that match, build leftovers left out."""
    folders = [folder for pattern in patterns for folder in ROOT.glob(pattern)]
    files = {file for folder in folders for file in folder.rglob("*.py")}
    return sorted(file for file in files if not {"build", "__pycache__"} & set(file.parts))


@cache
def tree(file: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def place(file: Path, node: ast.AST | None = None) -> str:
    """Where something stands, as an editor understands it."""
    line = f":{getattr(node, 'lineno', 1)}" if node is not None else ""
    return f"{file.relative_to(ROOT)}{line}"


def module_name(file: Path) -> str:
    """The dotted name of a file of the checkout."""
    parts = list(file.relative_to(ROOT).with_suffix("").parts)
    if parts[0] == "plugins":
        parts = parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    """Whether the dotted name is a module or package of the checkout."""
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def from_module(file: Path, node: ast.ImportFrom) -> str:
    """The absolute name of the module that a `from ... import` names."""
    if node.level == 0:
        return node.module or ""
    base = module_name(file).split(".")
    up = node.level - (1 if file.name == "__init__.py" else 0)
    parts = base[: len(base) - up] if up else base
    return ".".join([*parts, *([node.module] if node.module else [])])


def imports(file: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every module that the file imports, wherever in the file: also for types, also late."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = from_module(file, node)
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield node, inner if is_module(inner) else module


def core_part(name: str) -> str:
    """The part of the core that a dotted name belongs to: `errors`, `schema`, ..."""
    return [*name.split("."), "__init__"][1]


@cache
def public_names(module: str) -> frozenset[str]:
    """The names in `__all__` of a module of the checkout."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        return frozenset()
    for node in tree(file).body:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        named = any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)
        if named and isinstance(node.value, ast.List | ast.Tuple):
            elements = node.value.elts
            return frozenset(
                str(element.value) for element in elements if isinstance(element, ast.Constant)
            )
    return frozenset()


def test_no_module_is_too_long() -> None:
    """No module is longer than 400 lines."""
    lengths = {
        place(file): len(file.read_text(encoding="utf-8").splitlines())
        for file in python_files(*OWN_FOLDERS)
    }
    assert not {name: count for name, count in lengths.items() if count > LONGEST_MODULE}


def test_the_core_names_no_dialect() -> None:
    """No file of the core holds the name of a dialect or of a driver, not even in a comment."""
    found = [
        f"{place(file)}:{number}: {line.strip()}"
        for file in python_files("dataflow_core")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if DIALECT_NAMES.search(line)
    ]
    assert not found, "\n".join(found)


def test_the_core_imports_downwards() -> None:
    """A module of the core imports from its own layer or a lower one; late imports count too."""
    wrong = []
    for file in python_files("dataflow_core"):
        own = core_part(module_name(file))
        if own not in LAYERS:
            wrong.append(f"{place(file)}: give `{own}` a layer in the table of this test")
            continue
        for node, name in imports(file):
            if name.split(".")[0] != "dataflow_core":
                continue
            other = core_part(name)
            if (module_name(file), name) in UPWARDS:
                continue
            if LAYERS.get(other, 100) > LAYERS[own]:
                wrong.append(f"{place(file, node)}: {own} imports {other}, which is above it")
    assert not wrong, "\n".join(wrong)


def test_the_core_imports_no_plugin() -> None:
    """The core imports no other first-party package."""
    wrong = [
        f"{place(file, node)}: {name}"
        for file in python_files("dataflow_core")
        for node, name in imports(file)
        if name.startswith("dataflow") and name.split(".")[0] != "dataflow_core"
    ]
    assert not wrong, "\n".join(wrong)


def test_each_exception_of_the_layers_is_used() -> None:
    """An entry of the table of upward imports names an import that exists and gives a reason."""
    existing = {
        (module_name(file), name)
        for file in python_files("dataflow_core")
        for _, name in imports(file)
    }
    assert UPWARDS.keys() <= existing
    assert all(reason.strip() for reason in UPWARDS.values())


def test_plugins_use_public_names_only() -> None:
    """A first-party plugin imports what a stranger may: public names of public modules."""
    wrong = []
    plugins = [folder.name for folder in ROOT.glob("dataflow_*") if folder.name != "dataflow_core"]
    for file in python_files(*plugins, "plugins/*", "examples/dataflow_*"):
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
                if any(name.split(".")[0] == "dataflow_core" for name in names):
                    wrong.append(f"{place(file, node)}: write `from dataflow_core... import name`")
            elif isinstance(node, ast.ImportFrom):
                module = from_module(file, node)
                if module.split(".")[0] != "dataflow_core":
                    continue
                if module not in PUBLIC_MODULES:
                    wrong.append(f"{place(file, node)}: {module} is not public")
                    continue
                wrong += [
                    f"{place(file, node)}: {alias.name} is not in {module}.__all__"
                    for alias in node.names
                    if alias.name not in public_names(module)
                ]
    assert not wrong, "\n".join(wrong)


def test_examples_of_dialects_extend_what_is_published() -> None:
    """An example imports, of the dialect that it extends, names in the `__all__` of its modules."""
    wrong = [
        f"{place(file, node)}: {alias.name} is not in {module}.__all__"
        for file in python_files("examples/dataflow_*")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ImportFrom) and is_module(module := from_module(file, node))
        for alias in node.names
        if not is_module(f"{module}.{alias.name}") and alias.name not in public_names(module)
    ]
    assert not wrong, "\n".join(wrong)


# Lines of Python: a relative of another dialect, and an engine of its own.
LONGEST_DIALECTS = {"examples/dataflow_sqlcipher": 300, "examples/dataflow_duckdb": 800}


def test_examples_of_dialects_are_short() -> None:
    """A relative of a dialect takes fewer than 300 lines, an unrelated engine fewer than 800."""
    for folder, most in LONGEST_DIALECTS.items():
        lengths = [len(file.read_text("utf-8").splitlines()) for file in python_files(folder)]
        assert 0 < sum(lengths) < most, folder


FIRST_PARTY = ("dataflow_sqlite", "dataflow_postgres", "dataflow_mysql")
# MariaDB is a product, which is told from MySQL by what the server says, and no dialect.
NAMES_OF_DIALECTS = {"sqlite", "sqlite3", "postgres", "postgresql", "mysql"}


def test_dialects_are_made_of_the_same_files() -> None:
    """Whoever knows one dialect finds his way in another: the three folders hold the same files.

    A dialect may have packages of its own beside them.
    """
    names = {
        folder: {file.name for file in (ROOT / folder).iterdir() if file.is_file()}
        for folder in FIRST_PARTY
        if (ROOT / folder).is_dir()
    }
    assert all(found == next(iter(names.values())) for found in names.values()), names


def test_nothing_depends_on_the_name_of_a_dialect() -> None:
    """No code that is shipped compares a name with that of a dialect: what differs is a method of
    the dialect, or a feature that it declares."""
    others = {folder.name.removeprefix("dataflow_") for folder in ROOT.glob("examples/dataflow_*")}
    names = NAMES_OF_DIALECTS | others
    found = []
    for file in python_files("dataflow_*", "plugins", "examples/dataflow_*"):
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Compare):
                compared: list[ast.AST] = [node.left, *node.comparators]
            elif isinstance(node, ast.MatchValue):
                compared = [node.value]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                compared = [*node.args] if node.func.attr in {"startswith", "endswith"} else []
            else:
                continue
            constants = (part for side in compared for part in ast.walk(side))
            if any(isinstance(part, ast.Constant) and part.value in names for part in constants):
                found.append(f"{place(file, node)}: {ast.unparse(node)}")
    assert not found, "\n".join(found)


def test_public_modules_say_what_is_public() -> None:
    """Each public module that exists has an `__all__`."""
    existing = {
        module
        for module in PUBLIC_MODULES
        if ROOT.joinpath(*module.split("."), "__init__.py").is_file()
        or ROOT.joinpath(*module.split(".")).with_suffix(".py").is_file()
    }
    assert not {module for module in existing if not public_names(module)}


def test_each_test_states_its_rule() -> None:
    """Each test function has a docstring."""
    silent = [
        place(file, node)
        for file in python_files("tests")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test")
        and not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_no_test_is_left_out() -> None:
    """No test is skipped: what cannot run fails, or is declared in a feature table."""
    found = [
        place(file, node)
        for file in python_files("tests", "dataflow_core/conformance")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute) and node.attr in SKIPS
        if re.search(r"(^|\.)(pytest|mark|unittest|self)$", ast.unparse(node.value))
    ]
    assert not found, "\n".join(found)


def test_nothing_is_left_open() -> None:
    """No file says that something is still to be done."""
    found = [
        f"{place(file)}:{number}: {line.strip()}"
        for file in python_files(*OWN_FOLDERS)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if LEFT_OPEN.search(line)
    ]
    assert not found, "\n".join(found)


def test_no_exception_is_swallowed() -> None:
    """No handler of every exception does nothing."""
    found = [
        place(file, node)
        for file in python_files(*OWN_FOLDERS)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and all(
            isinstance(step, ast.Pass | ast.Continue)
            or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
            for step in node.body
        )
    ]
    assert not found, "\n".join(found)


def test_changelog_fragments_have_a_kind_and_a_text() -> None:
    """Each fragment is called `<number or slug>.<feature|fix|change>.md` and says something."""
    files = [file for file in (ROOT / "changelog.d").iterdir() if file.name != "README.md"]
    wrong = [file.name for file in files if not FRAGMENT.fullmatch(file.name)]
    assert not wrong
    assert not [file.name for file in files if not file.read_text(encoding="utf-8").strip()]
