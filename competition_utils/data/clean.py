"""Cleaning, declared: every rule has a name, is counted, can be switched off; originals stay as they were.

No rule changes a digit, a brand or model token, or a script. What NFKC would spoil is kept from it: ™ ("TM"
would grow onto the brand), fractions ("1½" would read "11/2"), the Thai vowel ำ (it would fall apart).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from competition_utils.data.columns import over_unique, text_array
from competition_utils.errors import UserError
from competition_utils.tasks import QC, Task

FIELDS = {"query": "origin_query", "target": "origin_target"}


@dataclass(frozen=True)
class Rule:
    """One named change. `apply` works on a string array of different texts; `fields` are cleaned by it."""

    name: str
    description: str
    apply: Callable[[pa.Array], pa.Array]
    fields: tuple[str, ...] = ("query", "target")


def _where(pattern: str, change: Callable[[str], str]) -> Callable[[pa.Array], pa.Array]:
    """A rule that a plain function does, on the few texts that the pattern (RE2) finds."""

    def apply(texts: pa.Array) -> pa.Array:
        found = pc.match_substring_regex(texts, pattern)
        changed = [change(text) for text in texts.filter(found).to_pylist()]
        return pc.replace_with_mask(texts, found, pa.array(changed, texts.type))

    return apply


def _replaced(*pairs: tuple[str, str]) -> Callable[[pa.Array], pa.Array]:
    """A rule of regular expressions (RE2) and their replacements, in order."""

    def apply(texts: pa.Array) -> pa.Array:
        for pattern, replacement in pairs:
            texts = pc.replace_substring_regex(texts, pattern, replacement)
        return texts

    return apply


_KEPT_FROM_NFKC = r"[™℠ำຳ¼-¾⅐-⅞↉]"
_NOT_KEPT = re.compile(rf"(?:(?!{_KEPT_FROM_NFKC}).)+", re.DOTALL)


def _nfkc(texts: pa.Array) -> pa.Array:
    around = _where(_KEPT_FROM_NFKC, lambda text: _NOT_KEPT.sub(lambda part: normalize("NFKC", part[0]), text))
    spared = pc.match_substring_regex(texts, _KEPT_FROM_NFKC)
    return pc.if_else(spared, around(texts), pc.utf8_normalize(texts, "NFKC"))


_LETTER_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
_BLANK_ESCAPE = re.compile(r"\\[ntr](?![a-z])")
_QUOTE_ESCAPE = re.compile(r"\\([\"'/])")


def _unescape(text: str) -> str:
    text = _LETTER_ESCAPE.sub(lambda found: _escaped_letters(found[0]), text)
    return _QUOTE_ESCAPE.sub(r"\1", _BLANK_ESCAPE.sub(" ", text))


def _escaped_letters(escapes: str) -> str:
    """`\\u00e9` → é; a pair of surrogates is one character, half a pair stays as it was."""
    try:
        return bytes.fromhex(escapes.replace("\\u", "")).decode("utf-16-be")
    except UnicodeDecodeError:
        return escapes


_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")

_RULES = (
    Rule(
        "escapes",
        r"escapes left by a program become what they stand for (\u00e9 → é, \" → \", \n → blank)",
        _where(r"\\[untr\"'/]", _unescape),
    ),
    Rule(
        "html_entities",
        "HTML entities become what they stand for (&amp; → &)",
        _where(r"&[#A-Za-z0-9]+;", lambda text: _ENTITY.sub(lambda found: html.unescape(found[0]), text)),
    ),
    Rule(
        "wide_commas",
        "a full-width comma stays inside its level, which NFKC would cut in two (， → comma and blank)",
        _replaced((r"[，﹐︐][\s\p{Z}]*", ", ")),
    ),
    Rule("nfkc", "one form for each character (Unicode NFKC: full width, ligatures, half-width kana)", _nfkc),
    Rule(
        "control_characters",
        "control characters become blanks; invisible marks (zero width, direction, soft hyphen) go",
        _replaced(
            (r"\p{Cc}+", " "),
            (
                r"[\x{AD}\x{200B}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2064}\x{2066}-\x{2069}\x{FEFF}]+",
                "",
            ),
        ),
    ),
    Rule(
        "stray_quotes",
        'a quote without its partner at an end, and quotes around the whole text, go; inches stay (14")',
        _replaced(
            (r'^[\s"]*"[\s"]*([^"]*?)[\s"]*"[\s"]*$', r"\1"),
            (r'^\s*"[\s"]*([^"]*)$', r"\1"),
            (r'^([^"]*[^"\s\d])\s*"[\s"]*$', r"\1"),
        ),
    ),
    Rule(
        "stray_marks",
        "marks that mean nothing before the first letter or after the last go (%منتخب → منتخب)",
        _replaced((r"^[\s%*^|~`_=;:,]+(\p{L})", r"\1"), (r"([\p{L}\p{M}\p{N}])[\s*^|~`_=;:,]+$", r"\1")),
        fields=("query",),
    ),
    Rule(
        "blanks",
        "runs of blanks become one, none at the ends",
        _replaced((r"[\s\p{Z}]+", " "), (r"^ | $", "")),
    ),
)
RULES: dict[str, Rule] = {rule.name: rule for rule in _RULES}
_MAX_PASSES = 20

# No rule changes a text of plain words, and most titles are that: they are not even tried.
_PLAIN_CHARACTER = r"[A-Za-z0-9.'()+/&!?#$@-]"
_PLAIN_TEXT = rf"^(?:{_PLAIN_CHARACTER},? ?)*{_PLAIN_CHARACTER}$"


def select_rules(names: Iterable[str]) -> list[Rule]:
    """Rules by name, in the order in which they work; ("all",) for all; UserError for a name that no rule has."""
    wanted = list(names)
    if wanted == ["all"]:
        return list(RULES.values())
    if unknown := [name for name in wanted if name not in RULES]:
        found, known = ", ".join(unknown), ", ".join(RULES)
        raise UserError(f"cleaning rules: expected all, or names out of {known}; found {found}. Correct the name.")
    return [rule for rule in RULES.values() if rule.name in wanted]


def clean_table(table: pd.DataFrame, task: Task, rules: Iterable[str] = ("all",)) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table with `query` and `target` added, and what each rule did.

    `query` and `target` are `origin_query` and `origin_target` after the rules, "" for a null target; the
    originals stay as they are. The counts have a row for each rule × field: `rule, description, field, rows, texts`
    (rows and different texts that the rule changed). Cleaning what is clean changes nothing. A text never
    becomes empty: a rule that would leave nothing of it (a query of quotes only) leaves it alone.
    """
    chosen = select_rules(rules)
    cleaned, counts = {}, []
    for field, origin in FIELDS.items():
        for_field = [rule for rule in chosen if _is_for(rule, field, task)]
        cleaned[field], counted = _clean_column(table[origin], for_field)
        counts.append(counted.assign(field=field))
    columns = ["rule", "description", "field", "rows", "texts"]
    return table.assign(**cleaned), pd.concat(counts, ignore_index=True)[columns]


