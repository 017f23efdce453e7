"""How a prompt becomes tokens, pair by pair, and what a pair that is too long loses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.data.files import EXTRA_PREFIX
from competition_utils.data.languages import language_name
from competition_utils.errors import UserError
from competition_utils.models.decoder.prompts.frame import find_label_words, render_frame
from competition_utils.models.decoder.prompts.prompt import Prompt, fill, pieces
from competition_utils.models.tokens import CUT, FRAME, QUERY, TARGET, TRANSLATION
from competition_utils.progress import progress

ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class LengthReport:
    """Lengths of prompts in tokens; `shortened` rows lost a part of the target, tags or the translation,
    `over` rows are longer than `max_length` all the same, since query and frame are never cut."""

    rows: int
    mean: float
    percentile_99: int
    longest: int
    max_length: int
    shortened: int
    over: int

    def sentence(self) -> str:
        return (
            f"{self.rows:,} prompts of {self.mean:.0f} tokens on average, 99% up to {self.percentile_99},"
            f" longest {self.longest}; {self.shortened:,} shortened to {self.max_length}, {self.over:,} over it "
            "because of the query alone"
        )


@dataclass(frozen=True)
class Prompts:
    """Token ids of each prompt, in the order of the pairs, ending where the label word comes next."""

    ids: list[list[int]]
    lengths: np.ndarray
    report: LengthReport


def language_names(codes: pd.Series) -> pd.Series:
    """`vn` → `Vietnamese`; an unknown code stands for itself."""
    names = {code: language_name(code) for code in codes.dropna().unique()}
    return codes.map(names).fillna("unknown language")


def spell_out_levels(paths: pd.Series) -> pd.Series:
    """`beauty & health,skin care` → `beauty & health > skin care`; a comma before a space belongs to a
    level's name."""
    return paths.str.replace(r",(?=\S)", " > ", regex=True)


