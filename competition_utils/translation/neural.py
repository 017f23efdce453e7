"""Translation with neural models through transformers: in batches by length, greedy, cached, shared out by rank.

Each family of models names languages in its own way; model codes, numbers with units and brands are kept out of a
model's hands by placeholders.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from competition_utils import distributed
from competition_utils.data.languages import language_name
from competition_utils.data.lexicon import load_lexicon, names
from competition_utils.errors import UserError
from competition_utils.progress import progress
from competition_utils.translation.cache import TranslationCache, scope_of
from competition_utils.translation.interface import Translation, Translator

NLLB = {
    "ar": "arb_Arab", "de": "deu_Latn", "en": "eng_Latn", "es": "spa_Latn", "fr": "fra_Latn", "id": "ind_Latn",
    "it": "ita_Latn", "ja": "jpn_Jpan", "ko": "kor_Hang", "pl": "pol_Latn", "pt": "por_Latn", "ru": "rus_Cyrl",
    "th": "tha_Thai", "tr": "tur_Latn", "vn": "vie_Latn",
}  # fmt: skip
ISO = {code: "vi" if code == "vn" else code for code in NLLB}


@dataclass(frozen=True)
class Family:
    """One family: our code → its code, the text in front of a source text, and the arguments of its generation.

    `sets_source`: the tokenizer has a `src_lang`; `starts_with`: the decoder's first token names the target.
    """

    name: str
    codes: dict[str, str]
    sets_source: bool = False
    starts_with: bool = False
    prefix: str = ""

    def code(self, language: str) -> str:
        if language not in self.codes:
            raise UserError(f"{self.name}: expected one of {', '.join(self.codes)}, found language {language!r}.")
        return self.codes[language]

    def prepare(self, texts: list[str], target: str) -> list[str]:
        """Source texts as the model wants them."""
        prefix = self.prefix.format(self.code(target)) if self.prefix else ""
        return [prefix + text for text in texts]

    def generation(self, tokenizer: Any, target: str) -> dict[str, int]:
        """Arguments of `generate` that name the target language."""
        if not self.starts_with:
            return {}
        code = self.code(target)
        token = (
            tokenizer.get_lang_id(code) if hasattr(tokenizer, "get_lang_id") else tokenizer.convert_tokens_to_ids(code)
        )
        return {"forced_bos_token_id": token}


FAMILIES = {
    "nllb": Family("nllb", NLLB, sets_source=True, starts_with=True),
    "m2m100": Family("m2m100", ISO, sets_source=True, starts_with=True),
    "madlad": Family("madlad", ISO, prefix="<2{}> "),
    # Opus-MT: a model knows one direction; those into several languages (opus-mt-en-roa, …) want a name in front.
    "opus": Family("opus", ISO),
    "opus_many": Family("opus_many", {code: tag[:3] for code, tag in NLLB.items()}, prefix=">>{}<< "),
}


UNITS = r"(?:mm|cm|ml|mah|gb|tb|mb|kg|mg|hz|kw|inch|oz|ft|m|g|l|v|w|k)"
PROTECTED = re.compile(
    rf"(?<!\w)(?:\d+(?:[.,x×*/-]\d+)*\s?{UNITS}?|(?=\w*\d)(?=\w*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*)(?!\w)", re.IGNORECASE
)
MARK = "X{}X"  # seen to pass through NLLB, M2M-100 and Opus as it is, where brackets get lost
MARK_FOUND = re.compile(r"x\s?(\d)\s?x", re.IGNORECASE)
MOST_MARKS = 10  # one digit


def protect(text: str, brands: Sequence[str] = ()) -> tuple[str, list[str]]:
    """A text with marks in place of what must stay, and what the marks stand for.

    `brands` are words that stay too, whatever their case.
    """
    held: list[str] = []

    def hold(found: re.Match[str]) -> str:
        if len(held) == MOST_MARKS:
            return found[0]
        held.append(found[0])
        return MARK.format(len(held) - 1)

    named = "|".join(re.escape(brand) for brand in sorted(brands, key=len, reverse=True))
    if named:
        text = re.sub(rf"(?<!\w)(?:{named})(?!\w)", hold, text, flags=re.IGNORECASE)
        return PROTECTED.sub(lambda found: found[0] if MARK_FOUND.fullmatch(found[0]) else hold(found), text), held
    return PROTECTED.sub(hold, text), held


def restore(text: str, held: Sequence[str]) -> str | None:
    """The translation with what the marks stand for; None where a mark was lost, doubled or made up."""
    found = [int(digit) for digit in MARK_FOUND.findall(text)]
    if sorted(found) != list(range(len(held))):
        return None
    return MARK_FOUND.sub(lambda mark: held[int(mark[1])], text)


BATCH_TEXTS = 64
LONGEST_NEW = 64  # tokens of a translation
EXAMPLES, EVERY = 4, 40  # shown to a base model; rows of the lexicon between two, as neighbours are alike
FOUR_BIT = {"instruct": "auto", "instruct_4bit": True, "instruct_16bit": False}  # engines that are asked in words
INSTRUCTION = (
    "Translate this e-commerce search query from {source} to {target}. Keep brand names, model codes, numbers and "
    "units exactly as they are. Answer with the translation only, on one line.\nQuery: {text}\nTranslation:"
)


class ModelTranslator(Translator):
    """What all neural engines share; an engine adds `_translate_batch`."""

    def __init__(self, model: str, cache: TranslationCache | None = None, brands: Sequence[str] = ()):
        self.model = model
        self._cache = cache
        self._brands = tuple(brands)

    def translate(self, texts: Sequence[str], source: str, target: str) -> Translation:
        """See `Translator`; there are no confidences. What the cache has is not translated again.

        Under accelerate or torchrun each process translates its share of the rest, and reads the others' from the
        cache (which several processes need). A text whose codes did not survive comes back as it was.
        """
        scope = scope_of(self.engine, self.model, source, target)
        unique = list(dict.fromkeys(text for text in texts if text.strip()))
        known = self._cache.get(unique, scope) if self._cache else {}
        rank, world = distributed.rank(), distributed.world_size()
        if world > 1 and self._cache is None:
            raise UserError("translation in several processes: expected a cache folder that they share, found none.")
        # Each process takes its share of all texts, not of the missing ones: what is missing changes meanwhile.
        mine = sorted(unique, key=lambda text: (-len(text), text))[rank::world]
        missing = [text for text in mine if text not in known]
        with progress(total=len(missing), what=f"{self.engine} {source}→{target}", unit="texts") as bar:
            for start in range(0, len(missing), BATCH_TEXTS):
                done = self._translate_protected(missing[start : start + BATCH_TEXTS], source, target)
                if self._cache:
                    self._cache.put(done, scope)
                known.update(done)
                bar.update(len(done))
        if world > 1:
            distributed.barrier()
            known.update(self._cache.get(unique, scope))
        return [known.get(text, text) for text in texts], None

    def _translate_protected(self, batch: list[str], source: str, target: str) -> dict[str, str]:
        held = [protect(text, self._brands) for text in batch]
        made = self._translate_batch([text for text, _ in held], source, target)
        restored = (restore(text, kept) for text, (_, kept) in zip(made, held, strict=True))
        pairs = zip(batch, restored, strict=True)
        return {text: text if translated is None else " ".join(translated.split()) for text, translated in pairs}

    @abstractmethod
    def _translate_batch(self, texts: list[str], source: str, target: str) -> list[str]:
        """Translations of a few texts, the longest first."""


class Seq2SeqTranslator(ModelTranslator):
    """NLLB-200, M2M-100, MADLAD-400 and Opus-MT. `model` is a Hub name or a folder; greedy, on the GPU if there is one.

    Opus-MT models know one direction: give `{source}` and `{target}` in the name, as in
    "Helsinki-NLP/opus-mt-{source}-{target}", and each direction loads its own.
    """

    engine = "seq2seq"

    def __init__(self, model: str, family: str, cache: TranslationCache | None = None, brands: Sequence[str] = ()):
        super().__init__(model, cache, brands)
        if family not in FAMILIES:
            raise UserError(f"translator: expected a family out of {', '.join(FAMILIES)}, found {family!r}.")
        self._family: Family = FAMILIES[family]
        self._loaded: tuple[str, Any, Any] | None = None

    def supports(self, source: str, target: str) -> bool:
        return source != target and {source, target} <= self._family.codes.keys()

    def _translate_batch(self, texts: list[str], source: str, target: str) -> list[str]:
        import torch

        tokenizer, model = self._load(source, target)
        if self._family.sets_source:
            tokenizer.src_lang = self._family.code(source)
        batch = tokenizer(self._family.prepare(texts, target), return_tensors="pt", padding=True, truncation=True)
        with torch.inference_mode():
            made = model.generate(
                **{name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")},
                **self._family.generation(tokenizer, target),
                num_beams=1,
                do_sample=False,
                max_new_tokens=LONGEST_NEW,
            )
        return tokenizer.batch_decode(made, skip_special_tokens=True)

    def _load(self, source: str, target: str) -> tuple[Any, Any]:
        name = self.model.format(source=self._family.code(source), target=self._family.code(target))
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = (name, *_load_seq2seq(name))
        return self._loaded[1:]


class InstructTranslator(ModelTranslator):
    """A causal language model that is asked in words (Gemma-3, Qwen-2.5 and their like), or, where its tokenizer has no
    chat template, shown examples.

    `four_bit`: True, False, or "auto" (on CUDA where bitsandbytes is installed).
    """

    engine = "instruct"

    def __init__(
        self,
        model: str,
        cache: TranslationCache | None = None,
        brands: Sequence[str] = (),
        *,
        four_bit: bool | str = "auto",
    ):
        # What a model says depends on its number format, so the cache keeps them apart.
        super().__init__(model if four_bit == "auto" else f"{model} four_bit={four_bit}", cache, brands)
        self._source = (model, four_bit)
        self._loaded: tuple[Any, Any] | None = None

    def supports(self, source: str, target: str) -> bool:
        return source != target

    def _translate_batch(self, texts: list[str], source: str, target: str) -> list[str]:
        import torch

        tokenizer, model = self._load()
        chats = bool(tokenizer.chat_template)
        ask = self._as_chat if chats else self._as_line
        batch = tokenizer(
            [ask(tokenizer, text, source, target) for text in texts],
            return_tensors="pt",
            padding=True,
            add_special_tokens=not chats,
        )
        with torch.inference_mode():
            made = model.generate(
                **{name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")},
                do_sample=False,
                max_new_tokens=LONGEST_NEW,
                pad_token_id=tokenizer.pad_token_id,
                **({} if chats else {"eos_token_id": _ends_of_a_line(tokenizer)}),
            )
        answers = tokenizer.batch_decode(made[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        return [answer.strip().partition("\n")[0].strip().strip('"') for answer in answers]

    @staticmethod
    def _as_chat(tokenizer: Any, text: str, source: str, target: str) -> str:
        asked = INSTRUCTION.format(text=text, source=language_name(source), target=language_name(target))
        turns = [{"role": "user", "content": asked}]
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)

    @staticmethod
    def _as_line(_: Any, text: str, source: str, target: str) -> str:
        """For a base model, which follows no instruction and goes on with a list."""
        examples = "".join(f"{one} = {other}\n" for one, other in _examples(source, target))
        return f"{language_name(source)} to {language_name(target)}:\n{examples}{text} ="

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            tokenizer, model = load_instruct(*self._source)
            tokenizer.padding_side = "left"  # the answer follows the prompt without a gap
            self._loaded = (tokenizer, model)
        return self._loaded


def _examples(source: str, target: str) -> list[tuple[str, str]]:
    """Names of products in both languages, out of the built-in lexicon; none where it lacks a language."""
    lexicon = load_lexicon().concepts
    if not {source, target} <= {*lexicon.columns}:
        return []
    return [(names(row[source])[0], names(row[target])[0]) for _, row in lexicon.iloc[::EVERY].iterrows()][:EXAMPLES]


def _ends_of_a_line(tokenizer: Any) -> list[int]:
    """The end of a text and every token with a line break, in letters or as byte-level tokenizers write it."""
    breaks = [number for token, number in tokenizer.get_vocab().items() if "\n" in token or "Ċ" in token]
    return [tokenizer.eos_token_id, *breaks]


def load_instruct(name: str, four_bit: bool | str) -> tuple[Any, Any]:
    """Tokenizer and causal language model on the device that suits; prints which and why.

    Raises UserError where there is no such model, or it cannot be had in 4-bit.
    """
    from competition_utils.models.decoder import load
    from competition_utils.settings.schema import DecoderSettings

    # Not through Unsloth: it patches training and its own way of scoring, and gains little for short answers.
    settings = DecoderSettings.model_validate(
        {"model_name_or_path": name, "load_in_4bit": four_bit, "backend": "transformers"}
    )
    choice = load.prepare(settings)
    print(f"{name}: {choice}.")
    return load.load_tokenizer(name), load.load_base(name, choice)


def _load_seq2seq(name: str) -> tuple[Any, Any]:
    """Tokenizer and model of a Hub name or folder, in bf16 on a GPU that has it, in float32 on a CPU."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    cuda = torch.cuda.is_available()
    device = f"cuda:{distributed.local_rank()}" if cuda else "cpu"
    dtype = torch.bfloat16 if cuda and torch.cuda.is_bf16_supported() else torch.float32
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForSeq2SeqLM.from_pretrained(name, dtype=dtype)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"translator: expected a model within reach (Hub name or folder), found {name!r}: {reason}"
        ) from None
    return tokenizer, model.to(device).eval()
