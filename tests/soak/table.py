"""`docs/RELIABILITY.md`: each fault, how often it was tried, what was lost, and what the user saw."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

FAULT_TESTS = {
    "tests/runs/test_corruption.py": "made again, or status 2 and the file's name",
    "tests/runs/test_faults_of_runs.py": "status 2 and the folder's name; else nothing",
    "tests/runs/test_unusable_files.py": "status 2 and the file's name",
    "tests/runs/test_determinism.py": "nothing",
    "tests/settings/test_fuzzed_settings.py": "status 2, expected and found",
    "tests/test_storage.py": "one message with folder and free space, or the damaged file's name",
    "tests/data/test_reader_laws.py": "each row read or reported",
    "tests/test_submission_mutations.py": "each fault of a submission by name",
    "tests/cli/test_interrupted_imports.py": "status 130, no traceback",
    "tests/test_security.py": "nothing runs that should not",
}
HEAD = """\
# Reliability

Made by `python tests/soak/kills.py --table docs/RELIABILITY.md` (`make soak` tries twenty moments each); the counts are
those of the run that wrote this page, on {machine}, seed {seed}.

The same seed on the same machine with the same versions and threads gives the same bytes, times apart. On a CPU a trial
chooses threads by what else is running (`num_threads` fixes them). With another number of
threads decisions stay the same and the last digits of scores may differ; `run.yaml` lists this as `not_deterministic`.

## Killed at a random moment, then started again

Compared with unbroken work, byte for byte: all files of the result (of runs: all artefacts and submissions but what
holds times). `missed`: signals besides, which came after its end. `orphans`: kernels that outlived their runner.

| killed | signal | tried | missed | results that differ | half-written files | orphans | what the user saw |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
TESTS_HEAD = """
## Other faults

By the tests that are named after them; `tried` counts their cases.

| fault | tried | failed | what the user saw | held by |
| --- | --- | --- | --- | --- |
"""


def fault_tests(repository: Path) -> list[dict[str, Any]]:
    """Run the tests of faults: `fault, tried, failed, seen, held_by` for each test function."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        files = [name for name in FAULT_TESTS if (repository / name).is_file()]
        command = [sys.executable, "-m", "pytest", "-q", "-o", "junit_family=xunit1", f"--junitxml={report}", *files]
        subprocess.run(command, cwd=repository, stdout=subprocess.DEVNULL, check=False)
        return read_report(report)


def read_report(report: Path) -> list[dict[str, Any]]:
    """The cases of a JUnit report by test function."""
    tried, failed = Counter(), Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        key = (case.get("file"), case.get("name", "").split("[")[0])
        if case.find("skipped") is None:
            tried[key] += 1
            failed[key] += case.find("failure") is not None or case.find("error") is not None
    return [
        {
            "fault": name.removeprefix("test_").replace("_", " "),
            "tried": count,
            "failed": failed[file, name],
            "seen": FAULT_TESTS[file],
            "held_by": file,
        }
        for (file, name), count in tried.items()
    ]


def write_table(path: Path, made: dict[str, Any]) -> None:
    """Write the page from what `kills.py` found."""
    columns = ("part", "signal", "tried", "missed", "lost", "leftovers", "orphans")
    kills = [[*(each[name] for name in columns), "; ".join(each["seen"])] for each in made["kills"]]
    tests = [list(each.values()) for each in made["tests"]]
    text = HEAD.format(**made) + _rows(kills) + (TESTS_HEAD + _rows(tests) if tests else "")
    path.write_text(text, encoding="utf-8")


def _rows(rows: list[list[Any]]) -> str:
    return "".join(f"| {' | '.join(str(cell).replace('|', ' ') for cell in row)} |\n" for row in rows)
