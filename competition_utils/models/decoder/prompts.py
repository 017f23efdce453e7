"""What a decoder is asked about a pair, and how that becomes tokens.

The prompt is data: one instruction a task, then a line for each thing known of the pair. The tokenizer's own
chat template frames it, and the answer is one label word that is a single token right after that frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd

from competition_utils.data.files import EXTRA_PREFIX
from competition_utils.data.languages import language_name
from competition_utils.errors import UserError
from competition_utils.models.tokens import CUT, FRAME, QUERY, TARGET, TRANSLATION
from competition_utils.progress import progress

INSTRUCTIONS = {
    "QC": "Does this product category fit the shopping query? Answer {yes} or {no}.",
    "QI": "Does this product match the shopping query? Answer {yes} or {no}.",
}
LABEL_WORDS = (("no", "yes"), ("No", "Yes"), ("0", "1"), ("B", "A"))
PLACE = "\u2063pair\u2063"  # stands for the pair while the frame is rendered; an invisible mark no template has
ROWS_AT_ONCE = 10_000


@dataclass
class Prompt:
    """What the model reads: an instruction a task, then a line for each thing known of the pair.

    `{…}` stand for the answers, the language's name, and the texts of a pair. The line of the translation is left out
    where a row has none, and where it is None; `tags` are columns that get a line `name: value` each (a field NAME of
    the file is the column `extra_NAME`). `label_words`
    are (negative, positive) candidates: the first that the tokenizer writes as one token each are taken.
    """

    instructions: dict[str, str] = field(default_factory=lambda: dict(INSTRUCTIONS))
    query: str = "Query ({language}): {query}"
    translation: str | None = "English: {translation}"
    tags: list[str] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=lambda: {"QC": "Category: {target}", "QI": "Product: {target}"})
    label_words: list[tuple[str, str]] = field(default_factory=lambda: list(LABEL_WORDS))

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in asdict(self).items())


def pieces(template: str, allowed: Sequence[str]) -> list[tuple[str, str | None]]:
    """A line of a prompt as (text, name of the place behind it or None).

    Raises UserError for a place that is not among `allowed`.
    """
    try:
        found = [(text, name) for text, name, _, _ in Formatter().parse(template)]
    except ValueError as error:
        raise UserError(f"prompt: expected a line with places in braces, found {template!r} ({error}).") from None
    unknown = [name for _, name in found if name is not None and name not in allowed]
    if unknown:
        places = ", ".join(f"{{{name}}}" for name in allowed)
        raise UserError(f"prompt: expected only {places} in {template!r}, found {{{unknown[0]}}}.")
    return found


def fill(template: str, **columns: pd.Series) -> pd.Series:
    """The line for each row; a column has the name of its place."""
    text: Any = ""
    for before, name in pieces(template, list(columns)):
        text = text + before + (columns[name] if name else "")
    return text if isinstance(text, pd.Series) else pd.Series(text, index=next(iter(columns.values())).index)


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
    """Writes pairs as token ids for one tokenizer, as a `Prompt` says.

    `max_length` is in tokens and holds for the prompt without the label word.
    """

    def __init__(self, tokenizer: Any, prompt: Prompt, *, max_length: int):
        self.tokenizer, self.prompt, self.max_length = tokenizer, prompt, max_length
        _, frame_end = render_frame(tokenizer, next(iter(prompt.instructions.values())))
        self.label_words = find_label_words(tokenizer, frame_end, prompt.label_words)
        instructions = {task: self._with_answers(text) for task, text in prompt.instructions.items()}
        self.frames = {task: render_frame(tokenizer, text) for task, text in instructions.items()}
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
