"""Score a folder of parquet shards: one shard of scores for each, finished ones recognised, memory flat.

A shard is finished when its scores lie in the output folder and the receipt beside them (`_receipts/NAME.json`) holds
the hashes of the shard, of its scores and of what scored it. So a call that was killed goes on where it ended, an
altered shard is scored again, and several calls with a share each, or several machines, fill one folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from competition_utils import distributed
from competition_utils.category_tree.hints import HintWriter
from competition_utils.data.files import find_lexicon
from competition_utils.errors import DamagedFile, DataError, Fault, UserError
from competition_utils.models.base import RelevanceModel, load_model, register_own
from competition_utils.models.scoring.cache import model_hash
from competition_utils.progress import progress
from competition_utils.runs.scoring.pairs import clean_pairs, model_input
from competition_utils.runs.scoring.shard_rows import Shard, find_shards, raise_faults, read_batches
from competition_utils.storage import (
    atomic_write,
    hash_file,
    read_sealed_json,
    remove_stale_parts,
    write_sealed_json,
)
from competition_utils.tasks import TASKS
from competition_utils.translation.interface import Translator
from competition_utils.translation.open import open_translator

RECEIPTS = "_receipts"  # readers of a folder of parquet files pass over names that start with an underscore
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Job:
    """What scores the shards of a folder, and where the scores go; it can be sent to another process.

    `own_model` names a class that is not the suite's (`python:MODULE:CLASS`)."""

    model: Path
    output: Path
    overrides: Mapping[str, Any]
    lexicon: Path | None
    made_with: Mapping[str, str | None]
    own_model: str | None = None

    def scores_of(self, shard: Shard) -> Path:
        return self.output / shard.name

    def receipt_of(self, shard: Shard) -> Path:
        return self.output / RECEIPTS / f"{shard.name}.json"

    def receipt(self, shard: Shard, shard_hash: str) -> dict[str, Any]:
        """What the receipt of a shard with this hash holds beside the scores that lie there now."""
        scores = self.scores_of(shard)
        hashes = {"shard": shard_hash, "scores": hash_file(scores) if scores.is_file() else None}
        return {**hashes, "rows": shard.rows, "task": shard.task, "made_with": dict(self.made_with)}

    def is_done(self, shard: Shard) -> bool:
        try:
            return read_sealed_json(self.receipt_of(shard)) == self.receipt(shard, hash_file(shard.path))
        except (FileNotFoundError, DamagedFile):
            return False


def new_job(model: Path, source: Path, output: Path, lexicon: Path | None, overrides: Mapping[str, Any]) -> Job:
    """A job with absolute paths; the lexicon is that of the folder of shards where none is given."""
    lexicon = lexicon or find_lexicon(source)
    made_with = {
        "model": model_hash(model, overrides),
        "lexicon": None if lexicon is None else hash_file(lexicon),
        "version": version("competition-utils"),
    }
    return Job(model.absolute(), output.absolute(), dict(overrides), lexicon and lexicon.absolute(), made_with)


class ShardScorer:
    """Scores whole shards, with one model that is loaded for the first of them."""

    def __init__(self, job: Job):
        self.job = job

    @cached_property
    def model(self) -> RelevanceModel:
        if self.job.own_model:
            register_own(self.job.own_model)
        return load_model(self.job.model, self.job.overrides)

    @cached_property
    def translator(self) -> Translator | None:
        return None if self.job.lexicon is None else open_translator(str(self.job.lexicon), self.job.lexicon.parent)

    @cached_property
    def writer(self) -> HintWriter | None:
        return HintWriter.of_model(self.job.model)

    def score(self, shard: Shard, advance: Advance = lambda rows: None) -> None:
        """Write the scores of a shard (`id, task, language, score`) and their receipt; `advance` is called with the
        number of rows of each batch. Raises DataError with the faults of the shard, and leaves no scores then."""
        fields = {"id": shard.id_type, "task": pa.string(), "language": pa.string(), "score": pa.float32()}
        schema = pa.schema(fields)
        shard_hash = hash_file(shard.path)  # before it is read: a shard that changes meanwhile is scored again
        with (
            atomic_write(self.job.scores_of(shard)) as beside,
            pq.ParquetWriter(beside, schema, write_page_checksum=True) as writer,
        ):
            for batch in read_batches(shard):
                pairs = model_input(clean_pairs(batch.table, TASKS[shard.task]), self.translator, self.writer)
                columns = [batch.ids, pairs["task"], pairs["language"], self.model.score(pairs)]
                arrays = [pa.array(values, kind) for values, kind in zip(columns, fields.values(), strict=True)]
                writer.write_table(pa.table(arrays, schema=schema))
                advance(len(pairs))
        write_sealed_json(self.job.receipt_of(shard), self.job.receipt(shard, shard_hash))


