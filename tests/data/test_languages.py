from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from competition_utils.data import languages
from competition_utils.data.languages import LANGUAGES, detect, language_name, mis_tagged, scripts_of
from competition_utils.tasks import QC, QI

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared_file(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside this repository (../shared/data)")
    return path


def column(*texts: str) -> pd.Series:
    return pd.Series(texts, dtype="str")


def languages_of(*texts: str, tags: tuple[str, ...] | None = None) -> list[str]:
    return detect(column(*texts), column(*tags) if tags else None)["text_language"].tolist()


def test_every_language_of_the_competition_is_known():
    assert set(QC.languages) | set(QI.languages) | {"tr"} <= set(LANGUAGES)


def test_vietnamese_is_coded_vn_and_is_vi_elsewhere():
    assert LANGUAGES["vn"].iso == "vi"
    assert "vi" not in LANGUAGES


def test_only_arabic_is_read_from_right_to_left():
    assert [code for code, language in LANGUAGES.items() if language.direction == "rtl"] == ["ar"]


def test_an_unknown_code_names_itself():
    assert (language_name("vn"), language_name("xx")) == ("Vietnamese", "xx")


def test_letters_are_counted_by_script():
    counts = scripts_of(pd.Series(["gopro12 フィルム", "神の塔", "คน"], index=[4, 5, 6]))
    assert counts.loc[4, ["latin", "kana", "han"]].tolist() == [5, 4, 0]
    assert counts.loc[5, ["latin", "kana", "han"]].tolist() == [0, 1, 2]
    assert counts.loc[6, "thai"] == 2


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("gopro12 フィルム", "ja"),
        ("神戸", "ja"),
        ("led 식물성장등", "ko"),
        ("เสื้อ", "th"),
        ("كوب ستانلي", "ar"),
        ("красные сапоги", "ru"),
        ("women's winter boots with fur", "en"),
        ("zapatillas de mujer para correr", "es"),
        ("áo khoác mùa đông cho nữ", "vn"),
        ("buty zimowe dla dziewczynki", "pl"),
        ("kadın kışlık çizme", "tr"),
    ],
)
def test_a_plain_text_shows_its_language(text, code):
    assert languages_of(text) == [code]


@pytest.mark.parametrize("text", ["4497eq", "s23 256gb", "audi q5", "iphone 15", "%%", ""])
def test_codes_and_brands_alone_are_undetermined(text):
    assert languages_of(text, tags=("pl",)) == ["und"]


def test_the_tag_decides_where_the_text_could_be_either():
    assert languages_of("rosa", "rosa", tags=("it", "pt")) == ["it", "pt"]


def test_latin_letters_under_a_tag_of_another_script_are_a_brand_unless_a_language_is_sure():
    texts = ("dedene", "zapatillas de mujer para correr")
    assert languages_of(*texts, tags=("ja", "ja")) == ["und", "es"]


def test_strong_evidence_outweighs_the_tag():
    found = detect(column("zapatillas de mujer para correr"), column("en"))
    assert found["text_language"].tolist() == ["es"]
    assert found["language_confidence"].between(0.5, 1).all()


def test_the_words_of_other_queries_are_evidence():
    # "blorp" and "zirn" are in no language; queries around them say whose words they are.
    others = [(f"blorp zirn{letter}", "de") for letter in "abcdefghijklmnop"]
    others += [(f"foo bar{letter}", "pl") for letter in "abcdefghijklmnop"]
    texts, tags = zip(*others, ("blorp", "en"), strict=True)
    found = detect(column(*texts), column(*tags), tag_prior=False)
    assert found["text_language"].iloc[-1] == "de"


def test_a_word_that_every_language_uses_tells_nothing():
    rows = [(f"krax {text}", tag) for tag in ("de", "pl", "it", "es") for text in ("a", "b", "c", "d", "e", "f")]
    texts, tags = zip(*rows, ("krax", "pl"), strict=True)
    assert languages_of(*texts, tags=tags)[-1] == "und"


def test_an_unknown_tag_is_no_evidence_and_never_called_wrong():
    table = pd.DataFrame({"language": column("xx"), "text_language": column("es"), "language_confidence": 0.9})
    assert languages_of("zapatillas de mujer", tags=("xx",)) == ["es"]
    assert not mis_tagged(table).any()


def test_undetermined_and_unsure_rows_are_not_called_mis_tagged():
    table = pd.DataFrame({"language": column("pl", "en", "en", "en")})
    table["text_language"] = column("und", "es", "es", "en")
    table["language_confidence"] = [0.0, 0.9, 0.4, 0.9]
    assert mis_tagged(table).tolist() == [False, True, False, False]


def test_the_order_of_rows_does_not_matter():
    texts, tags = column("rosa", "zapatos rojos", "red shoes"), column("it", "es", "en")
    there, back = detect(texts, tags), detect(texts[::-1], tags[::-1])
    pd.testing.assert_frame_equal(there, back.sort_index())


def test_a_result_in_the_cache_is_not_worked_out_again(tmp_path, monkeypatch):
    texts, tags = column("zapatos rojos", "red shoes"), column("es", "en")
    first = detect(texts, tags, cache_dir=tmp_path)
    monkeypatch.setattr(languages, "_detect_different", None)
    pd.testing.assert_frame_equal(detect(texts, tags, cache_dir=tmp_path), first)


def test_a_cache_is_not_used_for_other_texts_or_tags(tmp_path):
    detect(column("rosa"), column("it"), cache_dir=tmp_path)
    assert detect(column("rosa"), column("pt"), cache_dir=tmp_path)["text_language"].tolist() == ["pt"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.shared
def test_the_real_sample_agrees_with_its_tags_better_than_lingua_does():
    sample = pd.read_json(shared_file("official_sample/QC_labelled_sample.txt"), lines=True)
    texts, tags = sample["origin_query"].astype("str"), sample["language"].astype("str")
    agreement = (detect(texts, tags)["text_language"] == tags).mean()
    without_prior = (detect(texts, tags, tag_prior=False)["text_language"] == tags).mean()
    assert agreement >= 0.95
    assert without_prior >= max(0.76, lingua_agreement(texts, tags))


def lingua_agreement(texts: pd.Series, tags: pd.Series) -> float:
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [getattr(IsoCode639_1, language.iso.upper()) for language in LANGUAGES.values()]
    found = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build().detect_languages_in_parallel_of(list(texts))
    iso = [language.iso_code_639_1.name.lower() if language else "und" for language in found]
    return float((np.array(iso) == tags.map(lambda code: LANGUAGES[code].iso).to_numpy()).mean())


@pytest.mark.shared
def test_mis_tagged_english_rows_are_found_on_taxobench():
    rows = pd.read_json(shared_file("taxobench/dev_QC.txt.gz"), lines=True)
    truth = pd.read_csv(shared_file("taxobench/dev_QC_meta.tsv.gz"), sep="\t", keep_default_na=False)["query_lang"]
    table = rows[["language"]].astype("str")
    table = table.join(detect(rows["origin_query"].astype("str"), table["language"]))
    english = table["language"] == "en"
    wrong, found = (truth != "en")[english], mis_tagged(table)[english]
    assert (found & wrong).sum() / found.sum() >= 0.9
    assert (found & wrong).sum() / wrong.sum() >= 0.75
