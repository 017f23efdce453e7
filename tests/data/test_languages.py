from competition_utils.data.languages import LANGUAGES, language_name
from competition_utils.tasks import QC, QI


def test_every_language_of_the_competition_is_known():
    assert set(QC.languages) | set(QI.languages) | {"tr"} <= set(LANGUAGES)


def test_vietnamese_is_coded_vn_and_is_vi_elsewhere():
    assert LANGUAGES["vn"].iso == "vi"
    assert "vi" not in LANGUAGES


def test_only_arabic_is_read_from_right_to_left():
    assert [code for code, language in LANGUAGES.items() if language.direction == "rtl"] == ["ar"]


def test_an_unknown_code_names_itself():
    assert (language_name("vn"), language_name("xx")) == ("Vietnamese", "xx")
