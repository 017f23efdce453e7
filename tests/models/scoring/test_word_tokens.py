"""Going word by word may change how fast texts are tokenised, never their tokens."""

import io

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

from competition_utils.models.scoring import word_tokens
from competition_utils.models.scoring.word_tokens import goes_word_by_word, tokens_of

SCRIPTS = [
    "Nike Air Max 90 men's shoes, size 42 (red/white)",
    "für Männer größe  XL – Straße",
    "Лампа настольная светодиодная чёрная",
    "حذاء رياضي للرجال ١٢٣ \u0600 ١",
    "여성용 운동화 검정 250mm",
    "女性 ランニングシューズ ﾊﾟﾝﾂ 白",
    "รองเท้าผ้าใบ สำ หรับ ผู้ชาย",
    "लाल जूते क्षमता की",
    "áo sơ mi nữ tay dài a\u0301 o\u0302\u0301",
    "ΣΑΣ ΟΔΟΣ ΣΊΣΥΦΟΣ",
    "x \u0301 y \u200d z \u00a0 q\u2003r \ufeffs",
    "👩\u200d👩\u200d👧 shirt 🏽 \U000e0020 🇩🇪 🇫🇷",
    "[MASK] shoe<mask> [SEP] <mask>lamp  [MASK]",
    "①② ﬁt ｗｉｄｅ ㎏ ¨ ´a ﷺ",
    "",
    " ",
    "  two  blanks  ",
    "tab\tand\nline",
]
ODD = "ab é日 ไำ \u0301\u0600\u200d\u00a0\u3000①ﾞß İΣς’👍🏽क्षि한.-[<>]▁#"


COST = word_tokens._cost


@pytest.fixture(scope="module", autouse=True)
def words_at_any_cost():
    """Words one by one even where that does not pay: the few texts here hardly repeat a word."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_tokens, "_cost", lambda _: 0)
        yield


@pytest.fixture(scope="module")
def precompiled():
    """The character map of sentencepiece, as XLM-RoBERTa's tokenizer holds it."""
    sentencepiece = pytest.importorskip("sentencepiece")
    from sentencepiece import sentencepiece_model_pb2 as proto

    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SCRIPTS[:10] * 9), model_writer=stream, vocab_size=400, hard_vocab_limit=False,
        minloglevel=2,
    )  # fmt: skip
    model = proto.ModelProto()
    model.ParseFromString(stream.getvalue())
    return normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)


def trained(model, trainer, normalizer, splitter) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.train_from_iterator(SCRIPTS[:10] * 9, trainer)
    return tokenizer


def word_piece(normalizer=None, splitter=None) -> Tokenizer:
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=["[UNK]", "[MASK]", "[SEP]"], show_progress=False
    )
    model = models.WordPiece(unk_token="[UNK]")
    normalizer = normalizer or normalizers.BertNormalizer()
    return trained(model, trainer, normalizer, splitter or pre_tokenizers.BertPreTokenizer())


def bpe(normalizer=None, splitter=None) -> Tokenizer:
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>", "<mask>"], show_progress=False)
    model = models.BPE(unk_token="<unk>", fuse_unk=True)
    normalizer = normalizer or normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    return trained(model, trainer, normalizer, splitter or pre_tokenizers.Whitespace())


def unigram(normalizer=None, splitter=None) -> Tokenizer:
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=["<unk>", "<mask>"], unk_token="<unk>", show_progress=False
    )
    splitter = splitter or pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer = trained(models.Unigram(), trainer, normalizer or normalizers.NFKC(), splitter)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


def byte_level():
    return bpe(splitter=pre_tokenizers.ByteLevel(add_prefix_space=False))


def blank_in_front():
    return unigram(splitter=pre_tokenizers.Metaspace(prepend_scheme="first"))


def as_xlm_roberta(precompiled):
    return unigram(normalizer=precompiled)


@pytest.fixture(scope="module", params=[word_piece, bpe, unigram, byte_level, blank_in_front, "as_xlm_roberta"])
def tokenizer(request):
    if request.param == "as_xlm_roberta":
        return as_xlm_roberta(request.getfixturevalue("precompiled"))
    return request.param()


def ours(tokenizer, texts):
    ragged = tokens_of(tokenizer, pa.array(texts, pa.large_string()))
    return [ragged.values[s : s + n].tolist() for s, n in zip(ragged.starts, ragged.lengths, strict=True)]


def theirs(tokenizer, texts):
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


def test_tokens_are_the_tokenizers_own_in_all_scripts(tokenizer):
    assert ours(tokenizer, SCRIPTS) == theirs(tokenizer, SCRIPTS)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from(ODD) | st.characters(exclude_categories=["Cs"]), max_size=15), max_size=6))
def test_tokens_are_the_tokenizers_own_for_any_text(tokenizer, texts):
    assert ours(tokenizer, texts) == theirs(tokenizer, texts)


@pytest.mark.parametrize("blanks", ["a{} b", "a {} b"])
def test_no_character_beside_a_blank_changes_a_token(precompiled, blanks):
    tokenizer = as_xlm_roberta(precompiled)
    every = [chr(code) for code in [*range(0x20, 0xD800), *range(0xE000, 0x20000, 7)]]
    texts = list(map(blanks.format, every))
    assert ours(tokenizer, texts) == theirs(tokenizer, texts)


@pytest.mark.parametrize("make", [word_piece, bpe, unigram])
def test_tokenizers_that_split_at_blanks_first_go_word_by_word(make):
    assert goes_word_by_word(make())


def test_the_tokenizer_of_xlm_roberta_goes_word_by_word(precompiled):
    assert goes_word_by_word(as_xlm_roberta(precompiled))


@pytest.mark.parametrize("make", [byte_level, blank_in_front])
def test_tokenizers_that_keep_the_blank_in_a_token_get_whole_texts(make):
    assert not goes_word_by_word(make())


def test_an_added_token_with_a_blank_in_it_needs_whole_texts():
    tokenizer = word_piece()
    tokenizer.add_tokens(["air max"])
    assert not goes_word_by_word(tokenizer)
    assert ours(tokenizer, ["nike air max 90"]) == theirs(tokenizer, ["nike air max 90"])


def test_a_normalizer_that_replaces_blanks_needs_whole_texts():
    assert not goes_word_by_word(word_piece(normalizer=normalizers.Replace(" ", "x")))


def test_tokens_drawn_at_random_need_whole_texts():
    tokenizer = bpe()
    tokenizer.model.dropout = 0.5
    assert not goes_word_by_word(tokenizer)


@pytest.fixture
def asked(monkeypatch):
    """What the tokenizer itself was asked for."""
    texts, encode = [], word_tokens._encoded
    monkeypatch.setattr(word_tokens, "_encoded", lambda by, of: texts.extend(of.to_pylist()) or encode(by, of))
    return texts


def test_a_word_is_tokenised_once_however_often_it_stands(asked):
    ours(word_piece(), ["red shoe", "blue shoe", "red lamp"])
    assert sorted(asked) == ["blue", "lamp", "red", "shoe"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["red shoe", "red lamp", "blue shoe", "blue lamp"], {"red", "blue", "shoe", "lamp"}),
        (["red shoe"], {"red shoe"}),
    ],
)
def test_texts_are_tokenised_whole_where_words_hardly_repeat(asked, monkeypatch, texts, expected):
    monkeypatch.setattr(word_tokens, "_cost", COST)
    ours(word_piece(), texts)
    assert set(asked) == expected
