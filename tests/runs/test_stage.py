from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from competition_utils import paths
from competition_utils.errors import UserError
from competition_utils.runs.stage import open_stage, why_not_done
from competition_utils.storage import read_json

TABLE = pd.DataFrame({"id": [1, 2], "query": ["nan", "靴"]})
RUN = "papermill_runs/x"


def finish_eda(project: Path, *, seed: int = 0) -> Path:
    stage = open_stage("eda", RUN, {"seed": seed})
    stage.data_folder("data")
    stage.write("QC_train", TABLE)
    stage.finish({"rows": 2})
    return project / RUN


def finish_augmentation(run: Path) -> None:
    stage = open_stage("augmentation", run, {})
    stage.read("QC_train", of="eda")
    stage.finish({})


def test_a_later_stage_reads_the_table_that_an_earlier_one_wrote(project):
    finish_eda(project)
    pd.testing.assert_frame_equal(open_stage("augmentation", RUN, {}).read("QC_train", of="eda"), TABLE)


def test_a_relative_run_folder_is_found_from_any_working_directory(project, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert open_stage("eda", RUN, {}).folder == project / RUN / "eda"


def test_reading_before_the_earlier_stage_was_run_says_which_one_to_run(project):
    with pytest.raises(UserError, match=r"Run stage eda first: notebooks/01_eda\.ipynb"):
        open_stage("augmentation", RUN, {}).read("QC_train", of="eda")


def test_a_stage_does_not_read_from_a_later_one(project):
    with pytest.raises(UserError, match="expected an earlier stage"):
        open_stage("augmentation", RUN, {}).read("QC_scores", of="finetune")


def test_settings_are_the_declared_parameters_only_and_not_where_the_run_lies(project):
    run = finish_eda(project, seed=3)
    assert read_json(run / "eda" / "manifest.json")["settings"] == {"data_dir": "data", "seed": 3}


def test_a_finished_stage_is_done(project):
    assert why_not_done("eda", finish_eda(project), {}) is None


def test_a_stage_without_a_manifest_is_not_done_whatever_files_it_has(project):
    run = finish_eda(project)
    (run / "eda" / "manifest.json").unlink()
    assert why_not_done("eda", run, {}) == "not finished yet"


def test_a_changed_setting_makes_a_stage_stale(project):
    assert why_not_done("eda", finish_eda(project), {"seed": 1}) == "settings changed (seed)"


def test_a_changed_data_file_makes_a_stage_stale(project):
    run = finish_eda(project)
    (project / "data" / "test_QC.txt").write_text('{"id": 1}\n')
    assert why_not_done("eda", run, {}) == "its input data changed"


def test_a_data_file_that_was_absent_and_came_makes_a_stage_stale(project):
    stage = open_stage("eda", RUN, {})
    stage.uses("lexicon.tsv")
    stage.finish({})
    (project / "lexicon.tsv").write_text("en\tshoe\n")
    assert why_not_done("eda", project / RUN, {}) == "its input lexicon.tsv changed"


def test_a_changed_artefact_of_an_earlier_stage_makes_a_stage_stale(project):
    run = finish_eda(project)
    finish_augmentation(run)
    TABLE.head(1).to_parquet(run / "eda" / "QC_train.parquet")
    assert why_not_done("augmentation", run, {}) == "its input eda/QC_train.parquet changed"


def test_an_output_that_was_touched_makes_a_stage_stale(project):
    run = finish_eda(project)
    (run / "eda" / "QC_train.parquet").unlink()
    assert why_not_done("eda", run, {}) == "its output QC_train.parquet changed"


def test_changed_code_in_the_notebook_makes_a_stage_stale_but_changed_text_does_not(project):
    run, notebook = finish_eda(project), paths.notebook_path("eda")
    notebook.write_text(notebook.read_text().replace("# 01_eda", "# A new title"))
    assert why_not_done("eda", run, {}) is None
    notebook.write_text(notebook.read_text().replace("# for every random choice", "# otherwise"))
    assert why_not_done("eda", run, {}) == "its notebook changed"


def test_two_runs_with_equal_inputs_have_manifests_that_differ_in_seconds_only(project):
    first = read_json(finish_eda(project) / "eda" / "manifest.json")
    second = read_json(finish_eda(project) / "eda" / "manifest.json")
    differ = {"seconds": 0, "sha256": ""}
    assert {**first, **differ} == {**second, **differ}


def test_opening_a_finished_stage_again_clears_what_it_left(project):
    run = finish_eda(project)
    open_stage("eda", run, {})
    assert [path.name for path in (run / "eda").iterdir()] == [".opened.json"]


def test_checkpoints_of_a_killed_stage_are_kept_when_it_is_opened_as_before(project):
    checkpoint = open_stage("eda", RUN, {"seed": 1}).work_folder("fold0") / "step"
    checkpoint.write_text("7")
    open_stage("eda", RUN, {"seed": 1})
    assert checkpoint.read_text() == "7"


def test_checkpoints_of_a_killed_stage_are_cleared_when_a_setting_changed(project):
    checkpoint = open_stage("eda", RUN, {"seed": 1}).work_folder("fold0") / "step"
    checkpoint.write_text("7")
    open_stage("eda", RUN, {"seed": 2})
    assert not checkpoint.exists()


def test_checkpoints_are_cleared_when_an_earlier_stage_left_something_else(project):
    finish_eda(project)
    checkpoint = open_stage("augmentation", RUN, {}).work_folder("fold0") / "step"
    checkpoint.write_text("7")
    stage = open_stage("eda", RUN, {})
    stage.write("QC_train", TABLE.head(1))
    stage.finish({})
    open_stage("augmentation", RUN, {})
    assert not checkpoint.exists()


def test_finish_removes_checkpoints(project):
    stage = open_stage("eda", RUN, {})
    stage.work_folder("fold0")
    stage.finish({})
    assert not (stage.folder / ".work").exists()


def test_save_figure_writes_a_png_and_gives_the_figure_back(project):
    figure = Figure()
    stage = open_stage("eda", RUN, {})
    assert stage.save_figure("rows", figure) is figure
    assert (stage.folder / "figures" / "rows.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_can_be_read_by_later_stages(project):
    run = finish_eda(project)
    assert open_stage("augmentation", run, {}).read_json("metrics", of="eda") == {"rows": 2}


def test_a_missing_data_folder_is_reported_with_what_to_do(project):
    with pytest.raises(UserError, match="Give --data-dir DIR"):
        open_stage("eda", RUN, {}).data_folder("nowhere")
