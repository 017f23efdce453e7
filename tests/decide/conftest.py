import numpy as np
import pandas as pd
import pytest

from competition_utils.tasks import TASKS

THINGS = ["red shoes", "phone case", "coffee mug", "night lamp", "รองเท้า", "حذاء أحمر", "運動靴", "양말"]
TARGETS = {
    "QC": [
        "shoes,boots,ankle boots",
        "electronics,phones",
        "home & garden,kitchen,mugs",
        "lights, bulbs & lamps,lamps",
    ],
    "QI": ["red shoes for men, new", "phone case shockproof", "ceramic coffee mug 300 ml", "night lamp LED"],
}


def made_up_split(task, split, rows, languages, rng, shift=0.0):
    """Texts and labels of one split, and scores that follow the labels; `shift` moves them from language to
    language."""
    codes = rng.integers(0, len(languages), rows)
    labels = (rng.random(rows) < 0.65).astype(np.int64)
    table = pd.DataFrame({"id": np.arange(1, rows + 1), "task": task, "language": np.array(languages)[codes]})
    words = rng.choice(THINGS, rows)
    table["query"] = [f"{word} {number}" for word, number in zip(words, rng.integers(0, rows // 3, rows), strict=True)]
    table = table.assign(query_en=rng.choice(["", "shoes red", "mug"], rows), target=rng.choice(TARGETS[task], rows))
    table = table.assign(label=pd.array(labels, dtype="Int8"), source="original", origin_id=table["id"])
    log_odds = rng.normal(1.8 * labels - 0.4, 1.0) + shift * codes
    scores = table[["id", "task", "language"]].assign(score=(1 / (1 + np.exp(-log_odds))).astype(np.float32))
    fold = rng.integers(0, 5, rows) if split == "valid" else np.full(rows, -1)
    return table, scores.assign(fold=fold.astype(np.int16), split=split)


def made_up_run(task="QC", rows=1500, dev_labelled=True, linear=True, shift=0.0, seed=0):
    """What stages augmentation and finetune leave of a task: {(stage, name): table}."""
    rng, kind = np.random.default_rng(seed), TASKS[task]
    splits = {"valid": kind.train_languages, "dev": kind.languages, "test": kind.languages}
    made = {split: made_up_split(task, split, rows, of, rng, shift) for split, of in splits.items()}
    tables = {("augmentation", f"{task}_{'train' if s == 'valid' else s}"): made[s][0] for s in made}
    for split in ("dev", "test")[int(dev_labelled) :]:
        tables["augmentation", f"{task}_{split}"] = made[split][0].drop(columns="label")
    scores = pd.concat([made[split][1] for split in made], ignore_index=True)
    tables["finetune", f"{task}_scores"] = scores
    if linear:
        noise = rng.normal(0, 0.25, len(scores))
        worse = np.clip(scores["score"] + noise, 0.001, 0.999).astype("float32")
        tables["finetune", f"{task}_linear_scores"] = scores.assign(score=worse)
    return tables


def reader(tables):
    """What `Stage.read` does, from memory."""
    from competition_utils.errors import UserError

    def read(name, of):
        if (of, name) not in tables:
            raise UserError(f"expected {of}/{name}.parquet, found none")
        return tables[of, name]

    return read


@pytest.fixture(scope="session")
def make_run():
    return made_up_run


@pytest.fixture(scope="session")
def read_from():
    return reader
