"""Neural translators with tiny random models made on the spot: languages, cache, ranks, a kill in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

import competition_utils
from competition_utils import distributed
from competition_utils.errors import UserError
from competition_utils.translation import neural as model_translate
from competition_utils.translation.cache import TranslationCache
from competition_utils.translation.neural import (
    FAMILIES,
    InstructTranslator,
    ModelTranslator,
    Seq2SeqTranslator,
    protect,
    restore,
)
from competition_utils.translation.open import open_translator

WORDS = "red blue dress shoes lamp Translate this search query from to Query Translation : <2de> X0X"


def tokenizer():
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS.split()])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    )


@pytest.fixture(scope="module")
def seq2seq_folder(tmp_path_factory):
    from transformers import T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    config = T5Config(
        vocab_size=len(WORDS.split()) + 3, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def causal_folder(tmp_path_factory):
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("llama")
    config = LlamaConfig(
        vocab_size=len(WORDS.split()) + 3, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, pad_token_id=0, eos_token_id=1, bos_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    monkeypatch.setattr(model_translate, "LONGEST_NEW", 4)


class Upper(ModelTranslator):
    """An engine that answers in capitals, and counts what it was asked."""

    engine = "upper"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked = []

    def supports(self, source, target):
        return True

    def _translate_batch(self, texts, source, target):
        self.asked += texts
        return [text.upper() for text in texts]


@pytest.mark.parametrize(
    ("family", "language", "code"),
    [
        ("nllb", "vn", "vie_Latn"),
        ("m2m100", "vn", "vi"),
        ("madlad", "vn", "vi"),
        ("opus", "vn", "vi"),
        ("opus_many", "vn", "vie"),
    ],
)
def test_vietnamese_has_each_familys_own_code(family, language, code):
    assert FAMILIES[family].code(language) == code


def test_the_target_is_named_as_each_family_wants_it():
    assert FAMILIES["madlad"].prepare(["red"], "vn") == ["<2vi> red"]
    assert FAMILIES["opus_many"].prepare(["red"], "es") == [">>spa<< red"]
    assert FAMILIES["nllb"].prepare(["red"], "es") == ["red"]

    class Tokens:
        @staticmethod
        def convert_tokens_to_ids(token):
            return {"spa_Latn": 7}[token]

    assert FAMILIES["nllb"].generation(Tokens, "es") == {"forced_bos_token_id": 7}


def test_a_sequence_to_sequence_model_translates_and_is_not_asked_twice(seq2seq_folder, tmp_path):
    cache = TranslationCache(tmp_path / "cache.sqlite")
    translator = Seq2SeqTranslator(seq2seq_folder, "madlad", cache)
    texts, confidence = translator.translate(["red dress", "lamp", "red dress", ""], "en", "de")
    assert confidence is None
    assert texts[0] == texts[2]
    assert texts[3] == ""
    again = Seq2SeqTranslator("no/such-model", "madlad", cache)
    again.model = seq2seq_folder
    again._load = None  # would fail if it were asked
    assert again.translate(["lamp", "red dress"], "en", "de")[0] == [texts[1], texts[0]]


def load_causal(name, four_bit):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoTokenizer.from_pretrained(name), AutoModelForCausalLM.from_pretrained(name)


def test_a_causal_model_is_asked_in_words(causal_folder, monkeypatch):
    monkeypatch.setattr(model_translate, "load_instruct", load_causal)
    texts, _ = InstructTranslator(causal_folder).translate(["red dress", "lamp"], "en", "de")
    assert len(texts) == 2
    assert all("\n" not in text for text in texts)


def test_a_model_without_a_chat_template_is_shown_examples_and_ends_at_the_line():
    asked = InstructTranslator._as_line(None, "rotes Kleid", "de", "en")
    assert asked.startswith("German to English:\nabendkleid = evening dress\n")
    assert asked.endswith("\nrotes Kleid =") and asked.count(" = ") == model_translate.EXAMPLES
    assert InstructTranslator._as_line(None, "дом", "ru", "en") == "Russian to English:\nдом ="


@pytest.mark.parametrize(
    ("choice", "four_bit"), [("instruct:m", "auto"), ("instruct_4bit:m", True), ("instruct_16bit:m", False)]
)
def test_the_setting_says_whether_a_model_is_loaded_in_four_bits(choice, four_bit, causal_folder, monkeypatch):
    asked = []
    monkeypatch.setattr(
        model_translate, "load_instruct", lambda *given: asked.append(given) or load_causal(causal_folder, 0)
    )
    open_translator(choice, ".").translate(["lamp"], "en", "de")
    assert asked == [("m", four_bit)]


def test_number_formats_have_caches_of_their_own():
    engines = [open_translator(f"{kind}:m", ".") for kind in ("instruct", "instruct_4bit")]
    assert len({engine.model for engine in engines}) == 2


def test_only_unique_texts_are_translated_longest_first():
    translator = Upper("m")
    assert translator.translate(["b", "aaa", "b", " "], "en", "de")[0] == ["B", "AAA", "B", " "]
    assert translator.asked == ["aaa", "b"]


def test_codes_pass_unchanged():
    assert Upper("m").translate(["zorvik 4497eq lamp 1.5m"], "en", "de")[0] == ["ZORVIK 4497eq LAMP 1.5m"]


def test_a_translation_that_lost_a_code_is_not_taken():
    class Forgets(Upper):
        def _translate_batch(self, texts, source, target):
            return ["lampe"] * len(texts)

    assert Forgets("m").translate(["lamp 4497eq"], "en", "de")[0] == ["lamp 4497eq"]


def test_processes_share_the_work_and_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    texts = [f"word{'x' * number}" for number in range(6)]
    engines = [Upper("m", TranslationCache(tmp_path / "cache.sqlite")) for _ in range(2)]
    # The second process finishes first: by the time that the first has waited, all is in the cache.
    monkeypatch.setattr(distributed, "barrier", lambda: None)
    monkeypatch.setenv("RANK", "1")
    engines[1].translate(texts, "en", "de")
    assert len(engines[1].asked) == 3
    monkeypatch.setattr(distributed, "barrier", lambda: None)
    monkeypatch.setenv("RANK", "0")
    assert engines[0].translate(texts, "en", "de")[0] == [text.upper() for text in texts]
    assert not set(engines[0].asked) & set(engines[1].asked)


def test_several_processes_need_a_cache(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="cache folder"):
        Upper("m").translate(["red"], "en", "de")


TOGETHER = """
import json, os, sys
from competition_utils.translation import neural as model_translate
from competition_utils.translation.cache import TranslationCache
model_translate.BATCH_TEXTS, model_translate.LONGEST_NEW = 3, 4

