"""The parts of the work that are killed: each reads `inputs`, works in `folder` and leaves its result in
`folder/out`; called again on the same folder, it goes on."""

from __future__ import annotations

import gc
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from competition_utils.augment import mining, negatives  # noqa: F401 - imported before the forks
from competition_utils.augment.build import augment_tasks
from competition_utils.augment.rows import start_table
from competition_utils.augment.strategies import load_strategy
from competition_utils.data.prepare import prepare
from competition_utils.models.base import load_model, new_model
from competition_utils.models.scoring.cache import ScoreCache, score_cached
from competition_utils.storage import read_parquet, write_json, write_parquet
from competition_utils.synthetic.competition import make_sample
from competition_utils.tasks import QI
from competition_utils.translation.cache import TranslationCache
from competition_utils.translation.open import open_translator

ROWS = 400  # of the files of train and test
FIRST_ROWS = 96  # for what takes seconds a hundred rows


def prepare_inputs(folder: Path, networks: bool) -> None:
    """Data, clean tables, a fitted linear model, and, with `networks`, tiny networks of random weights."""
    make_sample(folder / "data", rows=ROWS, dev_rows=100, test_rows=ROWS)
    for name, table in prepare(folder / "data", [QI]).tables.items():
        write_parquet(folder / f"{name}.parquet", table)
    train = _train(folder)
    model = new_model("linear", {"max_iter": 10})
    model.fit(train, train, work_dir=folder, seed=0)
    model.save(folder / "linear")
    if networks:
        _make_networks(folder, [*train["query"], *train["target"]])


def _make_networks(folder: Path, texts: list[str]) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    from benchmarks.gpu.random_models import build_random_model

    build_random_model(folder / "decoder", "qwen2-tiny", texts, dtype="float32")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "decoder")
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=128, num_labels=1, **size)
    BertForSequenceClassification(config).save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=64)]).save(str(folder / "embedding"))


def import_networks() -> None:
    """Before the forks: imports take longer than the work."""
    import_module("sentence_transformers")
    for kind in ("encoder", "decoder"):
        import_module(f"competition_utils.models.{kind}.model")
    gc.freeze()  # trainers collect garbage at every turn


def translation(inputs: Path, folder: Path) -> None:
    queries = _train(inputs)["query"].drop_duplicates().tolist()
    translator, cache = open_translator("auto", inputs / "data"), TranslationCache(folder / "work" / "cache.sqlite")
    for start in range(0, len(queries), 10):
        part = queries[start : start + 10]
        known = cache.get(part, "es")
        missing = [text for text in part if text not in known]
        if missing:
            cache.put(dict(zip(missing, translator.translate(missing, "es", "en")[0], strict=True)), "es")
    write_json(folder / "out" / "translated.json", cache.get(queries, "es"))


def mine(inputs: Path, folder: Path) -> None:
    clean = {(QI.name, split): read_parquet(inputs / f"QI_{split}.parquet") for split in ("train", "dev", "test")}
    translator = open_translator("auto", inputs / "data")
    embedding = str(inputs / "embedding")
    made = augment_tasks(clean, [QI], load_strategy("negatives_hard"), translator, embedding_model=embedding)
    for split, table in made["QI"].tables.items():
        write_parquet(folder / "out" / f"QI_{split}.parquet", table)


def scoring(inputs: Path, folder: Path) -> None:
    pairs = read_parquet(inputs / "QI_test.parquet").head(FIRST_ROWS).assign(query_en="")
    scores = score_cached(load_model(inputs / "linear"), pairs, ScoreCache(folder / "cache"), shard_rows=12)
    write_parquet(folder / "out" / "scores.parquet", pairs[["id"]].assign(score=scores))


def fit_linear(inputs: Path, folder: Path) -> None:
    _fit("linear", {"max_iter": 10}, _train(inputs).head(FIRST_ROWS), inputs, folder)


def fit_encoder(inputs: Path, folder: Path) -> None:
    settings = {
        "model_name_or_path": str(inputs / "encoder"),
        "dtype": "float32",
        "num_train_epochs": 2,
        "total_batch_size": 8,
        "freeze_embeddings": False,
        "eval_steps": 0.25,
    }
    _fit("encoder", settings, _train(inputs).head(FIRST_ROWS), inputs, folder)


def fit_decoder(inputs: Path, folder: Path) -> None:
    settings = {
        "model_name_or_path": str(inputs / "decoder"),
        "device": "cpu",
        "num_train_epochs": 1,
        "total_batch_size": 8,
        "max_length": 96,
        "eval_steps": 4,
    }
    _fit("decoder", settings, _train(inputs).head(FIRST_ROWS), inputs, folder)


def _train(inputs: Path) -> pd.DataFrame:
    table = read_parquet(inputs / "QI_train.parquet")
    return start_table(table, pd.Series("", index=table.index))


def _fit(kind: str, settings: dict, train: pd.DataFrame, inputs: Path, folder: Path) -> None:
    (folder / "work").mkdir(parents=True, exist_ok=True)
    (folder / "out").mkdir(exist_ok=True)
    model = new_model(kind, settings)
    held = train["fold"] == 0
    model.fit(train[~held], train[held], work_dir=folder / "work", seed=0)
    model.save(folder / "out")
    np.save(folder / "out" / "scores.npy", model.score(train))


NETWORKS = ("mining", "fit of an encoder", "fit of a decoder")
PARTS: dict[str, Callable[[Path, Path], None]] = {
    "translation": translation,
    "mining": mine,
    "scoring": scoring,
    "fit of linear": fit_linear,
    "fit of an encoder": fit_encoder,
    "fit of a decoder": fit_decoder,
}
