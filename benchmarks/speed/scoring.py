"""Scoring on a CPU: the engine beside what a user would otherwise pick. Same model, same rows, same run.

    python -m benchmarks.speed.scoring --rows 20000 --json scoring.json
    python -m benchmarks.speed.scoring --memory 1000000

Each way runs in a process of its own, so that its peak memory is its own; shares of the ceiling are of what a matrix
product reaches in bf16 for that way, in fp32 for the others. `ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI` in front makes a
processor with AMX compute as one without. The rows are taxobench QI pairs where
../shared is there, else the built-in sample's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.command import exit_status, new_parser
from competition_utils.storage import write_json

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "taxobench"
MAX_LENGTH = 96


def pairs(rows: int) -> pd.DataFrame:
    """`rows` different pairs with the columns of a pair table."""
    from competition_utils.data.files import read_table
    from competition_utils.synthetic.folder import data_folder
    from competition_utils.tasks import QI

    folder = SHARED if SHARED.is_dir() else data_folder("sample")
    table = read_table(QI.find_file(folder, "train"), QI)
    repeated = table.loc[np.resize(table.index, rows)].reset_index(drop=True)
    target = repeated["origin_target"].fillna("")
    again = np.arange(rows) // len(table)
    return pd.DataFrame(
        {
            "task": "QI",
            "language": repeated["language"],
            "query": repeated["origin_query"],
            "query_en": "",
            "target": target.where(again == 0, target + " " + pd.Series(again).astype("str")),
        }
    )


def model_folder(folder: Path) -> Path:
    """MiniLM with a random head, saved as a fitted encoder."""
    from transformers import AutoTokenizer

    from competition_utils.models.encoder.model import EncoderModel

    model = EncoderModel({})
    model.tokenizer = AutoTokenizer.from_pretrained(_minilm())
    model.network = model.load_base_model(0)
    model.save(folder)
    return folder


def _minilm() -> str:
    from competition_utils.models.pretrained import resolve

    return resolve("minilm")


def ours(folder: Path, table: pd.DataFrame, dtype: str):
    from competition_utils.models.encoder.int8 import Int8Layers
    from competition_utils.models.encoder.model import EncoderModel

    model = EncoderModel.load(folder, {"dtype": "float32" if dtype == "int8" else dtype})
    block = Int8Layers(model.network) if dtype == "int8" else nullcontext()

    def run():
        with block:
            return model.score(table)

    model.score(table.head(256))
    return run


def public_winner(folder: Path, table: pd.DataFrame):
    """A Dataset that tokenises row by row in `__getitem__`, padded to the batch, file order, batches of 8."""
    import torch
    from torch.utils.data import DataLoader, Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    class Rows(Dataset):
        def __len__(self):
            return len(table)

        def __getitem__(self, row):
            query, target = table["query"].iat[row], table["target"].iat[row]
            return tokenizer(query, target, truncation=True, max_length=MAX_LENGTH)

    def run():
        scores = []
        with torch.no_grad():
            for batch in DataLoader(Rows(), batch_size=8, collate_fn=DataCollatorWithPadding(tokenizer)):
                scores.append(torch.sigmoid(model(**batch).logits[:, 0]))
        return torch.cat(scores).numpy()

    return run


def cross_encoder(folder: Path, table: pd.DataFrame):
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), max_length=MAX_LENGTH, device="cpu")
    rows = list(zip(table["query"], table["target"], strict=True))
    return lambda: model.predict(rows, batch_size=32, show_progress_bar=False)


def pipeline(folder: Path, table: pd.DataFrame):
    from transformers import pipeline as make

    model = make("text-classification", model=str(folder), device="cpu")
    rows = [{"text": query, "text_pair": target} for query, target in zip(table["query"], table["target"], strict=True)]
    limits = {"truncation": True, "max_length": MAX_LENGTH, "function_to_apply": "sigmoid"}
    return lambda: np.array([row["score"] for row in model(rows, batch_size=32, **limits)], dtype=np.float32)


WAYS = {
    "ours, fp32": lambda folder, table: ours(folder, table, "float32"),
    "ours, int8": lambda folder, table: ours(folder, table, "int8"),
    "ours, bf16": lambda folder, table: ours(folder, table, "bfloat16"),
    "(a) row by row, batch 8": public_winner,
    "(b) CrossEncoder.predict": cross_encoder,
    "(b) transformers pipeline": pipeline,
}


def measure(way: str, folder: Path, rows: int, repeats: int) -> dict:
    table = pairs(rows)
    before = peak_mb()
    run = WAYS[way](folder, table)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        scores = run()
        seconds.append(time.perf_counter() - start)
    np.save(folder / f"{list(WAYS).index(way)}.npy", np.asarray(scores, dtype=np.float32))
    return {"seconds": statistics.median(seconds), "peak_mb": peak_mb(), "before_mb": before}


def peak_mb() -> int:
    """Peak resident memory of this process in MB (VmHWM: ru_maxrss would count the parent's)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def token_facts(rows: int) -> dict[str, float]:
    """Real tokens, padding by either way of batching, and how fast tokenising and batching alone are."""
    from transformers import AutoTokenizer

    from competition_utils.models.scoring.batching import batches_by_budget, tokenise_pairs

    tokenizer, table = AutoTokenizer.from_pretrained(_minilm()), pairs(rows)
    tokenise_pairs(tokenizer, table["query"].head(100), table["target"].head(100), MAX_LENGTH)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        tokens = tokenise_pairs(tokenizer, table["query"], table["target"], MAX_LENGTH)
        batches = batches_by_budget(tokens.lengths, 8192)
        for batch in batches:
            tokens.padded(batch)
        seconds.append(time.perf_counter() - start)
    rate = rows / statistics.median(seconds)
    lengths = tokens.lengths
    in_order = [np.arange(start, min(start + 8, rows)) for start in range(0, rows, 8)]
    waste = {name: 1 - lengths.sum() / sum(len(b) * lengths[b].max() for b in cut) for name, cut in
             (("ours", batches), ("file order, 8", in_order))}  # fmt: skip
    return {"tokens": int(lengths.sum()), "rate": rate, "waste": waste}


def ceiling(dtype: str) -> float:
    """Floating-point operations a second of a large matrix product here."""
    import torch

    a = torch.randn(2048, 2048).to(getattr(torch, dtype))
    best = 0.0
    for _ in range(8):
        start = time.perf_counter()
        a @ a
        best = max(best, 2 * 2048**3 / (time.perf_counter() - start))
    return best


def compare(rows: int, repeats: int) -> dict:
    facts = token_facts(rows)
    layers = 2 * 10_646_784  # MiniLM's six layers: floating-point operations a token, without attention's own
    result = {"rows": rows, **facts, "ways": {}}
    with tempfile.TemporaryDirectory() as place:
        folder = model_folder(Path(place))
        for way in WAYS:
            call = [sys.executable, "-m", __spec__.name, "--way", way, "--folder", place, "--rows", str(rows)]
            line = subprocess.run([*call, "--repeats", str(repeats)], capture_output=True, text=True, check=True).stdout
            result["ways"][way] = json.loads(line.splitlines()[-1])
        scores = [np.load(folder / f"{number}.npy") for number in range(len(WAYS))]
    for number, (way, entry) in enumerate(result["ways"].items()):
        top = ceiling("bfloat16" if "bf16" in way else "float32")
        entry["pairs_per_second"] = rows / entry["seconds"]
        entry["tokens_per_second"] = facts["tokens"] / entry["seconds"]
        entry["share_of_ceiling"] = layers * facts["tokens"] / entry["seconds"] / top
        entry["largest_difference"] = float(np.abs(scores[number] - scores[0]).max())
    return result


def show(result: dict) -> None:
    print(
        f"{result['rows']:,} pairs, {result['tokens']:,} tokens; tokenising and batching {result['rate']:,.0f} pairs/s"
    )
    print("padding: " + ", ".join(f"{name} {share:.1%}" for name, share in result["waste"].items()))
    titles = {"pairs/s": 9, "tokens/s": 10, "of ceiling": 11, "peak MB": 9, "speed of ours": 15, "difference": 12}
    print(f"{'way':<28}" + "".join(f"{title:>{width}}" for title, width in titles.items()))
    best = {way: entry["pairs_per_second"] for way, entry in result["ways"].items()}
    for way, entry in result["ways"].items():
        speed = entry["pairs_per_second"]
        ratio = f"{best['ours, fp32'] / speed:.1f}× / {best['ours, bf16'] / speed:.1f}×"
        print(
            f"{way:<28}{speed:>9,.0f}{entry['tokens_per_second']:>10,.0f}{entry['share_of_ceiling']:>11.0%}{entry['peak_mb']:>9,}"
            f"{ratio:>15}{entry['largest_difference']:>12.1e}"
        )


def memory(rows: int) -> None:
    """Peak memory and speed of the path around the model, by size: `score` from a file, and tokens alone."""
    with tempfile.TemporaryDirectory() as place:
        for size in sorted({10_000, min(100_000, rows), rows}):
            table = pairs(size)[["query", "target", "language"]]
            for suffix, write in FORMS.items():
                source = Path(place) / f"{size}.{suffix}"
                write(table, source)
                _print_child("--score-file", str(source))
                source.unlink()
            table.to_parquet(Path(place) / "table.parquet")
            _print_child("--tokenise-file", str(Path(place) / "table.parquet"))


FORMS = {
    "parquet": lambda table, path: table.to_parquet(path),
    "csv": lambda table, path: table.to_csv(path, index=False),
    "jsonl": lambda table, path: table.to_json(path, orient="records", lines=True, force_ascii=False),
}


def _print_child(*arguments: str) -> None:
    call = [sys.executable, "-m", __spec__.name, *arguments]
    print(subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1], flush=True)