class PromptWriter:
    """Writes pairs as token ids for one tokenizer, as a `Prompt` says.

    `max_length` is in tokens and holds for the prompt without the label word.
    """

    def __init__(self, tokenizer: Any, prompt: Prompt, *, max_length: int):
        self.tokenizer, self.prompt, self.max_length = tokenizer, prompt, max_length
        _, frame_end = render_frame(tokenizer, next(iter(prompt.instructions.values())), prompt.answer)
        self.label_words = find_label_words(tokenizer, frame_end, prompt.label_words)
        instructions = {task: self._with_answers(text) for task, text in prompt.instructions.items()}
        self.frames = {task: render_frame(tokenizer, text, prompt.answer) for task, text in instructions.items()}
        special = sorted(set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab()), key=len, reverse=True)
        self._unwanted = "|".join([*map(re.escape, special), r"\s+"])

    def _with_answers(self, instruction: str) -> str:
        answers = {"yes": self.label_words.positive, "no": self.label_words.negative}
        return "".join(text + answers.get(name, "") for text, name in pieces(instruction, list(answers)))

    def texts(self, pairs: pd.DataFrame) -> pd.Series:
        """The prompts as text; columns `task, language, query, target`, `query_en` and `tags` where
        wanted."""
        return self._join(self._lines(pairs))

    def write(self, pairs: pd.DataFrame) -> Prompts:
        """The prompts as token ids, at most `max_length` long.

        A row that is too long loses its tags, then the translation, then tokens of the target: a title its
        end, a category its top levels. Query, frame and label are never cut.
        """
        ids, _, was_long = self._write(pairs)
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        return Prompts(ids, lengths, self._report(lengths, shortened=was_long))

    def lengths(self, pairs: pd.DataFrame) -> np.ndarray:
        """int64 [n]: tokens of each whole prompt, before anything is cut."""
        return np.fromiter(map(len, self._tokenize(self.texts(pairs))), dtype=np.int64, count=len(pairs))

    def _write(self, pairs: pd.DataFrame) -> tuple[list[list[int]], pd.DataFrame, int]:
        """Token ids, what is left of each line, and how many rows were too long."""
        lines = self._lines(pairs)
        ids = self._tokenize(self._join(lines))
        was_long = self._too_long(ids)
        for name in ("tags", "translation"):
            long = self._too_long(ids)
            lines.loc[lines.index[long], name] = ""
            self._replace(ids, long, lines)
        # A cut can shift token borders, so look again; every pass takes a character at least.
        while len(long := self._too_long_with_target(ids, lines)):
            self._cut_targets(lines, long, ids)
            self._replace(ids, long, lines)
        return ids, lines, len(was_long)

    def token_parts(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """See `RelevanceModel.token_parts`: every token of the whole prompts, those that are cut marked so."""
        whole, (_, kept, _) = self._lines(pairs), self._write(pairs)
        rows = []
        for pair, (row, left) in enumerate(zip(whole.to_dict("records"), kept.to_dict("records"), strict=True)):
            segments = list(self._segments(row, left))
            text, ends = "".join(one for one, _ in segments), np.cumsum([len(one) for one, _ in segments])
            encoded, seen = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True), 0
            for start, end in encoded["offset_mapping"]:
                letter = end - len(text[start:end].lstrip(" "))  # a token can hold the blank before its word
                part = segments[min(int(np.searchsorted(ends, letter, side="right")), len(segments) - 1)][1]
                rows.append((pair, text[max(start, seen) : end], part))  # a character can be several tokens
                seen = max(seen, end)
        return pd.DataFrame(rows, columns=["pair", "token", "part"])

    def _segments(self, row: dict[str, str], left: dict[str, str]) -> Iterator[tuple[str, str]]:
        """The text of a prompt in pieces, each with its part; `left` is what the row keeps within `max_length`."""
        before, after = self.frames[row["task"]]
        yield before, FRAME
        for text, name in pieces(self.prompt.query, ["language", "query"]):
            yield from ((text, FRAME), (row[name] if name else "", QUERY if name == "query" else FRAME))
        yield "\n", FRAME
        if row["translation"]:
            for text, name in pieces(self.prompt.translation, ["translation"]):
                value = row["translation"] if name else ""
                yield from ((text, FRAME), (value, TRANSLATION if left["translation"] else CUT))
            yield "\n", FRAME
        yield row["tags"], FRAME if left["tags"] else CUT
        lost = len(row["target"]) - len(left["target"])
        for text, name in pieces(self.prompt.targets[row["task"]], ["target"]):
            value = row["target"] if name else ""
            yield text, FRAME
            if row["task"] == "QC":  # a category loses its top levels, a title its end
                yield from ((value[:lost], CUT), (value[lost:], TARGET))
            else:
                yield from ((value[: len(value) - lost], TARGET), (value[len(value) - lost :], CUT))
        yield after, FRAME

    def _lines(self, pairs: pd.DataFrame) -> pd.DataFrame:
        unknown = sorted(set(pairs["task"].unique()) - set(self.prompt.instructions))
        missing = [name for name in self.prompt.tags if name not in pairs]
        if unknown or missing:
            raise UserError(
                f"pairs: expected tasks {', '.join(self.prompt.instructions)} and columns for every tag, found "
                f"tasks {unknown or 'as expected'} and no columns {missing or '—'}. Correct `tags` or the "
                "table."
            )
        is_category = pairs["task"] == "QC"
        target = self._clean(pairs["target"])
        lines = pd.DataFrame({"task": pairs["task"].astype("str"), "query": self._clean(pairs["query"])})
        lines["language"] = language_names(pairs["language"])
        lines["target"] = target.where(~is_category, spell_out_levels(target))
        english = self._clean(pairs["query_en"]) if self.prompt.translation and "query_en" in pairs else ""
        lines["translation"] = english
        lines["tags"] = ""
        for name in self.prompt.tags:
            value = self._clean(pairs[name].astype("str"))
            lines["tags"] += (f"{name.removeprefix(EXTRA_PREFIX)}: " + value + "\n").where(value != "", "")
        return lines.reset_index(drop=True)

    def _clean(self, texts: pd.Series) -> pd.Series:
        """Text on one line that cannot speak for the frame: the tokenizer's special tokens are taken out."""
        return texts.fillna("").str.replace(self._unwanted, " ", regex=True).str.strip()

    def _join(self, lines: pd.DataFrame) -> pd.Series:
        before = lines["task"].map({task: frame[0] for task, frame in self.frames.items()})
        after = lines["task"].map({task: frame[1] for task, frame in self.frames.items()})
        query = fill(self.prompt.query, language=lines["language"], query=lines["query"]) + "\n"
        english = fill(self.prompt.translation or "", translation=lines["translation"]) + "\n"
        english = english.where(lines["translation"] != "", "")
        target = lines["target"]
        for task, template in self.prompt.targets.items():
            target = target.mask(lines["task"] == task, fill(template, target=lines["target"]))
        return before + query + english + lines["tags"] + target.str.rstrip() + after

    def _tokenize(self, texts: pd.Series) -> list[list[int]]:
        ids: list[list[int]] = []
        starts = range(0, len(texts), ROWS_AT_ONCE)
        for start in progress(starts, what="tokenizing", unit="x 10,000 rows"):
            batch = texts.iloc[start : start + ROWS_AT_ONCE].tolist()
            ids += self.tokenizer(batch, add_special_tokens=False, return_attention_mask=False)["input_ids"]
        return ids

    def _too_long(self, ids: list[list[int]]) -> np.ndarray:
        return np.flatnonzero(np.fromiter(map(len, ids), dtype=np.int64, count=len(ids)) > self.max_length)

    def _too_long_with_target(self, ids: list[list[int]], lines: pd.DataFrame) -> np.ndarray:
        long = self._too_long(ids)
        return long[(lines["target"].iloc[long] != "").to_numpy()]

    def _replace(self, ids: list[list[int]], rows: np.ndarray, lines: pd.DataFrame) -> None:
        if len(rows):
            for row, new in zip(rows, self._tokenize(self._join(lines.iloc[rows])), strict=True):
                ids[row] = new

    def _cut_targets(self, lines: pd.DataFrame, rows: np.ndarray, ids: list[list[int]]) -> None:
        targets = lines["target"].iloc[rows].tolist()
        spans = self.tokenizer(targets, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        tasks = lines["task"].iloc[rows].tolist()
        cut = []
        for row, text, task, span in zip(rows, targets, tasks, spans, strict=True):
            kept = len(span) - (len(ids[row]) - self.max_length)
            if kept <= 0:
                cut.append("")
            elif task == "QC":
                cut.append(text[max(1, span[-kept][0]) :])
            else:
                cut.append(text[: min(len(text) - 1, span[kept - 1][1])])
        lines.loc[lines.index[rows], "target"] = pd.Series(cut, dtype="str").str.strip().to_numpy()

    def _report(self, lengths: np.ndarray, *, shortened: int) -> LengthReport:
        known = lengths if len(lengths) else np.zeros(1)
        return LengthReport(
            rows=len(lengths),
            mean=float(known.mean()),
            percentile_99=int(np.percentile(known, 99)),
            longest=int(known.max()),
            max_length=self.max_length,
            shortened=shortened,
            over=int((lengths > self.max_length).sum()),
        )