Engine = Callable[[Job, Sequence[Shard], Advance], list[Fault]]


def score_here(job: Job, shards: Sequence[Shard], advance: Advance) -> list[Fault]:
    """Score the shards in this process; gives the faults of those that have some."""
    scorer, faults = ShardScorer(job), []
    for shard in shards:
        try:
            scorer.score(shard, advance)
        except DataError as error:
            faults += error.faults
    return faults


@dataclass(frozen=True)
class ScoredShards:
    """What `score_shards` did: shards and rows of its share, how many of either were finished before, and the names of
    what lay in the input folder and was not read."""

    shards: int
    rows: int
    shards_before: int
    rows_before: int
    left_out: list[str]
    seconds: float


def score_shards(
    model: Path,
    source: Path,
    output: Path,
    *,
    task: str | None = None,
    lexicon: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    share: tuple[int, int] | None = None,
    engine: Engine = score_here,
    own_model: str | None = None,
) -> ScoredShards:
    """Write a shard of scores for each shard of `source`, with its name, in its order of rows.

    Parameters
    ----------
    source : folder of parquet files with the official fields of a task, or with `query` and `target` (then `id` and
        `language` where they have them, else 1, 2, … in each shard and "und").
    output : another folder; it gets `id, task, language, score` for each row, and receipts.
    lexicon, overrides : as for `score_file`.
    share : (k, n): the shards k, k + n, … only, by name and counted from 0; under `accelerate launch` by default the
        number of this process and how many there are.
    engine : where the shards are scored.
    own_model : `python:MODULE:CLASS` of a model that is not the suite's.

    Raises
    ------
    UserError
        Before any work, for folders that cannot be meant, and for scores in `output` that no shard has.
    DataError
        With the faults of all shards, each named; those without a fault are scored all the same.
    """
    start = time.monotonic()
    share = share or (distributed.rank(), distributed.world_size())
    _refuse_folders(source, output)
    everything, left_out = find_shards(source, task)
    _refuse_other_scores(everything, output)
    shards = everything[share[0] :: share[1]]
    job = replace(new_job(model, source, output, lexicon, overrides or {}), own_model=own_model)
    with_receipt = [shard for shard in shards if job.receipt_of(shard).is_file()]
    compared = progress(with_receipt, what="comparing hashes", unit="shards")
    done = {shard.name for shard in compared if job.is_done(shard)}
    missing = [shard for shard in shards if shard.name not in done]
    rows, rows_missing = (sum(shard.rows for shard in some) for some in (shards, missing))
    with progress(total=rows, initial=rows - rows_missing, what="scoring", unit="pairs") as bar:
        faults = engine(job, missing, bar.update) if missing else []
    raise_faults(faults)
    if share == (0, 1):  # another share's process may be writing
        remove_stale_parts(job.output)
    return ScoredShards(len(shards), rows, len(done), rows - rows_missing, left_out, time.monotonic() - start)


def _refuse_folders(source: Path, output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise UserError(f"output: expected a folder, since the input is one; found the file {output}.")
    if source.resolve() == output.resolve():
        raise UserError(f"output: expected another folder than the input, found {output} for both. Name a new one.")


def _refuse_other_scores(shards: Sequence[Shard], output: Path) -> None:
    """Whoever reads the folder as one table would read rows of shards that are not there any more."""
    names = {shard.name for shard in shards}
    other = [path.name for path in sorted(output.glob("*.parquet")) if path.name not in names]
    if other:
        raise UserError(
            f"output: expected scores of the input's shards only, found {', '.join(other[:5])}"
            f"{', …' if len(other) > 5 else ''} in {output}, which no shard is named. Delete them, or name another."
        )