class AtOnce:
    """Stands for a model: what is left of the time and memory is the path's own."""

    def score(self, table: pd.DataFrame) -> np.ndarray:
        return (1 / (1 + table["target"].str.len())).to_numpy(np.float32)


def _timed(function, given: tuple, seconds: list[float]):
    start = time.perf_counter()
    result = function(*given)
    seconds.append(time.perf_counter() - start)
    return result


def score_a_file(source: Path) -> None:
    """Twice: the second time every score comes from the cache."""
    from competition_utils.runs.scoring import score_file as module

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "model").mkdir()
        module.work_root, module.load_model = lambda: folder, lambda *_: AtOnce()
        look_up, seconds = module.score_cached, []
        module.score_cached = lambda *given: _timed(look_up, given, seconds)
        first, again = (
            module.score_file(folder / "model", source, folder / "scores.parquet", task="QI") for _ in range(2)
        )
    rates = [first.rows / first.seconds, again.rows / again.seconds, again.rows / seconds[1]]
    scored, cached, looked_up = (f"{rate:,.0f}" for rate in rates)
    print(
        f"{first.rows:>9,} pairs, {source.suffix[1:]:<8} file → scores {scored} pairs/s, all cached {cached} pairs/s "
        f"(score_cached alone {looked_up}), peak {peak_mb():,} MB"
    )


