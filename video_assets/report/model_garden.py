"""Recipes with which TF Model Garden trains MoViNet from a dataset, and how the dataset matches its windows.

Source of what models share and of what differs: the training settings published with MoViNet in TF Model Garden,
`official/projects/movinet/configs/yaml`. They train on 366,016 clips, 1,024 at a time; the batch, the steps and the
learning rate of a recipe follow from the number of clips of the dataset instead.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from video_assets.domain.encoding import Encoding
from video_assets.domain.model_windows import ModelMatch, ModelWindow, Proposal
from video_assets.domain.splits import Split

READABLE_LAYOUTS = ("tfds", "sequence_example")
"""Layouts that Model Garden reads; not movinets_helper, because it ignores the setting for GZIP files."""

NO_MODEL_GARDEN = "TF Model Garden does not read this layout; choose `plan.encoding.layout` tfds or sequence_example."

EXPERIMENT = "movinet_kinetics600"
_PUBLISHED_RATE_PER_CLIP = 1.8 / 1024
_MIN_STEPS, _MIN_EPOCHS, _MAX_EPOCHS = 2_000, 10, 100
_STEPS_BETWEEN_EVALUATIONS = 500


@dataclass(frozen=True, slots=True)
class _Published:
    """What differs between models: the short side before the crop, dropout, and the clips that fit a 16 GB GPU."""

    min_image_size: int
    dropout_rate: float
    largest_batch: int


_PUBLISHED = {
    "a0": _Published(192, 0.2, 16),
    "a1": _Published(192, 0.2, 16),
    "a2": _Published(256, 0.5, 8),
    "a3": _Published(288, 0.5, 4),
    "a4": _Published(320, 0.5, 4),
    "a5": _Published(368, 0.5, 2),
}
_WITH_POSITIONAL_ENCODING = ("a3", "a4", "a5")


@dataclass(frozen=True, slots=True, kw_only=True)
class GardenDataset:
    """What Model Garden has to know about a dataset; `root` holds `<name>/<version>`.

    `folder` is that of a commit in the version directory: a pattern there matches no shard of another commit.
    """

    root: str
    name: str
    version: str
    encoding: Encoding
    num_classes: int
    num_examples: Mapping[Split, int]
    folder: str = ""

    @property
    def validation_split(self) -> Split:
        """Return val where the dataset has it, and test otherwise."""
        return "val" if self.num_examples.get("val") else "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """How a model reads the dataset: so many frames, one in every `stride` stored ones."""

    window: ModelWindow
    num_frames: int
    stride: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long to train, and how many clips at a time."""

    batch: int
    steps_per_epoch: int
    num_epochs: int
    learning_rate: float

    @property
    def train_steps(self) -> int:
        """Return the steps of all epochs."""
        return self.steps_per_epoch * self.num_epochs

    @property
    def interval(self) -> int:
        """Return the steps between two evaluations, each with its checkpoint."""
        return min(_STEPS_BETWEEN_EVALUATIONS, self.steps_per_epoch * max(1, self.num_epochs // 20))

    @property
    def warmup_steps(self) -> int:
        """Return the steps in which the learning rate grows from 0."""
        return max(1, self.train_steps // 20)


def schedule_for(num_clips: int, largest_batch: int) -> Schedule:
    """Return the schedule for so many training clips.

    A batch is a power of two, at most a quarter of the clips; training is 2,000 steps, but 10 to 100 epochs. The
    learning rate per clip of a batch is the published one.

    >>> schedule_for(18, 16)
    Schedule(batch=4, steps_per_epoch=5, num_epochs=100, learning_rate=0.00703)
    >>> schedule_for(1000, 16)
    Schedule(batch=16, steps_per_epoch=63, num_epochs=32, learning_rate=0.0281)
    """
    batch = 1
    while batch * 2 <= min(largest_batch, num_clips // 4):
        batch *= 2
    steps = max(1, -(-num_clips // batch))
    num_epochs = min(_MAX_EPOCHS, max(_MIN_EPOCHS, -(-_MIN_STEPS // steps)))
    rate = float(f"{_PUBLISHED_RATE_PER_CLIP * batch:.3g}")
    return Schedule(batch=batch, steps_per_epoch=steps, num_epochs=num_epochs, learning_rate=rate)


def recipe_name(model_id: str, *, is_stream: bool) -> str:
    """Return the name of a recipe, which is also that of the published checkpoint.

    >>> recipe_name("a0", is_stream=True)
    'movinet_a0_stream'
    """
    return f"movinet_{model_id}_{'stream' if is_stream else 'base'}"


def recipes(dataset: GardenDataset, inputs: Sequence[ModelInput]) -> dict[str, str]:
    """Return the recipe of every model, base and stream, by its name; none if Model Garden cannot read the layout."""
    return {
        recipe_name(model_input.window.model_id, is_stream=is_stream): model_garden_yaml(
            dataset, model_input, is_stream=is_stream
        )
        for model_input in inputs
        for is_stream in (False, True)
        if dataset.encoding.layout in READABLE_LAYOUTS
    }


def model_garden_yaml(dataset: GardenDataset, model_input: ModelInput, *, is_stream: bool = False) -> str:
    """Return the YAML for `--config_file` of `official.projects.movinet.train`; empty if it cannot read the layout.

    Only the place of the checkpoint is left to fill in. Texts are quoted as in JSON, which YAML reads too; what YAML
    does not allow as it is, is escaped.
    """
    if dataset.encoding.layout not in READABLE_LAYOUTS:
        return ""
    published, name = (
        _PUBLISHED[model_input.window.model_id],
        recipe_name(model_input.window.model_id, is_stream=is_stream),
    )
    schedule = schedule_for(dataset.num_examples.get("train", 0), published.largest_batch)
    lines = [
        *_head(dataset, model_input, name),
        "runtime:",
        '  distribution_strategy: "off"  # one device: the GPU if there is one; several: mirrored, with num_gpus',
        "  num_gpus: 0",
        "  mixed_precision_dtype: float32  # bfloat16 on a TPU or a GPU that has it, with both dtypes below",
        "task:",
        f'  init_checkpoint: "path/to/{name}"  # the published checkpoint, unpacked; "" to begin from nothing',
        "  init_checkpoint_modules: backbone  # the head is new: it has the classes of this dataset",
        "  losses: {label_smoothing: 0.1, l2_weight_decay: 0.00003}",
        *_model_lines(model_input.window, published, is_stream=is_stream),
        "  train_data:",
        *_data_lines(dataset, model_input, "train", schedule.batch),
        "  validation_data:",
        *_data_lines(dataset, model_input, dataset.validation_split, schedule.batch),
        *_trainer_lines(schedule, dataset.num_examples.get(dataset.validation_split, 0)),
    ]
    return "\n".join(lines) + "\n"


def _head(dataset: GardenDataset, model_input: ModelInput, name: str) -> list[str]:
    place = "in the folder that holds the dataset, " if dataset.root == "." else ""
    mode = "train_and_eval" if dataset.num_examples.get(dataset.validation_split) else "train"
    lines = [
        f"# {name}: {place}TF_USE_LEGACY_KERAS=1 python -m official.projects.movinet.train",
        f"#   --experiment={EXPERIMENT} --mode={mode} --model_dir=trained --config_file=THIS_FILE",
    ]
    if mode == "train":
        lines.append("# The dataset has no clips to validate on.")
    if model_input.window.resolution > dataset.encoding.resolution:
        lines.append(
            f"# The model was trained on frames of {model_input.window.resolution} pixels; those of the dataset have "
            f"{dataset.encoding.resolution}."
        )
    return lines


def _model_lines(window: ModelWindow, published: _Published, *, is_stream: bool) -> list[str]:
    lines = [
        "  model:",
        f"    dropout_rate: {published.dropout_rate}",
        "    norm_activation: {use_sync_bn: true}",
        "    backbone:",
        "      type: movinet",
        "      movinet:",
        f"        model_id: {window.model_id}",
        "        stochastic_depth_drop_rate: 0.2",
    ]
    if is_stream:
        lines += [
            "        causal: true",
            "        conv_type: 2plus1d  # as the published checkpoint; from nothing, 3d_2plus1d trains faster",
            "        se_type: 2plus3d",
            "        activation: hard_swish",
            "        gating_activation: hard_sigmoid",
            f"        use_positional_encoding: {_yes_or_no(window.model_id in _WITH_POSITIONAL_ENCODING)}",
        ]
    return lines


def _data_lines(dataset: GardenDataset, model_input: ModelInput, split: Split, batch: int) -> list[str]:
    encoding, is_training = dataset.encoding, split == "train"
    stored, side = encoding.resolution, min(encoding.resolution, model_input.window.resolution)
    num_examples = dataset.num_examples.get(split, 0)
    folder = "/".join(filter(None, (dataset.root, dataset.name, dataset.version, dataset.folder)))
    place = f"{folder}/{dataset.name}-{split}-*.tfrecord"
    if encoding.layout == "tfds":
        lines = [
            f"tfds_name: {_quoted(f'{dataset.name}:{dataset.version}')}",  # not a version that is being built
            f"tfds_data_dir: {_quoted(dataset.root)}",
            f"tfds_split: {split}",
        ]
    else:
        lines = [f"input_path: {_quoted(place.removeprefix('./'))}", "file_type: tfrecord"]
    lines += [
        f"name: {_quoted(dataset.name)}",
        f"split: {split}",
        f"feature_shape: [{model_input.num_frames}, {side}, {side}, 3]  # frames, height, width, channels",
        f"temporal_stride: {model_input.stride}  # one in so many of the stored frames",
        f"min_image_size: {max(side, min(stored, _PUBLISHED[model_input.window.model_id].min_image_size))}",
        f"num_classes: {dataset.num_classes}",
        f"num_examples: {num_examples}",
        f"is_training: {_yes_or_no(is_training)}",
        f"global_batch_size: {batch if is_training else max(1, min(batch, num_examples))}",
        "dtype: float32",
    ]
    if is_training:
        lines.append(f"shuffle_buffer_size: {max(1, min(256, num_examples))}  # encoded clips")
    else:
        lines += ["drop_remainder: false", "num_test_clips: 1", "num_test_crops: 1"]
    lines += ["is_multilabel: true"] if encoding.multi_label else []
    lines += [f"input_image_format: {encoding.image_format}"] if encoding.image_format != "jpeg" else []
    return [f"    {line}" for line in lines]


def _trainer_lines(schedule: Schedule, num_validation: int) -> list[str]:
    validation_batch = max(1, min(schedule.batch, num_validation))
    return [
        f"trainer:  # {schedule.num_epochs} epochs of {schedule.steps_per_epoch} steps",
        f"  train_steps: {schedule.train_steps}",
        f"  steps_per_loop: {schedule.interval}",
        f"  summary_interval: {schedule.interval}",
        f"  checkpoint_interval: {schedule.interval}",
        f"  validation_interval: {schedule.interval}",
        f"  validation_steps: {-(-num_validation // validation_batch)}  # every clip once",
        "  optimizer_config:",
        "    optimizer: {type: rmsprop, rmsprop: {rho: 0.9, momentum: 0.9, epsilon: 1.0, clipnorm: 1.0}}",
        "    learning_rate:",
        "      type: cosine",
        f"      cosine: {{initial_learning_rate: {schedule.learning_rate}, decay_steps: {schedule.train_steps}}}",
        "    warmup:",
        "      type: linear",
        f"      linear: {{warmup_learning_rate: 0, warmup_steps: {schedule.warmup_steps}}}",
    ]


def _yes_or_no(is_so: bool) -> str:
    return "true" if is_so else "false"


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def model_rows(models: Sequence[ModelMatch]) -> list[dict[str, str | int | float]]:
    """Return one row per model: its window, how many clips it would loop or cut, and better settings.

    `at_own_rate` counts the clips that feed the model at its own frames per second, read at `stride`.
    """
    return [
        {
            "model": model.window.name,
            "window": f"{model.window.num_frames} frames, {model.window.frames_per_second:.3g} a second",
            "size": f"{model.window.resolution}x{model.window.resolution}",
            "clips": model.match.num_clips,
            "stored_per_second": round(model.rate.frames_per_second, 3),
            "stride": model.rate.stride,
            "at_own_rate": model.rate.num_native,
            "looped": model.match.num_looped,
            "cut": model.match.num_cut,
            "fits_better": " or ".join(proposal.settings_text for proposal in model.proposals),
        }
        for model in models
    ]


def model_sentence(model: ModelMatch) -> str:
    """Return whether a dataset feeds a model at its own rate, what a window loops or cuts, and better settings."""
    window, found, rate = model.window, model.match, model.rate
    read = "every stored frame" if rate.stride == 1 else f"one stored frame in {rate.stride}"
    head = f"{window.name} (windows of {window.num_frames} frames, {window.frames_per_second:.3g} a second)"
    if model.is_native:
        told = f"{read} gives its own rate"
    else:
        told = (
            f"{rate.num_native} of {found.num_clips} clips come at its own rate, with {read}; stored are about "
            f"{rate.frames_per_second:.3g} frames a second"
        )
    parts = [
        (found.num_looped, f"{found.num_looped} of {found.num_clips} clips are shorter and would be looped"),
        (found.num_cut, f"{found.num_cut} are longer, and a window shows a part of them"),
        (found.is_perfect, "every clip is as long as its window"),
    ]
    what = "; ".join([told, *(text for number, text in parts if number)])
    return " ".join([f"{head}: {what}.", *map(_proposal_sentence, model.proposals)])


def _proposal_sentence(proposal: Proposal) -> str:
    found = proposal.match
    parts = [f"{proposal.num_native} of {found.num_clips} clips at its own rate"]
    if found.is_perfect:
        parts.append("none looped, none cut")
    else:
        parts.append(f"{found.num_looped} looped, {found.num_cut} cut")
    what = ", ".join(parts)
    what += f"; {proposal.num_padded} videos have fewer frames and repeat some" if proposal.num_padded else ""
    return f"With {proposal.settings_text}: {what}."
