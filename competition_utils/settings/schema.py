"""The settings of a run, one pydantic model a section: names, defaults, ranges and what each is for.

Names are those of transformers, PEFT and TRL where they have one. A description is also the comment of the
parameter in the notebooks' first cells, and its help in an editor that reads `configs/schema.json`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from competition_utils.settings.faults import fault_lines
from competition_utils.settings.own_code import OwnCode
from competition_utils.settings.renamed import Renaming, with_new_names

Auto = Literal["auto"]
Whole = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]
Tracker = Literal["trackio", "tensorboard", "wandb"]
LINEAR_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def optimizer_steps(rows: int, batch: int, epochs: float, max_steps: int) -> int:
    """Steps of a training as transformers counts them: `max_steps` where it is above 0, else by the rounds."""
    return max_steps if max_steps > 0 else max(1, math.ceil(-(-rows // batch) * epochs))


class Section(BaseModel):
    """Settings that belong together. Unknown names are refused; a whole number serves for a fraction."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=(), allow_inf_nan=False)
    section: ClassVar[str] = ""
    renamed: ClassVar[dict[str, Renaming]] = {}

    @model_validator(mode="before")
    @classmethod
    def _take_old_names(cls, given: Any) -> Any:
        return with_new_names(given, cls.renamed, cls.section)


class LinearSettings(Section):
    """TF-IDF pair features and scikit-learn's LogisticRegression."""

    section: ClassVar[str] = "linear"
    renamed: ClassVar[dict[str, Renaming]] = {"c": "C", "max_iterations": "max_iter"}

    C: float = Field(0.5, gt=0, description="inverse strength of the penalty")
    max_iter: Whole = Field(500, description="most iterations of the solver")


class TrainingSettings(Section):
    """What encoder and decoder have in common. Lengths are in tokens, steps are optimizer steps."""

    model_name_or_path: Text = Field("minilm", description="minilm, multilingual-e5-small, a Hub name or a folder")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="number format; auto on a CPU: a trial"
    )
    num_threads: Auto | Whole = Field("auto", description="threads on a CPU, at most its cores; auto: a trial")
    attn_implementation: Literal["auto", "sdpa", "eager", "flex_attention", "flash_attention_2"] = Field(
        "auto", description="transformers' name of an attention"
    )
    max_length: int = Field(256, ge=16, description="longest input in tokens; what is longer is cut")
    num_train_epochs: float = Field(1.0, gt=0, le=1000, description="rounds over the training rows")
    max_steps: Literal[-1] | Whole = Field(-1, description="optimizer steps instead of rounds; -1: by the rounds")
    total_batch_size: Whole = Field(32, description="rows of an optimizer step, all processes together")
    per_device_train_batch_size: Auto | Whole = Field("auto", description="rows at once; auto: what fits the memory")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="highest learning rate")
    lr_scheduler_type: Literal["cosine", "linear", "constant_with_warmup"] = Field("linear", description="its course")
    warmup_ratio: float = Field(0.1, ge=0, lt=1, description="share of the steps in which it rises")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's weight decay")
    max_grad_norm: float = Field(1.0, gt=0, le=1000, description="gradients are clipped to this norm")
    optim: Literal["auto", "adamw_torch", "adamw_torch_fused", "adamw_8bit"] = Field("auto", description="optimizer")
    label_smoothing_factor: float = Field(0.0, ge=0, le=0.5, description="labels are 0 and 1 less this much")
    eval_steps: float = Field(500, gt=0, description="steps between evaluations; below 1: share of all steps")
    save_total_limit: Whole = Field(2, description="checkpoints that are kept")
    report_to: list[Tracker] = Field([], description="trackers: trackio, tensorboard, wandb")
    score_tokens: int = Field(8192, ge=16, description="tokens of a batch when scoring")

    def steps(self, rows: int) -> int:
        """Optimizer steps of a training on so many rows."""
        return optimizer_steps(rows, self.total_batch_size, self.num_train_epochs, self.max_steps)

    def every(self, steps: int) -> int:
        """Steps between two evaluations of a training of `steps` steps."""
        return max(1, round(self.eval_steps * steps if self.eval_steps < 1 else self.eval_steps))