class Counts(model_translate.Seq2SeqTranslator):
    asked = []
    def _translate_batch(self, texts, source, target):
        self.asked += texts
        return super()._translate_batch(texts, source, target)

translator = Counts(sys.argv[1], "madlad", TranslationCache(sys.argv[2] + "/cache.sqlite"))
made, _ = translator.translate(json.loads(sys.argv[3]), "en", "de")
with open(f"{sys.argv[2]}/rank{os.environ['RANK']}.json", "w") as stream:
    json.dump({"asked": translator.asked, "made": made}, stream)
"""


@pytest.mark.soak  # three processes start
def test_two_processes_translate_each_text_once_and_both_have_all(seq2seq_folder, tmp_path):
    texts = ["red", "blue dress", "lamp", "red shoes", "blue lamp", "red dress", "shoes", "red lamp", "red"]
    (tmp_path / "together.py").write_text(TOGETHER)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    package = str(Path(competition_utils.__file__).parents[1])
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
    job = [str(tmp_path / "together.py"), seq2seq_folder, str(tmp_path), json.dumps(texts)]
    subprocess.run([*launcher, *job], env=environment, check=True, timeout=240)
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first["asked"] and second["asked"]
    assert sorted(first["asked"] + second["asked"]) == sorted(set(texts))
    assert first["made"] == second["made"]
    alone = Seq2SeqTranslator(seq2seq_folder, "madlad").translate(texts, "en", "de")[0]
    assert first["made"] == alone


KILLED = """
import sys, time
from competition_utils.translation import neural as model_translate
from competition_utils.translation.cache import TranslationCache
model_translate.BATCH_TEXTS = 5

class Slow(model_translate.ModelTranslator):
    engine = "slow"
    def supports(self, source, target):
        return True
    def _translate_batch(self, texts, source, target):
        with open(sys.argv[2], "a") as log:
            log.write("".join(text + "\\n" for text in texts))
        time.sleep(float(sys.argv[3]))
        return [text.upper() for text in texts]

made, _ = Slow("m", TranslationCache(sys.argv[1])).translate(["t" + "x" * n for n in range(40)], "en", "de")
assert made[3] == "TXXX"
"""


def test_a_job_killed_in_the_middle_translates_nothing_twice_beyond_a_batch(tmp_path):
    log = tmp_path / "asked.txt"
    command = [sys.executable, "-c", KILLED, str(tmp_path / "cache.sqlite"), str(log)]
    job = subprocess.Popen([*command, "0.3"])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not log.exists() or len(log.read_text().split()) < 15):
        time.sleep(0.05)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    before = log.read_text().split()
    assert 15 <= len(before) < 40
    subprocess.run([*command, "0"], check=True)
    asked = log.read_text().split()
    assert len(set(asked)) == 40
    assert len(asked) - 40 <= 5


def test_an_unknown_family_is_refused_with_those_there_are():
    with pytest.raises(UserError, match="translator: expected a family out of nllb"):
        Seq2SeqTranslator("m", "babel")


@pytest.mark.parametrize(
    ("kind", "message"), [("nllb", "translator: expected"), ("instruct", "a Hub name or a folder")]
)
def test_a_model_that_is_not_there_is_reported_in_one_message(kind, message, tmp_path):
    with pytest.raises(UserError, match=message):
        open_translator(f"{kind}:{tmp_path / 'no-such-model'}", ".").translate(["red"], "en", "de")


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("iphone 13 pro case", ["13"]),
        ("bosch 4497eq drill", ["4497eq"]),
        ("usb cable 1.5m 2 pcs", ["1.5m", "2"]),
        ("red dress", []),
        ("puff 9000", ["9000"]),
    ],
)
def test_codes_and_numbers_are_held(text, held):
    assert protect(text)[1] == held


def test_brands_are_held_whatever_their_case():
    text, held = protect("ZORVIK phone 13", ["zorvik"])
    assert held == ["ZORVIK", "13"]
    assert text == "X0X phone X1X"


@given(st.lists(st.sampled_from(["red", "13", "4497eq", "1.5m", "dress", "ทดสอบ"]), max_size=12))
def test_what_is_protected_comes_back_the_same(pieces):
    text, held = protect(" ".join(pieces))
    assert restore(text, held) == " ".join(pieces)


@pytest.mark.parametrize("made", ["hülle", "x0x x0x hülle", "X0X X1X hülle"], ids=["lost", "doubled", "made up"])
def test_a_mark_that_did_not_survive_is_noticed(made):
    assert restore(made, ["13"]) is None


def test_a_mark_that_moved_or_changed_case_is_put_right():
    assert restore("hülle für x 0 x", ["13"]) == "hülle für 13"
