"""What a finished run left, deleted, emptied, cut or changed by a byte: made again by `--resume`, or refused by name
with status 2. Never used in silence, never a traceback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_run import contents, execute_here, make_small_project

from competition_utils import paths
from competition_utils.cli import main as cli
from competition_utils.errors import UserError
from competition_utils.models.scoring.cache import ScoreCache, pair_keys
from competition_utils.models.scoring.trials import cached_trial
from competition_utils.runs import ledger, runner
from competition_utils.storage import read_json
from competition_utils.translation.cache import TranslationCache


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "deleted": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a byte changed": change_a_byte,
}
OF_STAGES = [
    "eda/QC_train.parquet",
    "eda/metrics.json",
    "augmentation/QI_dev.parquet",
    "augmentation/manifest.json",
    "finetune/QC_scores.parquet",
    "finetune/QC/fold0/model.json",
    "finetune/QC/fold0/weights.npz",
    "finetune/QC/fold0/fit.json",
    "threshold_tuning/QC_decisions.parquet",
    "threshold_tuning/metrics.json",
    "threshold_tuning/rules.json",
    "submission/manifest.json",
    "submission/submit_QC.txt",
    "submission/submission_QI.csv",
    "submission/submit.zip",
    "03_finetune.ipynb",
]
OF_THE_RUNNER = ["metrics.json", "run.yaml", "report.html", ".executed.json"]
READ_BY = {
    "compare whole other": [
        "augmentation/QC_train.parquet",
        "augmentation/QI_dev.parquet",
        "augmentation/manifest.json",
        "threshold_tuning/QC_decisions.parquet",
        "threshold_tuning/manifest.json",
    ],
    "blend whole other --out blended": [
        "augmentation/QC_train.parquet",
        "augmentation/QC_test.parquet",
        "augmentation/manifest.json",
        "finetune/QC_scores.parquet",
        "finetune/manifest.json",
    ],
    "thresholds whole --resamples 20": [
        "augmentation/QC_train.parquet",
        "augmentation/QC_dev.parquet",
        "augmentation/manifest.json",
        "finetune/QI_scores.parquet",
        "finetune/manifest.json",
    ],
    "submit --run whole": [
        "submission/submit_QC.txt",
        "submission/submission_QI.csv",
        "submission/submit.zip",
        "submission/manifest.json",
    ],
    "score --model papermill_runs/whole/finetune/QC/fold0 --input data/test_QC.txt --output scores.csv": [
        "finetune/QC/fold0/model.json",
        "finetune/QC/fold0/weights.npz",
    ],
}
PAIRS = pd.DataFrame({"task": "QC", "language": "en", "query": ["a", "b"], "query_en": "", "target": ["c", "d"]})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with two finished runs, `whole` and `other`."""
    root = make_small_project(tmp_path_factory.mktemp("project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.ROOT_VARIABLE, str(root))
        patch.setattr(runner, "execute", execute_here)
        assert cli.main(["run", "small", "--name", "whole"]) == 0
        for stage in paths.STAGES:
            left = shutil.ignore_patterns("manifest.json", ".*", "metrics.json")
            shutil.copytree(root / "papermill_runs" / "whole" / stage, root / "frozen" / stage, ignore=left)
        assert cli.main(["run", "small", "--name", "other"]) == 0
        yield root


@pytest.fixture
def project(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, as working directory."""
    root = tmp_path / "project"
    shutil.copytree(finished, root, ignore=shutil.ignore_patterns("frozen", ".cache"))
    (root / "frozen").symlink_to(finished / "frozen")
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(root))
    monkeypatch.chdir(root)
    return root


def everything(project: Path) -> dict[str, dict[str, bytes]]:
    """What a run and its submission consist of, figures of the run among them."""
    run = project / "papermill_runs" / "whole"
    measured = {name: read_json(run / name).get("tasks") for name in ("metrics.json", "threshold_tuning/metrics.json")}
    return {
        "run": contents(run),
        "submission": contents(project / "submissions" / "whole"),
        "figures": {name: repr(figures).encode() for name, figures in measured.items()},
    }


def outcome(command: str, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    """Status and all that a command prints."""
    status = cli.main(command.split())
    printed = capsys.readouterr()
    return status, printed.out + printed.err


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", OF_STAGES + OF_THE_RUNNER)
def test_resume_makes_again_what_is_not_as_it_was(name, damage, project, capsys):
    before = everything(project)
    DAMAGES[damage](project / "papermill_runs" / "whole" / name)
    status, printed = outcome("run small --name whole --resume", capsys)
    assert status == 0, printed
    assert everything(project) == before
    if name in OF_STAGES:
        assert "run again: " in printed or name.endswith("manifest.json")
    assert outcome("run small --name whole --resume", capsys)[1].count("done before") == 5


@pytest.mark.parametrize("damage", ["deleted", "a byte changed"])
@pytest.mark.parametrize("name", OF_STAGES + OF_THE_RUNNER)
def test_from_a_later_stage_refuses_an_earlier_one_that_is_not_as_it_was(name, damage, project, capsys):
    before = everything(project)
    DAMAGES[damage](project / "papermill_runs" / "whole" / name)
    status, printed = outcome("run small --name whole --from submission", capsys)
    stage = "finetune" if name.endswith(".ipynb") else name.split("/")[0]
    if stage in paths.STAGES and stage != "submission":
        assert status == 2
        assert f"stage {stage} is not done" in printed
    else:
        assert status == 0, printed
        assert everything(project) == before


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("command", "name"), [(command, name) for command, names in READ_BY.items() for name in names])
def test_a_command_refuses_by_name_what_is_not_as_it_was_written(command, name, damage, project, capsys):
    if damage == "deleted" and name.endswith("manifest.json") and "submit" not in command:
        pytest.skip("a stage without a manifest is unfinished, or a blend's: its tables have page checksums alone")
    DAMAGES[damage](project / "papermill_runs" / "whole" / name)
    status, printed = outcome(command, capsys)
    assert status == 2, printed
    assert Path(name).name in printed or "expected a finished run" in printed
    assert not (project / "papermill_runs" / "blended").exists()
    assert not (project / "scores.csv").exists()


def test_the_commands_work_on_what_is_as_it_was(project, capsys):
    for command in READ_BY:
        assert outcome(command, capsys)[0] == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_part_of_the_score_cache_is_removed_and_its_pairs_are_unknown(damage, tmp_path, capsys):
    keys = pair_keys(PAIRS)
    ScoreCache(tmp_path).add(keys, np.array([0.25, 0.75]))
    assert ScoreCache(tmp_path).get(keys).tolist() == [0.25, 0.75]
    (part,) = tmp_path.glob("*.npy")
    DAMAGES[damage](part)
    assert np.isnan(ScoreCache(tmp_path).get(keys)).all()
    assert damage == "deleted" or "a damaged part of the score cache" in capsys.readouterr().err
    assert not part.exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_notes_of_what_was_found_by_trying_are_found_again(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached_trial({"gpu": "a"}, lambda: {"micro_batch": 8})
    DAMAGES[damage](tmp_path / "competition_utils" / "found_by_trying.json")
    assert cached_trial({"gpu": "a"}, lambda: {"micro_batch": 4}) == {"micro_batch": 4}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_costs_no_run_and_no_other_line(damage, project, capsys):
    DAMAGES[damage](paths.ledger_path())
    status, printed = outcome("run small --name whole --from submission", capsys)
    assert status == 0, printed
    assert [entry["name"] for entry in ledger.read(paths.ledger_path())][-1] == "whole"


@pytest.mark.parametrize("line", [b"\xff\xfe", b"[1]", b"3", b'{"config": "small", "seconds": 3}', b"[" * 5000])
def test_lines_of_the_ledger_that_no_run_wrote_are_left_out(line, tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(line + b"\n")
    ledger.append(path, {"config": "other"})
    assert ledger.expected_seconds(ledger.read(path), "small", "") == {}


@pytest.mark.parametrize("damage", ["cut", "bytes changed"])
def test_a_damaged_translation_cache_is_named(damage, tmp_path):
    path = tmp_path / "translations.sqlite"
    cache = TranslationCache(path)
    cache.put({f"text {n}": "x" * 500 for n in range(200)}, "scope")
    cache.close()
    content = path.read_bytes()
    path.write_bytes(
        content[: len(content) // 2] if damage == "cut" else content[:100] + b"\xff" * 4000 + content[4100:]
    )
    with pytest.raises(UserError, match=r"translations\.sqlite"):
        opened = TranslationCache(path)
        opened.get([f"text {n}" for n in range(200)], "scope")
        opened.put({"text": "y"}, "scope")
