"""QC and QI and their languages, described once: fields, files, codes, names, scripts.

The official files write Vietnamese as `vn` (ISO 639-1: `vi`); every other code is the ISO one.

Source of the figures: the CIKM 2025 AnalytiCup "Multilingual E-commerce Product Search".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from competition_utils.errors import UserError

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Language:
    """One language: `code` as in the files, `iso` as in ISO 639-1, `scripts` as named in SCRIPTS."""

    code: str
    name: str
    native_name: str
    scripts: tuple[str, ...]
    iso: str
    direction: str = "ltr"


LATIN = ("latin",)
LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language("en", "English", "English", LATIN, "en"),
        Language("es", "Spanish", "español", LATIN, "es"),
        Language("fr", "French", "français", LATIN, "fr"),
        Language("ja", "Japanese", "日本語", ("kana", "han"), "ja"),
        Language("ko", "Korean", "한국어", ("hangul",), "ko"),
        Language("pt", "Portuguese", "português", LATIN, "pt"),
        Language("th", "Thai", "ไทย", ("thai",), "th"),
        Language("ar", "Arabic", "العربية", ("arabic",), "ar", direction="rtl"),
        Language("de", "German", "Deutsch", LATIN, "de"),
        Language("it", "Italian", "italiano", LATIN, "it"),
        Language("pl", "Polish", "polski", LATIN, "pl"),
        Language("id", "Indonesian", "Bahasa Indonesia", LATIN, "id"),
        Language("vn", "Vietnamese", "Tiếng Việt", LATIN, "vi"),
        Language("tr", "Turkish", "Türkçe", LATIN, "tr"),
        Language("ru", "Russian", "русский", ("cyrillic",), "ru"),
    )
}


def plain_or_zipped(plain: Path) -> Path | None:
    """The file, else its `.gz`, else whatever else bears one of the names (a folder, a link to nothing), so that
    its reader can report it; None where nothing does."""
    both = (plain, plain.with_name(plain.name + ".gz"))
    files = (path for path in both if path.is_file())
    unusable = (path for path in both if path.exists() or path.is_symlink())
    return next(files, None) or next(unusable, None)


@dataclass(frozen=True)
class Task:
    """One of the competition's two binary tasks.

    `target_field` is the official name of the field that the query is paired with; in tables it is
    `origin_target` (as given) and `target` (cleaned). Languages are codes out of LANGUAGES.
    """

    name: str
    title: str
    target_field: str
    train_languages: tuple[str, ...]
    unseen_languages: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The official fields in file order, without the label."""
        return ("id", "task", "language", "origin_query", self.target_field)

    @property
    def languages(self) -> tuple[str, ...]:
        return self.train_languages + self.unseen_languages

    def file_name(self, split: str) -> str:
        """`train_QC.txt` and so on."""
        return f"{split}_{self.name}.txt"

    def find_file(self, folder: Path | str, split: str) -> Path | None:
        """The official file of a split in `folder`, plain or `.gz`; None where there is neither."""
        return plain_or_zipped(Path(folder) / self.file_name(split))


QC = Task(
    name="QC",
    title="query–category",
    target_field="category_path",
    train_languages=("en", "es", "fr", "ja", "ko", "pt"),
    unseen_languages=("ar", "de", "it", "pl"),
)
QI = Task(
    name="QI",
    title="query–item",
    target_field="item_title",
    train_languages=("en", "es", "fr", "ja", "ko", "pt", "th"),
    unseen_languages=("ar", "de", "id", "it", "pl", "vn"),
)
TASKS = {task.name: task for task in (QC, QI)}


def select_tasks(choice: str) -> list[Task]:
    """`"QC"`, `"QI"` or `"all"` → the tasks meant, in the competition's order."""
    if choice == "all":
        return list(TASKS.values())
    if choice not in TASKS:
        raise UserError(f"task: expected QC, QI or all, found {choice!r}. Choose one of the three.")
    return [TASKS[choice]]
