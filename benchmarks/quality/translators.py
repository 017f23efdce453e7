"""How near a translator comes to a lexicon: phrases of it, as many of each language, from there into English.

    python -m benchmarks.quality.translators instruct:gemma-3-270m --data-dir ../shared/data/taxobench --phrases 200

A row a language: share of phrases whose translation is the lexicon's but for case; F1 of the words, a mean over the
phrases (as SQuAD counts it: twice the words in common over the words of both); share that comes back unchanged.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from benchmarks.command import exit_status, new_parser
from competition_utils.data.files import find_lexicon
from competition_utils.errors import UserError
from competition_utils.storage import write_json
from competition_utils.translation.open import open_translator


def word_f1(made: str, expected: str) -> float:
    """0–1; words are compared without case."""
    ours, theirs = (Counter(text.casefold().split()) for text in (made, expected))
    return 2 * (ours & theirs).total() / max(1, ours.total() + theirs.total())


def phrases(folder: Path, count: int) -> pd.DataFrame:
    """`source_lang, source_text, target_text`, drawn at random; without those that are written alike in English."""
    path = find_lexicon(folder)
    if path is None:
        raise UserError(f"translators: expected lexicon.tsv or lexicon.tsv.gz in {folder}, found none.")
    table = pd.read_csv(path, sep="\t", dtype="str", keep_default_na=False, quoting=3)
    table = table[
        (table["target_lang"] == "en") & (table["source_text"].str.casefold() != table["target_text"].str.casefold())
    ]
    each = max(1, count // table["source_lang"].nunique())
    return pd.concat([rows.sample(min(each, len(rows)), random_state=0) for _, rows in table.groupby("source_lang")])


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("translator", help="as the setting `translator`")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with the lexicon")
    parser.add_argument("--phrases", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write figures and translations here as well")
    args = parser.parse_args()
    table, start = phrases(args.data_dir, args.phrases), time.process_time()
    translator = open_translator(args.translator, args.data_dir)
    if translator is None:
        raise UserError(f"translators: expected one that translates, found {args.translator}.")
    for language, rows in table.groupby("source_lang"):
        made, _ = translator.translate(rows["source_text"].tolist(), str(language), "en")
        table.loc[rows.index, "made"] = made
    seconds = time.process_time() - start
    table["equal"] = table["made"].str.casefold() == table["target_text"].str.casefold()
    table["word_f1"] = [word_f1(*both) for both in zip(table["made"], table["target_text"], strict=True)]
    table["unchanged"] = table["made"].str.casefold() == table["source_text"].str.casefold()
    figures = table.groupby("source_lang")[["equal", "word_f1", "unchanged"]].mean()
    figures.loc["all"] = table[["equal", "word_f1", "unchanged"]].mean()
    print(figures.round(3).to_string(), f"\n{len(table)} phrases, {seconds:.0f} s of CPU time")
    if args.json:
        write_json(
            args.json, {"figures": figures.to_dict("index"), "rows": table.to_dict("records"), "seconds": seconds}
        )


if __name__ == "__main__":
    sys.exit(exit_status(main))
