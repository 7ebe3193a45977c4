"""The plan of the house: rooms, names, who may import whom, and how long a function may be."""

import ast
import collections
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("data_tools", "models_zoo", "tfgan_suite")
LONGEST_FUNCTION = 60
LONGEST_VARIANT = {"cgan": 220}  # lines of a variant's file; 150 for all others


def modules():
    """Name of every module -> its file; a package has the name of its folder."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports_of(name):
    """Modules of the three packages that a module imports, wherever in the file, for types alone, too; a dotted
    string that names a module, as in the tables that are loaded lazily, counts. The packages around a module do not."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value.partition(":")[0]} if "." in node.value else set()
    return found & MODULES.keys() - {name}


IMPORTS = {name: imports_of(name) for name in MODULES}


def cycle():
    """Modules that import each other in a circle, or None."""
    waiting = {name: set(found) for name, found in IMPORTS.items()}
    while free := [name for name, found in waiting.items() if not found]:
        for name in free:
            del waiting[name]
        for found in waiting.values():
            found.difference_update(free)
    return sorted(waiting) or None


def is_command(name):
    return 'if __name__ == "__main__":' in MODULES[name].read_text(encoding="utf-8")


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_no_two_modules_of_the_suite_share_a_name_with_each_other_or_the_standard_library():
    names = [name.rpartition(".")[2] for name in MODULES if name.startswith("tfgan_suite.")]
    assert [name for name, count in collections.Counter(names).items() if count > 1] == []
    assert set(names) & set(sys.stdlib_module_names) == set()


def test_the_top_of_the_suite_holds_commands_and_rooms():
    files = [path for path in (ROOT / "tfgan_suite").glob("*.py") if path.name != "__init__.py"]
    assert 0 < len(files) <= 16
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "def main(argv" in text and 'if __name__ == "__main__":' in text, f"{path.name} is no command"


def test_nothing_imports_in_a_circle():
    assert cycle() is None


def test_imports_go_one_way_and_no_part_imports_a_command():
    for name, found in IMPORTS.items():
        package = name.partition(".")[0]
        for other in found:
            if package != "tfgan_suite":
                assert other.partition(".")[0] == package, f"{name} imports {other}"
            assert not is_command(other), f"{name} imports the command {other}"


def test_the_finder_of_cycles_finds_one(monkeypatch):
    assert "data_tools.errors" in IMPORTS["data_tools.files"]
    monkeypatch.setitem(IMPORTS, "data_tools.errors", {"data_tools.files"})
    assert {"data_tools.errors", "data_tools.files"} <= set(cycle())


def test_no_function_is_longer_than_a_page():
    long = [
        f"{name}.{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for name, tree in TREES.items()
        for node in functions(tree)
        if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_library_code_does_not_assert():
    found = [name for name, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert found == []


def test_no_module_only_passes_names_on():
    """A module that defines nothing of its own would be a second home for what it imports."""
    empty = []
    for name, tree in TREES.items():
        own = [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr))]
        names = [node for node in own if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
        if len(own) == len(names) and any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in tree.body):
            empty.append(name)
    assert empty == []


def test_every_room_of_the_suite_is_mirrored_by_the_tests():
    rooms = {path.name for path in (ROOT / "tfgan_suite").iterdir() if (path / "__init__.py").is_file()}
    mirrored = {path.parent.name for path in (ROOT / "tests" / "tfgan_suite").glob("*/test_*.py")}
    assert mirrored == rooms


@pytest.mark.parametrize("place", sorted(set(__import__("models_zoo").VARIANTS.values())))
def test_a_variant_is_its_algorithm(place):
    """Its own `train_step`, at most 15 lines of it, and the losses it descends, in a file that fits on a wall."""
    name, _, kind = place.partition(":")
    lines = MODULES[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_VARIANT.get(name.rpartition(".")[2], 150)
    (variant,) = [node for node in TREES[name].body if isinstance(node, ast.ClassDef) and node.name == kind]
    own = {node.name: node for node in variant.body if isinstance(node, ast.FunctionDef)}
    assert {"train_step", "discriminator_loss", "generator_loss"} <= own.keys()
    first = own["train_step"].body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    code = own["train_step"].body[has_docstring:]
    assert code[-1].end_lineno - code[0].lineno + 1 <= 15
    assert len(MODULES["models_zoo.gan"].read_text(encoding="utf-8").splitlines()) <= 250
