import pytest
from matplotlib import font_manager

from competition_utils.data.lexicon import load_lexicon
from competition_utils.plots import style


def _missing(text: str) -> set[str]:
    style.use()
    fonts = [
        font_manager.get_font(font_manager.findfont(family, fallback_to_default=False)) for family in style.FAMILIES
    ]
    return {
        letter
        for letter in text
        if not letter.isspace() and not any(font.get_char_index(ord(letter)) for font in fonts)
    }


@pytest.mark.parametrize(
    "language", ["en", "es", "fr", "ja", "ko", "pt", "th", "ar", "de", "it", "pl", "id", "vn", "tr"]
)
def test_the_fonts_hold_every_letter_of_the_lexicon(language):
    assert _missing("".join(load_lexicon().concepts[language])) == set()


@pytest.mark.parametrize(
    "text", ["（spe）％＆", "gopro12 フィルム 保護", "뷁 쀍", "ẵ ự ơ", "ﺃ منتخب", "ğ ı ş", "₩ € ¥ £ ™ ✓"]
)
def test_the_fonts_hold_what_real_rows_are_written_in(text):
    assert _missing(text) == set()


def test_a_bold_title_in_any_script_finds_its_fonts_without_a_warning(caplog):
    figure, axes = style.new_figure()
    axes.set_title("靴 รองเท้า 신발", fontweight="bold")
    font_manager.fontManager._findfont_cached.cache_clear()
    figure.canvas.draw()
    assert caplog.messages == []
