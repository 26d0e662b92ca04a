"""What `describe` says of a dataset, and where it stands."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from video_assets.domain.errors import SettingsError
from video_assets.media.images import decode_image
from video_assets.pipeline.commit.committed_records import read_stored
from video_assets.reader import describe
from video_assets_tests.datasets import Built
from video_assets_tests.label_sets import NAMES
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import Stages
from video_assets_tests.pipeline.videos import FPS, NUM_FRAMES


def test_it_says_what_a_trainer_needs_to_know(built_once: Built) -> None:
    found = describe(built_once.version.directory)
    assert (found["name"], found["version"], found["layout"]) == ("clips", "1.0.0", "tfds")
    assert found["classes"] == ["jump", "run", "walk"]
    assert found["splits"] == {"train": 18, "test": 6}
    assert found["class_counts"] == {
        "train": {"jump": 6, "run": 6, "walk": 6},
        "test": {"jump": 2, "run": 2, "walk": 2},
    }
    assert found["class_weights"] == {"jump": 1.0, "run": 1.0, "walk": 1.0}
    assert found["frames"] == {"min": 5.0, "median": 5.0, "mean": 5.0, "max": 5.0}
    assert found["seconds"]["median"] == pytest.approx(NUM_FRAMES / FPS)


def test_the_levels_are_those_of_the_stored_middle_frames(built_once: Built) -> None:
    places = [(key, clip) for key in built_once.keys if key.startswith("train")
              for clip in damage.known_of(built_once, key).clips]  # fmt: skip
    records = list(read_stored(built_once.version, "tfds", ["jump", "run", "walk"], places))
    pixels = np.stack([decode_image(record.images[2]) for record in records]) / 255
    found = describe(built_once.version.directory)
    assert found["mean"] == pytest.approx(pixels.mean(axis=(0, 1, 2)), abs=1e-6)
    assert found["std"] == pytest.approx(pixels.std(axis=(0, 1, 2)), abs=1e-6)


def test_every_label_of_a_clip_counts_and_weighs_as_a_loss_per_class_takes_it(label_sets_built: Built) -> None:
    found = describe(label_sets_built.version.directory)
    assert found["multi_label"] is True
    counts, num_clips = found["class_counts"]["train"], found["splits"]["train"]
    assert list(counts) == NAMES
    assert found["class_weights"] == {
        name: round((num_clips - count) / count, 6) if count else 0.0 for name, count in counts.items()
    }


def without_statistics(text: str) -> str:
    info: dict[str, Any] = json.loads(text)
    described = json.loads(info["configDescription"])
    del described["statistics"]
    return json.dumps(info | {"configDescription": json.dumps(described)})


def test_a_dataset_of_version_0_1_is_counted_and_committed_again_without_a_change(built: Built) -> None:
    """Its file has no statistics. The same plan says the same, so repairs give its very bytes."""
    expected = describe(built.version.directory)
    before = without_statistics(built.version.dataset_info.read_text("utf-8"))
    built.version.dataset_info.write_text(before, "utf-8")
    found = describe(built.version.directory)
    assert found == expected | {"mean": None, "std": None, "seconds": None}
    Stages(built.source, built.paths).commit()
    assert "statistics" not in built.version.dataset_info.read_text("utf-8")


def test_it_needs_neither_tensorflow_nor_opencv(built_once: Built) -> None:
    code = (
        "import sys; from video_assets.reader import describe; describe(sys.argv[1]);"
        "print([name for name in ('tensorflow', 'cv2', 'av') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(built_once.version.directory)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip() == "[]"


def test_a_folder_without_a_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no committed dataset"):
        describe(tmp_path / "clips" / "1.0.0")
