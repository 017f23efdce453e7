"""`docs/RELIABILITY.md`: each fault, how often it was tried, what was lost, and what the user saw."""

from __future__ import annotations

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
SEEN = FAULT_TESTS | {"tests/notebooks/test_end_to_end.py": "the submission's bytes are those of an unbroken run"}
HEAD = """\
# Reliability

Made by `make soak` (`tests/soak/run.py`), which writes the whole page; the counts are those of the run that wrote it,
on {machine}, seed {seed}.

The same seed on the same machine with the same versions and threads gives the same bytes, times apart. On a CPU a trial
chooses threads by what else is running (`num_threads` fixes them). With another number of
threads decisions stay the same and the last digits of scores may differ; `run.yaml` lists this as `not_deterministic`.

## Killed at a random moment, then started again

{moments} moments for each signal, drawn evenly over the time that the unbroken work takes; all trials together took
{minutes} minutes. Translation, mining, scoring and fits run as functions; stages as `run --resume`, on a run whose
earlier stages are finished; the sweep, two strategies on shared data, as `sweep --resume`, from nothing. Commands and
kernels are forks of a process that has imported everything, since a trial would else consist of imports; Ctrl-C during
these is tried by `tests/cli/test_interrupted_imports.py`.

Compared with unbroken work, byte for byte: all files of the result (of runs: all artefacts and submissions but what
holds times). `missed`: signals besides, which came after its end. `orphans`: processes that outlived their runner.
`amiss`: a traceback, or a status other than -9 (killed), 130 (stopped) and 0 (ended before).

| killed | signal | tried | missed | results that differ | half-written files | orphans | amiss | what the user saw |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
FUZZING_HEAD = """
## Readers, fuzzed with coverage as the guide

Each read ended with a result or with one message (UserError); anything else counts as a crash.

| reader | inputs | crashes |
| --- | --- | --- |
"""
TESTS_HEAD = """
## Other faults

By the tests that are named after them; `tried` counts their cases. A test over generated input is one case, with
thirty times as many examples as in `make test`, for two minutes at most.

| fault | tried | failed | what the user saw | held by |
| --- | --- | --- | --- | --- |
"""


def read_reports(*reports: Path) -> list[dict[str, Any]]:
    """`fault, tried, failed, seen, held_by` of each test function in JUnit reports (of the kind xunit1)."""
    tried, failed = Counter(), Counter()
    for case in (case for report in reports for case in ElementTree.parse(report).iter("testcase")):
        key = (case.get("file"), case.get("name", "").split("[")[0])
        if case.get("file") not in SEEN:
            continue
        if case.find("skipped") is None:
            tried[key] += 1
            failed[key] += case.find("failure") is not None or case.find("error") is not None
    return [
        {
            "fault": name.removeprefix("test_").replace("_", " "),
            "tried": count,
            "failed": failed[file, name],
            "seen": SEEN[file],
            "held_by": file,
        }
        for (file, name), count in sorted(tried.items(), key=lambda each: list(SEEN).index(each[0][0]))
    ]


def write_page(path: Path, made: dict[str, Any]) -> None:
    """Write the page from `machine, seed, moments, kills, fuzzing, tests`."""
    columns = ("part", "signal", "tried", "missed", "lost", "leftovers", "orphans", "amiss")
    kills = [[*(getattr(each, name) for name in columns), "; ".join(each.seen)] for each in made["kills"]]
    minutes = round(sum(each.seconds for each in made["kills"]) / 60)
    text = HEAD.format(**made, minutes=minutes) + _rows(kills)
    text += FUZZING_HEAD + _rows(list(map(list, made["fuzzing"])))
    text += TESTS_HEAD + _rows([list(each.values()) for each in made["tests"]])
    path.write_text(text, encoding="utf-8")


def _rows(rows: list[list[Any]]) -> str:
    return "".join(f"| {' | '.join(str(cell).replace('|', ' ') for cell in row)} |\n" for row in rows)
