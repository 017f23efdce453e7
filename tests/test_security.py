"""What docs/SECURITY.md promises of the code as a whole: nothing that is read can run as a program."""

from __future__ import annotations

import ast
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import competition_utils

PACKAGE = Path(competition_utils.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))
RUNS_WHAT_IT_READS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNPACKS_TO_THE_DISK = {"extractall", "unpack_archive"}


def calls(path: Path) -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """Name (`np.load`) and keywords of each call in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg or "**": word.value for word in node.keywords}


def is_constant(value: ast.expr | None, expected: object) -> bool:
    return isinstance(value, ast.Constant) and value.value is expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_reads_nothing_in_a_way_that_could_run_it(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {alias.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    imported |= {(n.module or "").split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not imported & RUNS_WHAT_IT_READS
    for name, words in calls(path):
        last = name.rpartition(".")[2]
        assert name not in ("eval", "exec", "compile", "os.system", "os.popen"), name
        assert not is_constant(words.get("shell"), True), name
        assert not is_constant(words.get("trust_remote_code"), True), name
        assert last not in UNPACKS_TO_THE_DISK, name
        assert last != "read_pickle" and last != "to_pickle", name
        if name in ("np.load", "numpy.load"):
            assert is_constant(words.get("allow_pickle"), False), name
        if name == "torch.load":
            assert is_constant(words.get("weights_only"), True), name
        if name in ("yaml.load", "yaml.load_all"):
            assert "Loader" in words, name


def test_temporary_folders_are_private():
    with tempfile.TemporaryDirectory() as place:
        assert stat.S_IMODE(Path(place).stat().st_mode) == 0o700


def test_no_module_makes_a_temporary_file_with_a_name_one_can_guess():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert "mktemp(" not in text and not re.search(r"[\"']/tmp/", text), path


def test_each_test_that_the_threat_table_names_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) > 8
    assert not [name for name in named if not (ROOT / name).is_file()]
