"""How each family of translation models wants its languages told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from competition_utils.errors import UserError

NLLB = {
    "ar": "arb_Arab", "de": "deu_Latn", "en": "eng_Latn", "es": "spa_Latn", "fr": "fra_Latn", "id": "ind_Latn",
    "it": "ita_Latn", "ja": "jpn_Jpan", "ko": "kor_Hang", "pl": "pol_Latn", "pt": "por_Latn", "ru": "rus_Cyrl",
    "th": "tha_Thai", "tr": "tur_Latn", "vn": "vie_Latn",
}  # fmt: skip
ISO = {code: "vi" if code == "vn" else code for code in NLLB}


@dataclass(frozen=True)
class Family:
    """One family: our code → its code, the text in front of a source text, and what generation is told.

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