def _is_for(rule: Rule, field: str, task: Task) -> bool:
    only_paths = rule.name == "wide_commas"
    return field in rule.fields and (not only_paths or (field == "target" and task.name == QC.name))


def _clean_column(column: pd.Series, rules: list[Rule]) -> tuple[pd.Series, pd.DataFrame]:
    codes, unique = pd.factorize(column.fillna(""))
    rows_of = np.bincount(codes, minlength=len(unique))
    texts = text_array(unique)
    touched = {rule.name: np.zeros(len(texts), dtype=bool) for rule in rules}
    plain = pc.match_substring_regex(texts, _PLAIN_TEXT).to_numpy(zero_copy_only=False)
    open_texts = np.flatnonzero(~plain)
    # One rule may give another one new work (&amp;quot; → &quot; → "), so all are run until nothing changes.
    for _ in range(_MAX_PASSES):
        before = texts.take(pa.array(open_texts))
        after = before
        for rule in rules:
            after, changed = _apply(rule, after)
            touched[rule.name][open_texts[changed]] = True
        moved = pc.not_equal(before, after)
        open_texts = open_texts[moved.to_numpy(zero_copy_only=False)]
        if not len(open_texts):
            break
        texts = pc.replace_with_mask(texts, _mask(open_texts, len(texts)), after.filter(moved))
    cleaned = pd.Series(texts.to_pandas().array.take(codes), index=column.index)
    counted = [
        {
            "rule": r.name,
            "description": r.description,
            "rows": int(rows_of[touched[r.name]].sum()),
            "texts": touched[r.name].sum(),
        }
        for r in rules
    ]
    return cleaned, pd.DataFrame(counted, columns=["rule", "description", "rows", "texts"])


def _apply(rule: Rule, texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Texts after a rule, and which it changed (bool)."""
    after = rule.apply(texts)
    emptied = pc.and_(_is_blank(after), pc.invert(_is_blank(texts)))
    after = pc.if_else(emptied, texts, after)
    return after, pc.not_equal(texts, after).to_numpy(zero_copy_only=False)


def _is_blank(texts: pa.Array) -> pa.Array:
    """bool: nothing in the text can be seen."""
    return pc.match_substring_regex(texts, r"^[\s\p{Z}\p{C}]*$")


def _mask(places: np.ndarray, size: int) -> pa.Array:
    mask = np.zeros(size, dtype=bool)
    mask[places] = True
    return pa.array(mask)


# A comma with a blank behind it belongs to the level's name ("automobiles, parts & accessories").
_INNER_COMMA = "\ue000"


def _hide_inner_commas(paths: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(paths, r",([\s\p{Z}])", _INNER_COMMA + r"\1")


def split_levels(paths: pd.Series) -> pd.Series:
    """Category paths → tuples of level names, from the top down; "" has no level.

    Levels are joined by a bare comma; a comma followed by a blank is part of a level's name. Joining the
    levels with "," gives the path again.
    """
    codes, unique = pd.factorize(paths)
    split = pc.split_pattern(_hide_inner_commas(text_array(unique)), ",")
    levels = np.empty(len(unique), dtype=object)
    for place, names in enumerate(split.to_pylist()):
        levels[place] = tuple(name.replace(_INNER_COMMA, ",") for name in names) if names != [""] else ()
    return pd.Series(levels[codes], index=paths.index)


def category_prefix(paths: pd.Series, depth: int) -> pd.Series:
    """The first `depth` levels of each path, joined by commas; a shorter path stays whole."""
    pattern = rf"(?s)^((?:[^,]*,){{{depth - 1}}}[^,]*),.*$"

    def cut(unique: pa.Array) -> pa.Array:
        prefix = pc.replace_substring_regex(_hide_inner_commas(unique), pattern, r"\1")
        return pc.replace_substring(prefix, _INNER_COMMA, ",")

    return over_unique(paths, cut)
