"""What a setting opens: the data folder's lexicon, the built-in words, language models that translate."""

from __future__ import annotations

import pytest

from benchmarks.gpu.random_models import build_random_model
from competition_utils.translation.neural import InstructTranslator, load_instruct
from competition_utils.translation.open import open_translator

TEXTS = ["red dress", "blue lamp", "Translate this e-commerce search query"] * 20


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return build_random_model(tmp_path_factory.mktemp("gemma3"), "gemma3-tiny", TEXTS)


@pytest.fixture(scope="module")
def multimodal_model(text_model, tmp_path_factory):
    """The same words in a checkpoint of text and images, as Gemma 3 is published."""
    from transformers import AutoTokenizer, Gemma3Config, Gemma3ForCausalLM, Gemma3ForConditionalGeneration

    text = Gemma3ForCausalLM.from_pretrained(text_model)
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 28, "patch_size": 14}
    config = Gemma3Config(text_config=text.config.to_dict(), vision_config=vision, mm_tokens_per_image=4)
    model = Gemma3ForConditionalGeneration(config)
    model.model.language_model.load_state_dict(text.model.state_dict())
    folder = tmp_path_factory.mktemp("multimodal")
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(text_model).save_pretrained(folder)
    return folder


def test_a_model_of_text_and_images_translates_as_its_text_part_does(text_model, multimodal_model):
    whole, part = (InstructTranslator(str(model)) for model in (multimodal_model, text_model))
    texts = ["red dress", "lamp"]
    assert whole.translate(texts, "en", "de") == part.translate(texts, "en", "de")
    assert type(whole._load()[1]).__name__ == "Gemma3ForCausalLM"


def test_where_a_model_runs_is_printed(text_model, capsys):
    load_instruct(str(text_model), "auto")
    assert f"{text_model}: on " in capsys.readouterr().out


def test_a_setting_of_the_notebook_opens_such_a_translator(text_model, tmp_path):
    translator = open_translator(f"instruct:{text_model}", tmp_path, tmp_path)
    assert len(translator.translate(["red dress"], "en", "de")[0]) == 1


def test_without_a_lexicon_in_the_data_folder_there_is_no_translator(tmp_path):
    assert open_translator("auto", tmp_path) is None


def test_the_data_folders_lexicon_is_used_by_itself(tmp_path):
    text = "source_lang\tsource_text\ttarget_lang\ttarget_text\nes\tvestido\ten\tdress\n"
    (tmp_path / "lexicon.tsv").write_text(text)
    assert open_translator("auto", tmp_path).supports("es", "en")
