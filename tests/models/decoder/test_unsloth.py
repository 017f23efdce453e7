"""A rehearsal of Unsloth without a GPU: its own loader, patches and trainer fit tiny models on the CPU.

All fits run in one process, which imports Unsloth once (tens of seconds), each in a fork. What they leave is looked at
here, where Unsloth was never imported: the plain backend must make the same of it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from tiny_decoders import build_tiny, toy_pairs, toy_settings

from competition_utils.models.base import load_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # a busy machine needs minutes
HERE = Path(__file__).parent
ROOT = HERE.parents[2]
FITS = {
    "Gemma in 4 bits": ("gemma3", True, {"load_in_4bit": True}),
    "Gemma, head, two stages": ("gemma3", False, {"objective": "head", "training": "two_stage"}),
    "Qwen": ("qwen2", True, {"gradient_checkpointing": True}),
    "Gemma in 4 bits on a T4": ("gemma3", False, {"load_in_4bit": True}),
}
# In 4 bits .004 was seen: the weights are equal once dequantised, so it must be the products. On a T4 Unsloth quantises
# weights that it has rounded to float16: a few of a tiny model get another 4-bit value.
TOLERANCE = dict.fromkeys(FITS, 1e-4) | {"Gemma in 4 bits": 1e-2, "Gemma in 4 bits on a T4": 5e-2}
IN_4_BITS = [name for name in FITS if "4 bits" in name]
IN_32_BITS = [name for name in FITS if "4 bits" not in name]


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """name → folder of a fitted model with `facts.json` and the scores of Unsloth's networks."""
    place = tmp_path_factory.mktemp("unsloth")
    jobs = {name: job(place / str(number), *FITS[name], on_a_t4="T4" in name) for number, name in enumerate(FITS)}
    (place / "jobs.json").write_text(json.dumps(list(jobs.values())))
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    own = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "UNSLOTH_COMPILE_LOCATION": str(place / "compiled")}
    line = [sys.executable, str(HERE / "unsloth_fits.py"), str(place / "jobs.json")]
    done = subprocess.run(line, env=os.environ | own, capture_output=True, text=True, cwd=place)
    if done.returncode == 3:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr[-4000:]
    missing = [name for name, one in jobs.items() if not (Path(one["out"]) / "facts.json").is_file()]
    assert not missing, f"no fit of {missing}: {done.stderr[-4000:]}"
    return {name: Path(one["out"]) for name, one in jobs.items()}


def job(place, family, checkpointing, settings, on_a_t4):
    base, out = build_tiny(place / "base", family), place / "out"
    out.mkdir()
    (place / "work").mkdir()
    other_task = [toy_pairs(48, 2, "QC")] if settings.get("training") == "two_stage" else []
    tables = [place / "train.parquet", place / "valid.parquet"]
    pd.concat([toy_pairs(48), *other_task], ignore_index=True).to_parquet(tables[0])
    toy_pairs(16, 1).to_parquet(tables[1])
    return {
        "settings": toy_settings(base, num_train_epochs=1, eval_steps=2, **settings),
        "tables": [str(table) for table in tables],
        "family": family,
        "checkpointing": checkpointing,
        "bfloat16": not on_a_t4,
        "work_dir": str(place / "work"),
        "out": str(out),
    }


def facts(folder):
    return json.loads((folder / "facts.json").read_text())


def on_the_cpu(folder, **others):
    return load_model(folder, {"device": "cpu", "backend": "transformers"} | others)


@pytest.mark.parametrize("name", FITS)
def test_it_was_unsloths_trainer(fits, name):
    assert facts(fits[name])["trainer"] == "UnslothSFTTrainer"


@pytest.mark.parametrize("name", FITS)
def test_layers_checkpoint_in_every_training_step_as_the_note_says(fits, name):
    seen = facts(fits[name])
    notes = [note for note in seen["notes"] if "rows at once" in note]
    recomputed = {"recomputed in the backward pass" in note for note in notes}
    assert recomputed == {FITS[name][1]}
    assert len(seen["flags"]) >= 6 and all(step == [FITS[name][1]] for step in seen["flags"])


@pytest.mark.parametrize("name", FITS)
def test_adapters_are_trained_in_float32_and_change(fits, name):
    assert set(facts(fits[name])["formats"]) == {"torch.float32"}
    weights = load_file(fits[name] / "adapter" / "adapter_model.safetensors")
    assert all(weight.abs().max() > 0 for key, weight in weights.items() if "lora_B" in key)


def test_both_stages_are_trained_and_the_heads_rows_with_them(fits):
    seen = facts(fits["Gemma, head, two stages"])
    assert {row["stage"] for row in seen["history"]} == {1, 2}
    rows = load_file(fits["Gemma, head, two stages"] / "adapter" / "label_rows.safetensors")["label_rows"]
    fresh = on_the_cpu(fits["Gemma, head, two stages"]).open().model.get_base_model().label_rows
    assert not np.allclose(rows, fresh.detach(), atol=1e-4)


@pytest.mark.parametrize("name", FITS)
def test_layers_are_in_4_bits_where_it_was_asked(fits, name):
    linear = facts(fits[name])["kinds"].get("Linear4bit", 0)
    assert linear == (28 if name in IN_4_BITS else 0)  # 7 in each of 2 layers, once as such and once inside LoRA's


def test_on_a_card_without_bfloat16_gemma_is_forced_to_float32(fits):
    assert {name for name in FITS if facts(fits[name])["forced"]} == {"Gemma in 4 bits on a T4"}


@pytest.mark.parametrize("name", FITS)
def test_the_plain_backend_scores_the_adapter_as_unsloth_does_with_it_reloaded(fits, name):
    expected = np.load(fits[name] / "reloaded.npy")
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(on_the_cpu(fits[name]).score(toy_pairs(16, 1)), expected, atol=TOLERANCE[name])


@pytest.mark.parametrize("name", FITS)
def test_the_network_as_trained_scores_alike_but_for_the_bfloat16_that_unsloths_trainer_computes_in(fits, name):
    trained, reloaded = (np.load(fits[name] / f"{state}.npy") for state in ("trained", "reloaded"))
    np.testing.assert_allclose(trained, reloaded, atol=1e-2)


@pytest.mark.parametrize("name", IN_32_BITS)
def test_merged_it_scores_as_before(fits, name, tmp_path):
    model, pairs = on_the_cpu(fits[name]), toy_pairs(16, 1)
    merged = model.merge(tmp_path, dtype="float32")
    np.testing.assert_allclose(merged.score(pairs), model.score(pairs), atol=1e-4)