class EncoderSettings(TrainingSettings):
    """A cross-encoder. No dropout and frozen word embeddings make a fit on a CPU twice as fast (docs/LOG.md)."""

    section: ClassVar[str] = "encoder"
    renamed: ClassVar[dict[str, Renaming]] = {
        "model": "model_name_or_path",
        "epochs": "num_train_epochs",
        "batch_size": "total_batch_size",
        "warmup_share": "warmup_ratio",
        "label_smoothing": "label_smoothing_factor",
        "evaluations": (
            "eval_steps",
            lambda count: min(1 / count, 0.999) if isinstance(count, int) and count > 0 else count,
        ),
        "token_budget": "score_tokens",
    }

    input_text: Literal["english", "original", "both"] = Field(
        "english", description="what it reads of query and title; english: translations, where there are any"
    )
    max_length: int = Field(96, ge=16, description="longest input in tokens; what is longer is cut")
    num_train_epochs: float = Field(2.0, gt=0, le=1000, description="rounds over the training rows")
    total_batch_size: Whole = Field(64, description="rows of an optimizer step")
    eval_steps: float = Field(0.25, gt=0, description="steps between evaluations; below 1: share of all steps")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout while fitting")
    freeze_embeddings: bool = Field(True, description="leave the word embeddings as they are")
    training: Literal["single", "joint"] = Field("single", description="joint: one model for both tasks")
    collapse_auc: float = Field(0.6, ge=0, le=1, description="a validation AUC below it: the fit is tried again")
    int8_scoring: bool = Field(False, description="8-bit layers too, where a CPU's trial finds them faster")
    linear_share: float = Field(0.0, ge=0, lt=1, description="share of linear models, one a task, in the score's logit")

    @model_validator(mode="after")
    def _whole_steps(self) -> EncoderSettings:
        rows = self.per_device_train_batch_size
        if rows != "auto" and self.total_batch_size % rows:
            raise ValueError(f"per_device_train_batch_size: expected a divisor of {self.total_batch_size}")
        return self


