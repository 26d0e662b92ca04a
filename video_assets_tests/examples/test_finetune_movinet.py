"""The fine-tuning example, run as docs/MOVINET.md runs it, on few clips with small frames."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from video_assets.pipeline.plan.model_fit import committed_fit
from video_assets_tests.datasets import Built

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "finetune_movinet.py"
FEW_STEPS = (
    "task.init_checkpoint='',task.train_data.global_batch_size=2,task.validation_data.global_batch_size=2,"
    "trainer.train_steps=2,trainer.steps_per_loop=2,trainer.summary_interval=2,trainer.checkpoint_interval=2,"
    "trainer.validation_steps=1"
)


@pytest.mark.long
@pytest.mark.timeout(1500)  # two minutes of one quiet core; beside 18 other busy processes it took eight
def test_the_official_trainer_trains_and_the_exported_model_streams(built_once: Built, tmp_path: Path) -> None:
    """The recipe is the dataset's own. The example ends with an error if streaming gives other logits."""
    if importlib.util.find_spec("official") is None:
        pytest.skip("needs TF Model Garden: `make setup` installs it from constraints-readers.txt")
    recipe = tmp_path / "recipe.yaml"
    fit = committed_fit(built_once.paths, str(built_once.paths.root))
    recipe.write_text(fit.recipe("a0", is_stream=True), "utf-8")
    command = [sys.executable, "-W", "ignore", str(EXAMPLE), "--recipe", str(recipe)]
    command += ["--model-dir", str(tmp_path / "trained"), "--params-override", FEW_STEPS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1400, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["checkpoint"]).name == "ckpt-2"
    assert Path(f"{found['checkpoint']}.index").exists()
    assert (Path(found["exported"]) / "saved_model.pb").exists()
    assert found["views"] == 6
    assert 0 <= found["accuracy"] <= 1
    assert found["largest_difference"] <= 1e-4
