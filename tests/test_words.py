"""The project's words: the field's standard terms, and names of things that exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from competition_utils import paths
from competition_utils.runs.parameters import read_parameters

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "competition_utils"
# A word that has a standard one instead: what to write, and the pattern that finds it.
BANNED = {
    "package": r"\brooms?\b(?! (?:heater|furniture|chairs?|lamp|decor))",
    "baseline": r"yardstick",
    "report, say": r"\b(?:told|tells?|telling)\b",
    "significant": r"\b(?:un)?certain(?:ly)?\b",
    "overrides": r"\bothers(?:=|: Mapping)",
    "cached": r"\bremember",
    "atomic write": r"appears?[_ ]whole",
    "rejection log": r"book of (?:refusals|rejections)",
    "max_similarity": r"\bguards?\b",
    "unsegmented": r"blankless",
    "implication, description": r"\"(?:so|says)\"|`says|\bsays:",
    "identical rows": r"rows alike",
    "a plain sentence": r"dear checks|slip of the finger|at home nowhere|given the benefit",
}
SEARCHED = (".py", ".md", ".ipynb", ".yaml", ".toml")
# What still has such words; the list only shrinks: an entry that needs it no longer fails a test below.
NOT_YET = (
    "competition_utils/settings/strategy.py",
    "tests/augment/",
    "tests/settings/test_strategy.py",
)


def tracked(*endings: str) -> list[Path]:
    """The files of the repository with one of the endings, as paths relative to its root."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True)
    return [Path(name) for name in listed.stdout.splitlines() if name.endswith(endings) and (ROOT / name).is_file()]


def lines_of(path: Path) -> Iterator[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    yield from text.splitlines()


FILES = [path for path in tracked(*SEARCHED) if path != Path(__file__).relative_to(ROOT)]


def lines_with(pattern: str, start: str | tuple[str, ...] = "") -> list[str]:
    """`file: line` of each line that the pattern finds, in files whose path starts with `start`."""
    of = [path for path in FILES if path.as_posix().startswith(start)]
    return [f"{path}: {line.strip()}" for path in of for line in lines_of(path) if re.search(pattern, line)]


@pytest.mark.parametrize("instead", BANNED)
def test_standard_terms_are_used(instead):
    found = lines_with(BANNED[instead])
    assert [line for line in found if not line.startswith(NOT_YET)] == []


@pytest.mark.parametrize("start", NOT_YET)
def test_what_is_not_searched_still_needs_it(start):
    assert any(lines_with(pattern, start) for pattern in BANNED.values())


# A path in backticks, or a document of docs/; what a run leaves is named as such paths too, and left out.
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|ipynb|yaml|tsv|txt|toml))`|\b(docs/\w+\.md|[A-Z]+\.md)\b")
OF_A_RUN = ("papermill_runs/", "submissions/", *(f"{stage}/" for stage in paths.STAGES))
DOTTED = re.compile(r"`(?:competition_utils\.)?([a-z_]+(?:\.[A-Za-z_]+)+)[`(]")
PLACEHOLDERS = re.compile(r"NAME|0n_")


def exists(name: str) -> bool:
    return name.startswith(OF_A_RUN) or any((root / name).exists() for root in (ROOT, PACKAGE, ROOT / "docs"))


def test_every_file_that_text_refers_to_exists():
    named = {match[1] or match[2] for path in FILES for line in lines_of(path) for match in PATH.finditer(line)}
    assert sorted(name for name in named if not PLACEHOLDERS.search(name) and not exists(name)) == []


def resolves(dotted: str) -> bool:
    """Whether `package.module.name` names a module of the package, and something that stands in it."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        module = PACKAGE.joinpath(*parts[:end])
        if module.with_suffix(".py").is_file():
            rest = parts[end:]
            text = module.with_suffix(".py").read_text(encoding="utf-8")
            return not rest or re.search(rf"\b{rest[0]}\b", text) is not None
        if module.is_dir():
            return end == len(parts)
    return False


def test_every_module_that_text_refers_to_exists():
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"settings"}  # the name of objects, too
    named = {match[1] for path in FILES for line in lines_of(path) for match in DOTTED.finditer(line)}
    assert sorted(name for name in named if name.split(".")[0] in packages and not resolves(name)) == []


def test_every_parameter_that_an_example_sets_exists():
    known = {name for stage in paths.STAGES for name in read_parameters(paths.notebook_path(stage))} | {"sample_rows"}
    example = re.compile(r"competition_utils (?:run|sweep)\b.*")
    lines = [found[0] for path in FILES for line in lines_of(path) if (found := example.search(line))]
    named = {match for line in lines for match in re.findall(r"-p ([a-z_]+)[\w.]*=", line)}
    assert named and named - known == set()


def test_the_newest_release_of_the_changelog_is_that_of_the_package():
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", log, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    releases = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in headings[1:]]
    assert all(releases) and releases == sorted(releases, key=lambda release: release[2], reverse=True)
    assert f'version = "{releases[0][1]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", log, re.MULTILINE)) <= kinds
