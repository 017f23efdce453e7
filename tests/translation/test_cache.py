"""The cache of translations: by engine, model, direction and text; shared; there after a kill."""

from __future__ import annotations

import multiprocessing

import pytest

from competition_utils.errors import UserError
from competition_utils.translation.cache import TranslationCache, scope_of

DE = scope_of("seq2seq", "m", "en", "de")


def test_what_was_put_is_got_and_nothing_else(tmp_path):
    cache = TranslationCache(tmp_path / "cache.sqlite")
    cache.put({"red": "rot", "": ""}, DE)
    assert cache.get(["red", "blue", ""], DE) == {"red": "rot", "": ""}


@pytest.mark.parametrize(
    "other",
    [scope_of("instruct", "m", "en", "de"), scope_of("seq2seq", "n", "en", "de"), scope_of("seq2seq", "m", "de", "en")],
)
def test_engine_model_and_direction_keep_translations_apart(tmp_path, other):
    cache = TranslationCache(tmp_path / "cache.sqlite")
    cache.put({"red": "rot"}, DE)
    assert cache.get(["red"], other) == {}


def test_it_is_there_for_the_next_process(tmp_path):
    TranslationCache(tmp_path / "a" / "cache.sqlite").put({"red": "rot"}, DE)
    assert TranslationCache(tmp_path / "a" / "cache.sqlite").get(["red"], DE) == {"red": "rot"}


def test_more_texts_than_one_query_takes_are_got(tmp_path):
    cache = TranslationCache(tmp_path / "cache.sqlite")
    many = {f"text {number}": str(number) for number in range(12_000)}
    cache.put(many, DE)
    assert cache.get(list(many), DE) == many


def write_some(path, writer):
    cache = TranslationCache(path)
    for number in range(20):
        cache.put({f"{writer} {number}": "x"}, DE)


def test_several_writers_lose_nothing(tmp_path):
    path = tmp_path / "cache.sqlite"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_some, args=(path, writer)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    wanted = [f"{writer} {number}" for writer in range(3) for number in range(20)]
    assert len(TranslationCache(path).get(wanted, DE)) == 60


def test_a_file_that_is_no_cache_is_refused(tmp_path):
    path = tmp_path / "cache.sqlite"
    path.write_text("something else entirely, and long enough to be looked at" * 20)
    with pytest.raises(UserError, match="own SQLite file"):
        TranslationCache(path)
