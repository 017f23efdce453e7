"""Models whose weights come in packages, so that they need no hub: `folder_of("gemma-3-270m")` is a folder to load."""

from competition_utils.models.pretrained.catalogue import GEMMA_270M, MINILM, MULTILINGUAL_E5, PRETRAINED, Pretrained
from competition_utils.models.pretrained.folders import converted_folder, folder_of, resolve

__all__ = [
    "GEMMA_270M",
    "MINILM",
    "MULTILINGUAL_E5",
    "PRETRAINED",
    "Pretrained",
    "converted_folder",
    "folder_of",
    "resolve",
]
