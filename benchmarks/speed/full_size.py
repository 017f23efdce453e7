"""The whole pipeline at full size, with the linear model and a two-layer encoder: time and memory of every stage.

    python -m benchmarks.speed.full_size [--rows 300000 340000] [--score-rows 165000] [--json FILE]
    python -m benchmarks.speed.full_size --models linear --rows 1000000 1000 --different-queries
    python -m benchmarks.speed.full_size --models linear --rows 20000 --file-rows 5000000 -p category_hints=false

Rows are generated (`synthetic/`): `--rows` of train for QC and QI, `--score-rows` of test shared by both. The encoder
has MiniLM's tokenizer and random weights, so its scores mean nothing. With `--file-rows` the command `score` then
scores a parquet file of so many rows, each with a query of its own. Memory is resident memory of the runner and its
kernel together, read every half second. Aim: 16 GB and 45 minutes on 2 cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.command import exit_status, new_parser
from competition_utils.models.pretrained import resolve
from competition_utils.paths import ROOT_VARIABLE, STAGES
from competition_utils.storage import read_json, write_json
from competition_utils.synthetic.competition import make_sample
from competition_utils.tasks import QC, QI

REPOSITORY = Path(__file__).resolve().parents[2]
EVERY_SECONDS = 0.5
COLUMNS = ["model", "stage", "seconds", "peak_mib"]


def make_data(folder: Path, rows: tuple[int, int], score_rows: int, different_queries: bool) -> None:
    """The official files: as many rows as the larger task has, then those of the smaller one cut.

    With `different_queries` every row of train has a query of its own: a number is put behind it.
    """
    make_sample(folder, rows=max(rows), dev_rows=2000, test_rows=score_rows // 2)
    for task, wanted in zip((QC, QI), rows, strict=True):
        path = folder / task.file_name("train")
        lines = path.read_text(encoding="utf-8").split("\n")[:wanted]
        if different_queries:
            given = [json.loads(line) for line in lines]
            lines = [json.dumps(row | {"origin_query": f"{row['origin_query']} {row['id']}"}) for row in given]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_encoder(folder: Path) -> Path:
    """A two-layer BERT of random weights with MiniLM's tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(resolve("minilm"))
    torch.manual_seed(0)
    size = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=128, num_labels=1, **size)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Memory(threading.Thread):
    """Peak resident memory of all processes of a project, by the stage that is under way."""

    def __init__(self, project: Path, run: Path):
        super().__init__(daemon=True)
        self._mark, self._run = f"{ROOT_VARIABLE}={project}".encode(), run
        self._ended = threading.Event()
        self.peaks: dict[str, float] = {}

    def run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            stage = next((name for name in reversed(STAGES) if (self._run / name).is_dir()), STAGES[0])
            self.peaks[stage] = max(self.peaks.get(stage, 0.0), self._resident_mib())

    def end(self) -> dict[str, float]:
        self._ended.set()
        self.join()
        return self.peaks

    def _resident_mib(self) -> float:
        pages = 0
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark in (process / "environ").read_bytes().split(b"\0"):
                    pages += int((process / "statm").read_text().split()[1])
            except OSError:  # it ended meanwhile
                continue
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run_command(project: Path, name: str, arguments: list[str]) -> dict[str, float]:
    """Run a command line of the suite in a project; gives the peaks of `Memory` for the run `name`, in MiB."""
    memory = Memory(project, project / "papermill_runs" / name)
    memory.start()
    environment = {**os.environ, ROOT_VARIABLE: str(project), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-m", "competition_utils", *arguments], env=environment)
    peaks = memory.end()
    if done.returncode:
        raise SystemExit(f"{arguments[0]} ended with status {done.returncode}")
    return peaks


def run_model(project: Path, model: str, encoder: Path, given: list[str]) -> pd.DataFrame:
    """One run: `model, stage, seconds, peak_mib`."""
    settings = {"data_dir": project / "data", "model": model, "encoder.model_name_or_path": encoder}
    settings |= {"encoder.num_train_epochs": 1, "encoder.max_length": 48}
    parameters = [part for pair in (*(f"{k}={v}" for k, v in settings.items()), *given) for part in ("-p", pair)]
    peaks = run_command(project, model, ["run", "sample", "--name", model, *parameters])
    seconds = read_json(project / "papermill_runs" / model / "metrics.json")["seconds"]
    rows = [(model, stage, seconds[stage], round(peaks.get(stage, 0.0))) for stage in STAGES]
    return pd.DataFrame(rows, columns=COLUMNS)


def score_file(project: Path, model: str, rows: int) -> pd.DataFrame:
    """`score` on a file of so many different pairs: `model, stage, seconds, peak_mib`."""
    given = project / "pairs.parquet"
    make_file(project / "data", given, rows)
    fitted = project / "papermill_runs" / model / "finetune" / "QI" / "fold0"
    started = time.monotonic()
    arguments = ["score", "--model", str(fitted), "--input", str(given), "--output", str(project / "scores.parquet")]
    peaks = run_command(project, "score", arguments)
    seconds = time.monotonic() - started
    scored = pq.ParquetFile(project / "scores.parquet").metadata.num_rows
    if scored != rows:
        raise SystemExit(f"score: expected {rows:,} rows in the output, found {scored:,}")
    return pd.DataFrame(
        [(model, f"score {rows:,} rows", round(seconds, 1), round(max(peaks.values())))], columns=COLUMNS
    )


def make_file(data: Path, path: Path, rows: int) -> None:
    """The test rows of QI again and again, each with its own id and a number behind its query, part by part."""
    test = pd.read_json(data / "test_QI.txt", lines=True)[list(QI.fields)]
    with pq.ParquetWriter(path, pa.Table.from_pandas(test, preserve_index=False).schema) as writer:
        for start in range(0, rows, len(test)):
            part = test.head(rows - start).assign(id=np.arange(start, min(start + len(test), rows)))
            part["origin_query"] += " " + part["id"].astype(str)
            writer.write_table(pa.Table.from_pandas(part, schema=writer.schema, preserve_index=False))


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[300_000, 340_000], help="train of QC and QI, or of each"
    )
    parser.add_argument("--score-rows", type=int, default=165_000, help="test rows of both tasks together")
    parser.add_argument("--models", nargs="+", default=["linear", "encoder"], choices=["linear", "encoder"])
    parser.add_argument("--different-queries", action="store_true", help="every row of train has its own query")
    parser.add_argument(
        "--file-rows", type=int, default=0, help="rows of a file for the command `score` (default: none)"
    )
    parser.add_argument("-p", dest="given", action="append", default=[], metavar="KEY=VALUE", help="as in `run`")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for name in ("notebooks", "configs"):
            (project / name).symlink_to(REPOSITORY / name)
        started = time.monotonic()
        make_data(project / "data", (args.rows[0], args.rows[-1]), args.score_rows, args.different_queries)
        print(f"data made in {time.monotonic() - started:.0f} s", flush=True)
        encoder = make_encoder(project / "encoder")
        tables = [run_model(project, model, encoder, args.given) for model in args.models]
        tables += [score_file(project, model, args.file_rows) for model in args.models if args.file_rows]
    table = pd.concat(tables, ignore_index=True)
    print(table.to_string(index=False))
    totals = {name: _totals(part) for name, part in table.groupby(table["stage"].isin(STAGES))}
    print(totals[True].to_string())
    if args.json:
        figures = {"rows": args.rows, "score_rows": args.score_rows, "stages": table.to_dict("records")}
        figures["totals"] = totals[True].to_dict("index")
        figures["score"] = totals[False].to_dict("index") if False in totals else {}
        write_json(args.json, figures)


def _totals(stages: pd.DataFrame) -> pd.DataFrame:
    """`seconds, peak_mib` of each model."""
    return stages.groupby("model").agg(seconds=("seconds", "sum"), peak_mib=("peak_mib", "max"))


if __name__ == "__main__":
    sys.exit(exit_status(main))
