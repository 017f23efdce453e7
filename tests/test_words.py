"""The project's words: the field's standard terms, and names of things that exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A word that has a standard one instead: what to write, and the pattern that finds it.
BANNED = {
    "package": r"\brooms?\b(?! (?:heater|furniture|chairs?|lamp|decor))",
    "baseline": r"yardstick",
    "report, say": r"\b(?:told|tells?|telling)\b",
    "significant": r"\b(?:un)?certain(?:ly)?\b",
    "overrides": r"\bothers=",
    "cached": r"\bremember",
    "atomic write": r"appears?[_ ]whole",
    "rejection log": r"book of (?:refusals|rejections)",
    "max_similarity": r"\bguards?\b",
    "unsegmented": r"blankless",
    "implication, description": r"\"(?:so|says)\"|`says|\bsays:",
    "identical rows": r"rows alike",
    "a plain sentence": r"dear checks|slip of the finger|at home nowhere|given the benefit|whole or not at all",
}
SEARCHED = (".py", ".md", ".ipynb", ".yaml", ".toml")
# What still has such words, to be emptied: a folder or file here is not searched.
NOT_YET: tuple[str, ...] = ()


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


@pytest.mark.parametrize("instead", BANNED)
def test_standard_terms_are_used(instead):
    found = [
        f"{path}: {line.strip()}"
        for path in FILES
        if not path.as_posix().startswith(NOT_YET)
        for line in lines_of(path)
        if re.search(BANNED[instead], line)
    ]
    assert found == []
