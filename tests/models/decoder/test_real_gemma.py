"""Gemma 3 270M itself, fitted for one step: what a tiny random model cannot show of the number formats."""

import numpy as np
import pytest
from models.pretrained.conftest import needs
from tiny_decoders import toy_pairs, toy_settings

from competition_utils.models.decoder.model import DecoderModel

# After a reload, after a merge in float32, and after one in bfloat16, as in test_decoder.py; wider for 4 bits, where
# bitsandbytes repacks weights on a CPU with AVX512-BF16 once evaluated.
TOLERANCES = {True: (1e-2, 1e-2, 0.05), False: (1e-6, 1e-5, 0.05)}


@pytest.mark.soak
@needs("gemma-3-270m")
@pytest.mark.parametrize("four_bit", TOLERANCES, ids=["4 bits", "32 bits"])
def test_saved_reloaded_and_merged_gemma_270m_scores_as_it_did_when_fitted(tmp_path, four_bit):
    settings = toy_settings("gemma-3-270m", load_in_4bit=four_bit, prompt="short", num_train_epochs=1)
    fitted = DecoderModel(settings)
    fitted.fit(toy_pairs(16), toy_pairs(0), work_dir=tmp_path / "fit", seed=0)
    fitted.save(tmp_path / "saved")
    unseen = toy_pairs(16, 2)
    scores = fitted.score(unseen)
    again = [DecoderModel.load(tmp_path / "saved")]
    again += [fitted.merge(tmp_path / dtype, dtype=dtype) for dtype in ("float32", "bfloat16")]
    for model, tolerance in zip(again, TOLERANCES[four_bit], strict=True):
        np.testing.assert_allclose(model.score(unseen), scores, atol=tolerance)
