"""Notebook 03 in the hands of someone who changes prompt, rank or loss and runs it again from there."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from finetune_runs import DECODER, REPOSITORY, THINGS, augmented

from benchmarks.gpu.random_models import build_random_model
from competition_utils import paths
from competition_utils.runs.kernel import execute
from competition_utils.storage import read_json, write_json, write_parquet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EDITS = {
    "nothing": "print('the loop alone')",
    "prompt": "fitter.prompt.instructions['QC'] = 'Right shelf? {yes} or {no}.'",
    "rank": "fitter.lora_config.r = 4",
    "loss": "def squared(logits, labels, weights):\n"
    "    return ((logits.softmax(-1)[:, 1] - labels) ** 2 * weights).mean()\n\n\n"
    "fitter.loss = squared",
}
RECORD = """
adapter = stage.path("QC/fold0/adapter/adapter_config.json").read_text()
model_file = stage.path("QC/fold0/model.json").read_text()
scores = fits["QC"].scores["score"].tolist()
stage.save_json("after_{name}", {{"adapter": adapter, "model": model_file, "scores": scores, "fits": len(fits_seen)}})
"""
# The edits come after the first loop, each followed by a copy of it, as if its cell were run again.
COUNT = """
from competition_utils.models.decoder.model import DecoderModel

fits_seen, fit_method = [], DecoderModel.fit
DecoderModel.fit = lambda self, *rows, **more: fits_seen.append(1) or fit_method(self, *rows, **more)
"""


def edited_notebook(source: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(source, as_version=4)
    at = next(n for n, cell in enumerate(notebook.cells) if "for plan in plans" in cell.source)
    loop = notebook.cells[at].source
    added = [COUNT]
    for name, edit in EDITS.items():
        added += [edit, loop, RECORD.format(name=name)]
    notebook.cells[at + 1 : at + 1] = [nbformat.v4.new_code_cell(source) for source in added]
    return notebook


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> dict[str, dict]:
    """What lay in the folder of the fold after each edit and the loop behind it."""
    root = tmp_path_factory.mktemp("project")
    (root / "notebooks").mkdir()
    for notebook in (REPOSITORY / "notebooks").glob("*.ipynb"):
        (root / "notebooks" / notebook.name).symlink_to(notebook)
    own = root / "notebooks" / "03_finetune.ipynb"
    notebook = edited_notebook(own)
    own.unlink()
    nbformat.write(notebook, own)
    build_random_model(root / "tiny", "gemma3-tiny", [*THINGS] * 40)
    run = root / "papermill_runs" / "edited"
    write_json(run / "augmentation" / "metrics.json", {"tasks": {"QC": {}}})
    write_json(run / "augmentation" / "hints" / "categories.json", {"paths": []})  # no hints
    write_parquet(run / "augmentation" / "QC_train.parquet", augmented("QC", 32, 1))
    decoder = DECODER | {"model_name_or_path": str(root / "tiny")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.ROOT_VARIABLE, str(root))
        execute("finetune", run, {"run_dir": str(run), "model": "decoder", "decoder": decoder})
    return {name: read_json(run / "finetune" / f"after_{name}.json") for name in EDITS}


def test_a_loop_that_is_run_again_without_an_edit_fits_nothing(records):
    assert records["nothing"]["fits"] == 0


def test_each_edit_is_fitted_once_and_changes_the_scores(records):
    assert [records[name]["fits"] for name in EDITS] == [0, 1, 2, 3]
    scores = [records[name]["scores"] for name in EDITS]
    assert all(before != after for before, after in pairwise(scores))


def test_the_rank_is_that_of_the_saved_adapter(records):
    assert '"r": 16' in records["prompt"]["adapter"] and '"r": 4' in records["rank"]["adapter"]


def test_the_saved_model_knows_every_edit(records):
    assert "edits" not in records["nothing"]["model"]
    assert "Right shelf?" in records["prompt"]["model"]
    assert "def squared(logits, labels, weights)" in records["loss"]["model"]
