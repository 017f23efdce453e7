"""What a decoder is asked about a pair, and how that becomes tokens.

The prompt is data: one instruction a task, then a line for each thing known of the pair. The tokenizer's own
chat template frames it, and the answer is one label word that is a single token right after that frame.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.data.files import EXTRA_PREFIX
from competition_utils.data.languages import language_name
from competition_utils.errors import UserError
from competition_utils.progress import progress

INSTRUCTIONS = {
    "QC": "Does this product category fit the shopping query? Answer {yes} or {no}.",
    "QI": "Does this product match the shopping query? Answer {yes} or {no}.",
}
TARGET_NAMES = {"QC": "Category", "QI": "Product"}
# (negative, positive), the first pair that the tokenizer writes as one token each is taken.
LABEL_WORDS = (("no", "yes"), ("No", "Yes"), ("0", "1"), ("B", "A"))
PLACE = "\u2063pair\u2063"  # stands for the pair while the frame is rendered; an invisible mark no template has
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class LabelWords:
    """The two answers and their token ids, `ids[0]` for label 0 and `ids[1]` for label 1."""

    negative: str
    positive: str
    ids: tuple[int, int]


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


def _encode(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def find_label_words(tokenizer: Any, frame_end: str, candidates: Sequence[tuple[str, str]] = LABEL_WORDS) -> LabelWords:
    """The first (negative, positive) pair whose words are one token each right after `frame_end`.

    Raises UserError where none is.
    """
    context = _encode(tokenizer, frame_end)
    for words in candidates:
        encoded = [_encode(tokenizer, frame_end + word) for word in words]
        single = all(ids[:-1] == context and ids[-1] != tokenizer.unk_token_id for ids in encoded)
        if single and encoded[0] != encoded[1]:
            return LabelWords(*words, ids=(encoded[0][-1], encoded[1][-1]))
    tried = ", ".join("/".join(words) for words in candidates)
    raise UserError(
        "label words: expected a pair of words that this tokenizer writes as one token each, found none in "
        f"{tried}. Set `label_words` to two such words, the negative one first."
    )


def render_frame(tokenizer: Any, instruction: str) -> tuple[str, str]:
    """The text before and after a pair: chat template, instruction and the opening of the model's turn.

    The instruction goes into a system turn (which also keeps a template's own long default out); where the
    template refuses one, into the user's turn. A tokenizer without a template gets plain text.
    """
    if not tokenizer.chat_template:
        return f"{tokenizer.bos_token or ''}{instruction}\n\n", "\nAnswer:\n"
    with_system = [{"role": "system", "content": instruction}, {"role": "user", "content": PLACE}]
    one_turn = [{"role": "user", "content": f"{instruction}\n\n{PLACE}"}]
    try:
        text = _render(tokenizer, with_system)
    except Exception:  # templates refuse in their own ways (jinja's raise_exception, a missing role)
        text = ""
    if instruction not in text or PLACE not in text:
        text = _render(tokenizer, one_turn)
    before, after = text.split(PLACE)
    return before, after


def _render(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    # Qwen 3 would think first; templates without the switch ignore it.
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=False)


class PromptWriter:
    """Writes pairs as token ids for one tokenizer.

    `tags` names further columns of the pair table (a field NAME of the file is the column `extra_NAME`) that become
    lines of their own; `translation` adds the
    English query. `max_length` is in tokens and holds for the prompt without the label word.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        max_length: int,
        translation: bool = True,
        tags: Sequence[str] = (),
        label_words: tuple[str, str] | None = None,
    ):
        self.tokenizer, self.max_length = tokenizer, max_length
        self.translation, self.tags = translation, tuple(tags)
        _, frame_end = render_frame(tokenizer, INSTRUCTIONS["QC"])
        self.label_words = find_label_words(tokenizer, frame_end, (label_words,) if label_words else LABEL_WORDS)
        answers = {"yes": self.label_words.positive, "no": self.label_words.negative}
        self.frames = {task: render_frame(tokenizer, text.format(**answers)) for task, text in INSTRUCTIONS.items()}
        special = sorted(set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab()), key=len, reverse=True)
        self._unwanted = "|".join([*map(re.escape, special), r"\s+"])

    def texts(self, pairs: pd.DataFrame) -> pd.Series:
        """The prompts as text; columns `task, language, query, target`, `query_en` and `tags` where
        wanted."""
        return self._join(self._lines(pairs))

    def write(self, pairs: pd.DataFrame) -> Prompts:
        """The prompts as token ids, at most `max_length` long.

        A row that is too long loses its tags, then the translation, then tokens of the target: a title its
        end, a category its top levels. Query, frame and label are never cut.
        """
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
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        return Prompts(ids, lengths, self._report(lengths, shortened=len(was_long)))

    def _lines(self, pairs: pd.DataFrame) -> pd.DataFrame:
        unknown = sorted(set(pairs["task"].unique()) - set(INSTRUCTIONS))
        missing = [name for name in self.tags if name not in pairs]
        if unknown or missing:
            raise UserError(
                f"pairs: expected tasks {', '.join(INSTRUCTIONS)} and columns for every tag, found "
                f"tasks {unknown or 'as expected'} and no columns {missing or '—'}. Correct `tags` or the "
                "table."
            )
        is_category = pairs["task"] == "QC"
        target = self._clean(pairs["target"])
        lines = pd.DataFrame({"task": pairs["task"].astype("str"), "query": self._clean(pairs["query"])})
        lines["language"] = language_names(pairs["language"])
        lines["target"] = target.where(~is_category, spell_out_levels(target))
        english = self._clean(pairs["query_en"]) if self.translation and "query_en" in pairs else ""
        lines["translation"] = english
        lines["tags"] = ""
        for name in self.tags:
            value = self._clean(pairs[name].astype("str"))
            lines["tags"] += (f"{name.removeprefix(EXTRA_PREFIX)}: " + value + "\n").where(value != "", "")
        return lines.reset_index(drop=True)

    def _clean(self, texts: pd.Series) -> pd.Series:
        """Text on one line that cannot speak for the frame: the tokenizer's special tokens are taken out."""
        return texts.fillna("").str.replace(self._unwanted, " ", regex=True).str.strip()

    def _join(self, lines: pd.DataFrame) -> pd.Series:
        before = lines["task"].map({task: frame[0] for task, frame in self.frames.items()})
        after = lines["task"].map({task: frame[1] for task, frame in self.frames.items()})
        english = ("English: " + lines["translation"] + "\n").where(lines["translation"] != "", "")
        target = lines["task"].map(TARGET_NAMES) + ": " + lines["target"]
        query = "Query (" + lines["language"] + "): " + lines["query"] + "\n"
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
