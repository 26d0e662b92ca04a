"""Fine-tune MoViNet with TF Model Garden's own trainer, test it with several views, and run it frame by frame.

    video-assets recipe --root data/movinet --model a0 --stream > recipe.yaml
    python docs/examples/finetune_movinet.py --recipe recipe.yaml --model-dir trained

The recipe must be that of a stream model: only a causal model can run frame by frame. What Model Garden itself takes
as `--params_override` changes single fields of it. The last line that is printed is a JSON object.
"""

import argparse
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # Model Garden needs Keras 2; chosen when TensorFlow is imported

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray
from official.common import distribute_utils
from official.core import exp_factory, task_factory, train_lib
from official.modeling import hyperparams
from official.projects.movinet.modeling import movinet, movinet_model
from official.vision import registry_imports

REGISTERED = (registry_imports, movinet)
"""Importing them makes the task and the model known to the trainer."""
EXPERIMENT = "movinet_kinetics600"
TOLERANCE = 1e-4
"""Largest difference between a logit of the streamed model and of the model that sees the clip at once."""


def main() -> None:
    """Train, test, export and stream; end with an error if streaming gives other logits."""
    options = read_options()
    config = exp_factory.get_exp_config(EXPERIMENT)
    for changes in (str(options.recipe), options.params_override):
        config = hyperparams.override_params_dict(config, changes, is_strict=True)
    if not config.task.model.backbone.get().causal:
        raise SystemExit(f"{options.recipe} is not the recipe of a stream model; write it with --stream")

    views = {"num_test_clips": options.test_clips, "num_test_crops": options.test_crops}
    config.override({"task": {"validation_data": views}})
    model, logs = train_and_test(config, options.model_dir)
    found: dict[str, Any] = {
        "checkpoint": tf.train.latest_checkpoint(options.model_dir),
        "views": options.test_clips * options.test_crops,
        "accuracy": float(logs["accuracy"]),
    }
    found["exported"] = str(options.model_dir / "streaming")
    export(config, found["checkpoint"], found["exported"])
    clip = first_clip(config)
    at_once = model({"image": clip}, training=False).numpy()[0]
    streamed = stream(found["exported"], clip)
    found["largest_difference"] = float(np.abs(streamed - at_once).max())
    print(json.dumps(found))
    if found["largest_difference"] > TOLERANCE:
        raise SystemExit(f"streaming gives {streamed}, the whole clip {at_once}")


def read_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, required=True, help="what `video-assets recipe --stream` printed")
    parser.add_argument("--model-dir", type=Path, required=True, help="where checkpoints and the exported model go")
    parser.add_argument("--params-override", default="", help="as Model Garden takes it: task.init_checkpoint='',…")
    parser.add_argument("--test-clips", type=int, default=2, help="windows of each clip in the test")
    parser.add_argument("--test-crops", type=int, default=3, help="crops of each window in the test")
    return parser.parse_args()


def train_and_test(config: Any, model_dir: Path) -> tuple[Any, Any]:
    """Run the official trainer, or go on where it was stopped; return the model, and what its test found."""
    strategy = distribute_utils.get_distribution_strategy(
        config.runtime.distribution_strategy, num_gpus=config.runtime.num_gpus
    )
    with strategy.scope():
        task = task_factory.get_task(config.task, logging_dir=str(model_dir))
    return train_lib.run_experiment(
        distribution_strategy=strategy,
        task=task,
        mode="train_and_post_eval",
        params=config,
        model_dir=str(model_dir),
        save_summary=importlib.util.find_spec("tensorboard") is not None,
    )


def export(config: Any, checkpoint: str, export_path: str) -> None:
    """Export the variant that takes one frame and the states of all frames before it.

    Its two signatures are those of `official.projects.movinet.tools.export_saved_model`, which also saves all layers
    for Keras, and takes minutes.
    """
    backbone, data = config.task.model.backbone.get(), config.task.validation_data
    _, height, width, channels = data.feature_shape
    shape = (1, 1, height, width, channels)
    layers = movinet.Movinet(
        model_id=backbone.model_id,
        causal=True,
        conv_type=backbone.conv_type,
        se_type=backbone.se_type,
        input_specs=tf_keras.layers.InputSpec(shape=shape),
        activation=backbone.activation,
        gating_activation=backbone.gating_activation,
        use_positional_encoding=backbone.use_positional_encoding,
        use_external_states=True,
    )
    model: Any = movinet_model.MovinetClassifier(
        layers,
        num_classes=data.num_classes,
        input_specs={"image": tf_keras.layers.InputSpec(shape=shape)},
        activation=config.task.model.activation,
        output_states=True,
    )
    tf.train.Checkpoint(model=model).restore(checkpoint).expect_partial().assert_existing_objects_matched()

    def call(inputs: dict[str, Any]) -> dict[str, Any]:
        logits, states = model(inputs, training=False)
        return {**states, "logits": logits}

    specs = {name: tf.TensorSpec(s.shape, s.dtype, name) for name, s in model.initial_state_specs(shape).items()}
    specs["image"] = tf.TensorSpec(shape, tf.float32, "image")
    signatures = {
        "call": tf.function(call).get_concrete_function(specs),
        "init_states": tf.function(model.init_states).get_concrete_function(tf.TensorSpec([5], tf.int32)),
    }
    exported: Any = tf.Module()
    exported.weights = model.variables
    tf.saved_model.save(exported, export_path, signatures)


def first_clip(config: Any) -> Any:
    """Return the first clip of the validation data as Model Garden gives it, (1, T, H, W, 3) float32 from 0 to 1."""
    config.override({"task": {"validation_data": {"num_test_clips": 1, "num_test_crops": 1}}})
    task = task_factory.get_task(config.task)
    features, _ = next(iter(task.build_inputs(config.task.validation_data)))
    return features["image"][:1]


def stream(exported: str, clip: Any) -> NDArray[np.float32]:
    """Show the exported model one frame after another; return its logits after the last one."""
    signatures: Any = tf.saved_model.load(exported)
    init_states, call = signatures.signatures["init_states"], signatures.signatures["call"]
    outputs = init_states(tf.constant([1, 1, *clip.shape[2:]], tf.int32))
    for frame in tf.unstack(clip, axis=1):
        states = {name: value for name, value in outputs.items() if name != "logits"}
        outputs = call(**states, image=frame[:, None])
    return outputs["logits"].numpy()[0]


if __name__ == "__main__":
    main()