class DecoderSettings(TrainingSettings):
    """A decoder with a LoRA adapter; see `models/decoder/`."""

    section: ClassVar[str] = "decoder"
    renamed: ClassVar[dict[str, Renaming]] = {
        "model": "model_name_or_path",
        "four_bit": "load_in_4bit",
        "attention": "attn_implementation",
        "processes": "num_processes",
        "lora_rank": "lora_r",
        "lora_targets": "target_modules",
        "epochs": "num_train_epochs",
        "schedule": "lr_scheduler_type",
        "warmup": "warmup_ratio",
        "gradient_clip": "max_grad_norm",
        "optimizer": "optim",
        "label_smoothing": "label_smoothing_factor",
        "effective_batch": "total_batch_size",
        "micro_batch": "per_device_train_batch_size",
        "evaluate_every": "eval_steps",
        "patience": "early_stopping_patience",
        "keep_checkpoints": "save_total_limit",
        "trackers": "report_to",
        "push_to_hub": "hub_model_id",
    }

    model_name_or_path: Text = Field("google/gemma-3-12b-it", description="gemma-3-270m, a Hub name or a folder")
    objective: Literal["label_token", "head"] = Field("label_token", description="head: label rows are trained too")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA where there is a card")
    backend: Literal["auto", "unsloth", "transformers"] = Field("auto", description="for a fit; auto: Unsloth on CUDA")
    load_in_4bit: Auto | bool = Field("auto", description="nf4 base weights; auto: on CUDA")
    num_processes: Whole = Field(1, description="more: accelerate launch, one a GPU")
    parallel: Literal["ddp", "fsdp"] = Field("ddp", description="fsdp where one GPU does not hold the model")

    prompt: Literal["instruction", "short"] = Field("instruction", description="short: the pair alone, for base models")
    translation: bool = Field(True, description="the English query as a line of the prompt")
    tags: list[Text] = Field([], description="further columns of the table, a line of the prompt each")
    label_words: list[Text] = Field([], description="negative, positive; empty: the first that are one token each")

    lora_r: Whole = Field(16, description="rank of the adapter")
    lora_alpha: float = Field(32, gt=0, le=10_000, description="its scale is lora_alpha / lora_r")
    lora_dropout: float = Field(0.0, ge=0, le=0.9, description="Unsloth's fused kernels need 0")
    target_modules: list[Text] = Field(LINEAR_LAYERS, description="with adapters")

    training: Literal["single", "two_stage", "joint"] = Field(
        "single", description="two_stage: the other task first; joint: one model for both"
    )
    first_stage_epochs: float = Field(1.0, gt=0, le=100, description="two_stage: rounds over the other task")
    start_from: Text | None = Field(None, description="folder of a fitted decoder whose adapter is trained on")
    lr_scheduler_type: Literal["cosine", "linear", "constant_with_warmup"] = Field("cosine", description="its course")
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="share of the steps in which it rises")
    class_weights: Literal["none", "balanced"] | list[Annotated[float, Field(ge=0, le=1e6)]] = Field(
        "none", description="none, balanced, or two weights (label 0, label 1)"
    )
    batching: Literal["grouped", "padding_free", "shuffled"] = Field("grouped", description="grouped: by length")
    gradient_checkpointing: Auto | bool = Field("auto", description="recompute activations; auto: where it must be")
    early_stopping_patience: Whole = Field(3, description="evaluations without a better F1 before it stops")
    score_tokens: int = Field(32768, ge=16, description="tokens of a batch when scoring; halved until it fits")
    score_engine: Literal["own", "vllm"] = Field("own", description="vllm: for label_token, where it is installed")
    share_prefix: Auto | bool = Field(
        "auto", description="compute the prompts' common beginning once; auto: where it pays"
    )
    hub_model_id: Text | None = Field(None, description="a repository of the Hub to push to")

    @model_validator(mode="after")
    def _fit_together(self) -> DecoderSettings:
        if self.score_engine == "vllm" and self.objective == "head":
            raise ValueError("score_engine: expected own, since vLLM cannot use the rows that objective: head trains")
        if self.total_batch_size % self.num_processes:
            raise ValueError(f"total_batch_size: expected a multiple of num_processes = {self.num_processes}")
        micro_batch = self.per_device_train_batch_size
        if micro_batch != "auto" and self.rows_per_process % micro_batch:
            raise ValueError(f"per_device_train_batch_size: expected a divisor of {self.rows_per_process}")
        if len(self.label_words) not in (0, 2):
            raise ValueError(f"label_words: expected two words or none, found {len(self.label_words)}")
        if isinstance(self.class_weights, list) and len(self.class_weights) != 2:
            raise ValueError(f"class_weights: expected two weights, found {len(self.class_weights)}")
        return self

    @property
    def rows_per_process(self) -> int:
        """Rows of one optimizer step that each process sees."""
        return self.total_batch_size // self.num_processes

    @property
    def sharded(self) -> bool:
        """Whether the model lies in parts on several GPUs, which then must take every step together."""
        return self.parallel == "fsdp" and self.num_processes > 1


class RaySettings(Section):
    """What a worker is given by `--engine ray`: an actor that scores shards, or the task of a sweep's cell."""

    section: ClassVar[str] = "ray"

    num_cpus: float = Field(1.0, ge=0, le=10_000, description="cores")
    num_gpus: float = Field(0.0, ge=0, le=10_000, description="GPUs")
    memory: Whole | None = Field(None, description="bytes that must be free on its node")
    concurrency: Auto | Whole = Field("auto", description="workers at once, at most; auto: what the cluster holds")
    max_retries: int = Field(3, ge=0, le=1000, description="further tries of a shard or cell whose worker has died")


KINDS: dict[str, type[Section]] = {"linear": LinearSettings, "encoder": EncoderSettings, "decoder": DecoderSettings}
Kind = Literal["linear", "encoder", "decoder"]


