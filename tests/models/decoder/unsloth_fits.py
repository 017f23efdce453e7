"""Fits through Unsloth on a CPU: `python unsloth_fits.py JOBS.json`.

A job holds `settings, tables, work_dir, out, checkpointing`, perhaps `family: qwen2` or `bfloat16: false` (a card like
a T4). Each runs in a fork of
this process, which has imported everything: that takes longer than a fit. Ends with status 3 where Unsloth cannot be
imported. `out` gets the model, the scores of Unsloth's network as trained and as reloaded, and what was
seen as facts.json.
"""

import gc
import json
import os
import sys
import traceback
from collections import Counter
from pathlib import Path

import unsloth_on_cpu

try:
    unsloth_on_cpu.pretend_a_gpu()
except Exception as error:  # whatever its many imports raise, there is no rehearsal
    print(f"unsloth cannot be imported: {type(error).__name__}: {error}")
    sys.exit(3)

import numpy as np
import pandas as pd

from competition_utils.models.compute import Compute
from competition_utils.models.decoder import fit, load, micro_batch
from competition_utils.models.decoder import model as decoder_model
from competition_utils.models.decoder import train as decoder_train
from competition_utils.models.decoder.device import Machine, choose_device
from competition_utils.models.decoder.score import score_decoder
from competition_utils.models.scoring.engine import TokenBudget

PACKAGES = frozenset({"unsloth", "bitsandbytes"})


def on_the_cpu(settings, bfloat16):
    """The choice for a card, but for the place; the number format is float32 unless the card decides it."""
    machine = Machine(1, "pretended card", (9, 0) if bfloat16 else (7, 5), 80.0, PACKAGES)
    wishes = {"dtype": "float32" if bfloat16 else "auto", "load_in_4bit": settings.load_in_4bit is True}
    family = load.find_config(settings.model_name_or_path).model_type
    choice = choose_device(machine, family=family, **wishes)
    return type(choice)(**vars(choice) | {"device": "cpu"})


def run(job):
    out, bfloat16 = Path(job["out"]), job.get("bfloat16", True)
    if not bfloat16:
        unsloth_on_cpu.set_bfloat16(False)
    if job.get("family") == "qwen2":
        unsloth_on_cpu.replace_qwens_kernels()
    load.prepare = lambda settings: on_the_cpu(settings, bfloat16)
    load.local_rank = lambda: "cpu"
    decoder_train.candidates = lambda *_: [micro_batch.Fit(8, job["checkpointing"])]
    flags = []

    class Trainer(decoder_train.PairTrainer):
        def training_step(self, model, *rest, **others):
            layers = [layer for layer in model.modules() if hasattr(layer, "gradient_checkpointing")]
            flags.append(sorted({bool(layer.gradient_checkpointing and layer.training) for layer in layers}))
            return super().training_step(model, *rest, **others)

    decoder_train.PairTrainer = Trainer
    os.environ["COMPETITION_UTILS_CHILD"] = "1"  # a fit through Unsloth runs in a child
    model = decoder_model.DecoderModel(job["settings"])
    decoders = []

    def kept(*rest, **others):
        decoder, report = fit.fit_stages(*rest, **others)
        decoders.append(decoder)
        return decoder, report

    decoder_model.fit_stages = kept
    train, valid = (pd.read_parquet(table) for table in job["tables"])
    report = model.fit(train, valid, work_dir=Path(job["work_dir"]), seed=0)
    model.save(out)
    decoder = decoders[0]
    reloaded = model.open()
    load.load_adapter(reloaded.model, out / "adapter")
    for name, one in (("trained", decoder), ("reloaded", reloaded)):
        compute = Compute(one.choice.device, one.choice.dtype)
        scores = score_decoder(one, one.writer.write(valid).ids, model.settings, TokenBudget(2048), compute)
        np.save(out / f"{name}.npy", scores)
    kinds = Counter(type(module).__name__ for module in decoder.model.modules())
    formats = Counter(str(one.dtype) for one in decoder.model.parameters() if one.requires_grad)
    facts = {"flags": flags, "notes": report.notes, "history": report.history, "kinds": kinds, "formats": formats}
    facts |= {"autocast": os.environ.get("ACCELERATE_MIXED_PRECISION", "no")}
    facts |= {"trainer": decoder_train.SFTTrainer.__name__, "forced": os.environ.get("UNSLOTH_FORCE_FLOAT32") == "1"}
    (out / "facts.json").write_text(json.dumps(facts))


gc.freeze()  # Unsloth collects garbage 44 times a fit, and looks at all that its import left each time
for each in json.loads(Path(sys.argv[1]).read_text()):
    if (child := os.fork()) == 0:
        try:
            run(each)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.waitpid(child, 0)