def tokenise_a_file(source: Path) -> None:
    """Shards of 50,000 rows to padded batches, as the scoring engine does it, without a forward pass."""
    from transformers import AutoTokenizer

    from competition_utils.models.scoring.batching import batches_by_budget, tokenise_pairs

    tokenizer, table = AutoTokenizer.from_pretrained(_minilm()), pd.read_parquet(source)
    start = time.perf_counter()
    for at in range(0, len(table), 50_000):
        shard = table.iloc[at : at + 50_000]
        tokens = tokenise_pairs(tokenizer, shard["query"], shard["target"], MAX_LENGTH)
        for batch in batches_by_budget(tokens.lengths, 8192):
            tokens.padded(batch)
    rate = len(table) / (time.perf_counter() - start)
    print(f"{len(table):>9,} pairs tokenised and batched: {rate:,.0f} pairs/s, peak {peak_mb():,} MB")


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=1, help="runs a way; the median counts")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument(
        "--memory", type=int, metavar="ROWS", help="instead: peak memory of scoring a file of ROWS pairs"
    )
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--score-file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tokenise-file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args.way, args.folder, args.rows, args.repeats)))
    elif args.score_file:
        score_a_file(args.score_file)
    elif args.tokenise_file:
        tokenise_a_file(args.tokenise_file)
    elif args.memory:
        memory(args.memory)
    else:
        result = compare(args.rows, args.repeats)
        show(result)
        if args.json:
            write_json(args.json, result)


if __name__ == "__main__":
    sys.exit(exit_status(main))