class RunSettings(Section):
    """All parameters of the five notebooks, and the size of the built-in sample."""

    run_dir: Text = Field("papermill_runs/manual", description="the run's folder; set by --name")
    data_dir: Text = Field(
        "auto",
        description="official files: a folder, sample (built-in), or auto: found on Kaggle or Colab, else sample",
    )
    task: Literal["QC", "QI", "all"] = Field("all", description="QC, QI or all")
    seed: int = Field(0, ge=0, lt=2**31, description="for every random choice")

    train_rows: int = Field(0, ge=0, description="of each task, drawn at random for a quick look; 0: all")
    folds: int = Field(5, ge=2, le=100, description="how many folds train is dealt into")
    prefix_depth: Whole = Field(2, description="QC: levels of the category that keep rows in one fold")
    clean_rules: Text = Field("all", description="all, or names of data.clean.RULES with commas between")
    conflict_rule: Literal["majority", "drop", "keep_all"] = Field("majority", description="pairs with both labels")
    allow_faults: list[Text] = Field([], description="kinds of fault whose rows are left out, see check-data")

    strategy: Text = Field("original", description="a name in configs/strategies, or a YAML file of your own")
    translator: Text = Field(
        "auto",
        description="auto (the folder's lexicon), built_in, none, a lexicon file, FAMILY:MODEL or python:… (README)",
    )
    embedding_model: Text = Field(
        "minilm",
        description="of hints and negatives: minilm, multilingual-e5-small, or of sentence-transformers",
    )

    category_hints: bool = Field(
        True, description="say of each pair where its query lands in the tree of QC's categories (docs/ARCHITECTURE.md)"
    )

    model: Kind | OwnCode = Field("encoder", description="linear, encoder, decoder, or python:MODULE:CLASS of your own")
    fit_folds: list[Annotated[int, Field(ge=0)]] = Field(
        [0], min_length=1, description="folds that take their turn as validation rows, one fit each"
    )
    linear: LinearSettings = Field(LinearSettings(), description="settings of the linear model")
    encoder: EncoderSettings = Field(EncoderSettings(), description="settings of the encoder")
    decoder: DecoderSettings = Field(DecoderSettings(), description="settings of the decoder")
    own: dict[str, Any] = Field({}, description="settings of a model of your own")

    resamples: int = Field(1000, ge=10, description="bootstrap samples behind every interval")
    own_metrics: list[OwnCode] = Field([], description="further metrics: python:MODULE:FUNCTION, see docs/TOUR.md")
    mistakes_shown: Whole = Field(20, description="most confident mistakes of each kind in the table")
    leave_one_language_out: bool = Field(False, description="fit again without each language in turn")
    left_out_model: Kind = Field("linear", description="kind of model for that: linear, encoder or decoder")
    left_out_settings: dict[str, Any] = Field({}, description="settings of that kind; empty: its defaults")

    submit_split: Literal["test", "dev"] = Field("test", description="which rows are answered: test or dev")

    sample_rows: int = Field(6000, ge=100, description="built-in sample: rows of train")
    sample_dev_rows: int = Field(2000, ge=100, description="built-in sample: rows of dev")
    sample_test_rows: int = Field(2000, ge=100, description="built-in sample: rows of test")
    sample_seed: int = Field(0, ge=0, lt=2**31, description="built-in sample: another seed, another sample")

    @model_validator(mode="after")
    def _left_out_settings_suit_their_kind(self) -> RunSettings:
        schema = KINDS[self.left_out_model]
        try:
            schema.model_validate(self.left_out_settings)
        except ValidationError as error:
            raise ValueError("; ".join(f"left_out_settings.{line}" for line in fault_lines(error, schema))) from None
        return self

    @property
    def of_model(self) -> Section | dict[str, Any]:
        """The settings of the chosen kind of model."""
        return getattr(self, self.model) if self.model in KINDS else self.own

    @property
    def sample_size(self) -> dict[str, int]:
        """`rows, dev_rows, test_rows, seed` of the built-in sample."""
        names = ("rows", "dev_rows", "test_rows", "seed")
        return {name: getattr(self, f"sample_{name}") for name in names}
