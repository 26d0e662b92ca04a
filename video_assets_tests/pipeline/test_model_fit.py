"""How planned clips fit the windows of models."""

from pathlib import Path

import yaml

from video_assets.pipeline.manifest.manifest_table import read_clip_lengths
from video_assets.pipeline.plan.model_fit import plan_fit
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.stages import ENCODING, Stages, copied_source
from video_assets_tests.pipeline.videos import FPS, NUM_CLIPS, NUM_FRAMES, clip_path


def test_the_block_of_a_plan_holds_the_numbers_of_what_is_built(built: Built) -> None:
    report = Stages(built.source, built.paths).plan(ENCODING)
    found = plan_fit(built.paths, report)
    task = yaml.safe_load(found.yaml)["task"]
    assert [task[part]["num_examples"] for part in ("train_data", "validation_data")] == [18, 6]
    assert task["train_data"]["num_classes"] == 3
    assert task["train_data"]["feature_shape"] == [5, 32, 32, 3]
    assert task["train_data"]["tfds_data_dir"] == str(built.paths.root)
    assert found.fits[0].match.num_looped == NUM_CLIPS
    assert found.fits[0].proposals[0].num_padded == NUM_CLIPS  # videos of 20 frames have no 50


def test_a_span_counts_with_its_own_length(built: Built, tmp_path: Path) -> None:
    source = copied_source(built.source, tmp_path)
    table, path = source / "spans.csv", clip_path("run", 1, 1)
    table.write_text(f"path,label,start,end\n{path},run,0.5,1.0\n{clip_path('run', 2, 1)},run,,\n", "utf-8")
    Stages(table, built.paths).manifest(max_removed_fraction=1)
    lengths = read_clip_lengths(built.paths)
    assert lengths.loc[f"{path}#t=0.5,1"].tolist() == [500_000, FPS // 2]
    assert lengths.loc[clip_path("run", 2, 1)].tolist() == [NUM_FRAMES * 1_000_000 // FPS, NUM_FRAMES]
