"""Captions and sound, from a table and real files to what other people's readers get."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import BuildRefused, SettingsError
from video_assets.settings import PlanSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.media.decode.test_audio import loudest, tone_of
from video_assets_tests.media.decode.test_audio import write as write_sounding
from video_assets_tests.pipeline.stages import ENCODING, Stages
from video_assets_tests.pipeline.test_manifest import write_csv
from video_assets_tests.pipeline.videos import write_video

SEQUENCES = ENCODING.replace(layout="sequence_example")
CAPTIONS = {"run/0.mp4": "a man läuft", "run/1.mp4": "", "walk/0.mp4": "two, in the rain", "walk/1.mp4": "slow"}


@pytest.fixture
def captioned(tmp_path: Path) -> Stages:
    """Four clips, three of them with a caption."""
    folder = tmp_path / "videos"
    for number, path in enumerate(CAPTIONS):
        write_video(folder / path, seed=number)
    rows = [{"path": path, "label": path.partition("/")[0], "caption": text} for path, text in CAPTIONS.items()]
    return Stages(write_csv(folder / "clips.csv", *rows), DatasetPaths(tmp_path / "root", "clips"))


def build(stages: Stages, encoding: Encoding) -> Path:
    stages.manifest()
    stages.splits()
    stages.plan(encoding)
    stages.shards()
    return Path(stages.commit().version_dir)


def read_all(version_dir: Path) -> dict[str, dict[str, Any]]:
    from video_assets.reader import load_dataset

    clips: list[Any] = [
        clip for split in ("train", "test") for clip in load_dataset(version_dir, split).as_numpy_iterator()
    ]
    return {clip["id"].decode(): clip for clip in clips}


@pytest.mark.parametrize("encoding", [ENCODING, SEQUENCES], ids=["tfds", "sequence_example"])
def test_captions_are_stored_and_read(tensorflow: ModuleType, captioned: Stages, encoding: Encoding) -> None:
    found = read_all(build(captioned, encoding))
    assert {clip_id: clip["caption"].decode() for clip_id, clip in found.items()} == CAPTIONS


def test_tensorflow_datasets_gives_captions_of_clips_that_have_one(tfds: ModuleType, captioned: Stages) -> None:
    builder = tfds.builder_from_directory(build(captioned, ENCODING))
    clips = [clip for split in ("train", "test") for clip in tfds.as_numpy(builder.as_dataset(split=split))]
    found = {clip["id"].decode(): [text.decode() for text in clip["caption"]] for clip in clips}
    assert found == {clip_id: [text] if text else [] for clip_id, text in CAPTIONS.items()}


def test_a_new_caption_is_a_changed_row(captioned: Stages) -> None:
    build(captioned, ENCODING)
    rows = [
        {"path": path, "label": path.partition("/")[0], "caption": text if path != "walk/1.mp4" else "very slow"}
        for path, text in CAPTIONS.items()
    ]
    write_csv(captioned.source, *rows)
    captioned.manifest()
    captioned.splits()
    assert len(captioned.plan().added) == 1


def test_a_dataset_without_captions_says_nothing_of_them(tensorflow: ModuleType, tmp_path: Path) -> None:
    for number in range(4):
        write_video(tmp_path / "videos" / "run" / f"{number}.mp4", seed=number)
    version_dir = build(Stages(tmp_path / "videos", DatasetPaths(tmp_path / "root", "clips")), ENCODING)
    assert all("caption" not in clip for clip in read_all(version_dir).values())
    assert "caption" not in (version_dir / "features.json").read_text("utf-8")
    assert "caption" not in (version_dir / "dataset_info.json").read_text("utf-8")


def sounding_source(tmp_path: Path) -> Stages:
    """Two spans of a video of rising tones, and a silent video."""
    folder = tmp_path / "videos"
    folder.mkdir()
    write_sounding(folder / "stairs.mp4", "aac")
    write_video(folder / "silent.mp4", seed=5)
    rows = [
        {"path": "stairs.mp4", "label": "a", "start": 1, "end": 2, "caption": "second one", "split": "train"},
        {"path": "stairs.mp4", "label": "b", "start": 2.5, "end": 3, "caption": "", "split": "train"},
        {"path": "silent.mp4", "label": "a", "start": "", "end": "", "caption": "", "split": "train"},
    ]
    return Stages(write_csv(folder / "clips.csv", *rows), DatasetPaths(tmp_path / "root", "clips"))


def test_dmvr_gets_the_sound_of_each_span(tensorflow: Any, tmp_path: Path) -> None:
    """By the specification of DMVR's `add_audio` (a VarLenFeature of one step), and the caption of its `add_text`."""
    version_dir = build(sounding_source(tmp_path), SEQUENCES.replace(audio_sample_rate=16_000))
    context = {
        "example/id": tensorflow.io.FixedLenFeature([], tensorflow.string),
        "caption/string": tensorflow.io.VarLenFeature(tensorflow.string),
        "WAVEFORM/feature/sample_rate": tensorflow.io.FixedLenFeature([], tensorflow.float32),
    }
    lists = {
        "WAVEFORM/feature/floats": tensorflow.io.VarLenFeature(tensorflow.float32),
        "WAVEFORM/feature/timestamp": tensorflow.io.FixedLenSequenceFeature([], tensorflow.int64),
    }
    found: dict[str, Any] = {}
    starts_us: dict[str, list[int]] = {}
    for record in tensorflow.data.TFRecordDataset([str(path) for path in version_dir.glob("*.tfrecord")]):
        of_clip, steps = tensorflow.io.parse_single_sequence_example(record, context, lists)
        sound = tensorflow.sparse.to_dense(steps["WAVEFORM/feature/floats"])[0].numpy()
        assert of_clip["WAVEFORM/feature/sample_rate"] == 16_000.0
        texts = [text.decode() for text in of_clip["caption/string"].values.numpy()]
        clip_id = of_clip["example/id"].numpy().decode()
        found[clip_id] = (sound, texts)
        starts_us[clip_id] = steps["WAVEFORM/feature/timestamp"].numpy().tolist()
    assert {clip_id: (len(sound), texts) for clip_id, (sound, texts) in found.items()} == {
        "stairs.mp4#t=1,2": (16_000, ["second one"]),
        "stairs.mp4#t=2.5,3": (8_000, []),
        "silent.mp4": (0, []),
    }
    assert starts_us == {"stairs.mp4#t=1,2": [1_000_000], "stairs.mp4#t=2.5,3": [2_500_000], "silent.mp4": [0]}
    assert loudest(found["stairs.mp4#t=1,2"][0][1600:-1600], 16_000) == pytest.approx(tone_of(1), abs=2)
    assert loudest(found["stairs.mp4#t=2.5,3"][0][800:-800], 16_000) == pytest.approx(tone_of(2), abs=3)
    assert np.abs(found["stairs.mp4#t=1,2"][0]).max() <= 0.6
    assert set(read_all(version_dir)) == set(found)


def test_sound_is_refused_by_name_where_the_layout_has_no_place_for_it(captioned: Stages) -> None:
    captioned.manifest()
    captioned.splits()
    told = (
        "plan.encoding.audio_sample_rate is 16000, but the layout tfds has no place for sound; "
        "set it to 0, or plan.encoding.layout to sequence_example"
    )
    with pytest.raises(SettingsError, match=told):
        captioned.plan(ENCODING.replace(audio_sample_rate=16_000))


def test_asking_for_sound_later_needs_a_new_version(captioned: Stages) -> None:
    build(captioned, SEQUENCES)
    with pytest.raises(BuildRefused, match=r"under another encoding \(audio_sample_rate 0 → 8000\)"):
        captioned.plan(SEQUENCES.replace(audio_sample_rate=8_000))


def test_captions_that_a_layout_has_no_place_for_are_named(captioned: Stages) -> None:
    captioned.manifest()
    captioned.splits()
    assert captioned.plan(ENCODING).not_stored == ""
    report = captioned.plan(ENCODING.replace(layout="movinets_helper"))
    told = (
        "3 of 4 clips have a caption, which is not stored: the layout movinets_helper has no place for it; "
        "tfds and sequence_example have"
    )
    assert report.not_stored == told
    captioned.shards()
    version_dir = Path(captioned.commit().version_dir)
    assert f"{told}." in (version_dir / "README.md").read_text("utf-8").replace("\\", "")
    assert f"<p>{told}.</p>" in (version_dir / "card.html").read_text("utf-8")


@pytest.fixture(scope="module")
def sounding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of four spans of one video, each of another length and tone, and of a silent video."""
    folder = tmp_path_factory.mktemp("sounding")
    write_sounding(folder / "stairs.mp4", "aac")
    write_video(folder / "silent.mp4", seed=5)
    spans = [(second, second + 0.4 + 0.1 * second) for second in range(4)]
    rows = [{"path": "stairs.mp4", "label": "a", "start": start, "end": end, "split": "train"} for start, end in spans]
    rows.append({"path": "silent.mp4", "label": "a", "start": "", "end": "", "split": "train"})
    stages = Stages(write_csv(folder / "clips.csv", *rows), DatasetPaths(folder / "root", "clips"))
    stages.manifest()
    stages.splits()
    stages.plan(SEQUENCES.replace(audio_sample_rate=16_000), PlanSettings(clips_per_shard=2))
    stages.shards()
    return Path(stages.commit().version_dir)


def sounds(version_dir: Path, **options: Any) -> list[tuple[str, NDArray[np.float32], int]]:
    from video_assets.reader import load_dataset

    clips: Any = load_dataset(version_dir, "train", with_audio=True, **options).as_numpy_iterator()
    return [(clip["id"].decode(), clip["audio"], int(clip["num_audio_samples"])) for clip in clips]


def test_load_dataset_gives_each_clip_its_own_sound(tensorflow: Any, sounding: Path) -> None:
    found = {clip_id: (sound, number) for clip_id, sound, number in sounds(sounding)}
    lengths = {clip_id: number for clip_id, (_, number) in found.items()}
    assert lengths == {
        "silent.mp4": 0,
        "stairs.mp4#t=0,0.4": 6_400,
        "stairs.mp4#t=1,1.5": 8_000,
        "stairs.mp4#t=2,2.6": 9_600,
        "stairs.mp4#t=3,3.7": 11_200,
    }
    for clip_id, (sound, number) in found.items():
        assert (sound.dtype, sound.shape) == (np.float32, (number,))
        if number:
            second = int(clip_id.partition("#t=")[2][0])
            assert loudest(sound[1600:-1600], 16_000) == pytest.approx(tone_of(second), abs=4)


@pytest.mark.slow
def test_sound_stays_with_its_clip_when_shuffled_resumed_and_shared(tensorflow: Any, sounding: Path) -> None:
    from video_assets.reader import Augmentation

    stored = {clip_id: sound for clip_id, sound, _ in sounds(sounding)}
    options: dict[str, Any] = {"seed": 3, "num_epochs": 3, "augmentation": Augmentation(size_px=32)}
    whole = sounds(sounding, **options)
    assert len(whole) == 15
    assert len({tuple(clip_id for clip_id, *_ in whole[first : first + 5]) for first in (0, 5, 10)}) > 1
    rest = sounds(sounding, start=7, **options)
    shares = [sounds(sounding, num_workers=2, worker_index=index, **options) for index in range(2)]
    assert [clip_id for clip_id, *_ in rest] == [clip_id for clip_id, *_ in whole[7:]]
    assert sorted(clip_id for share in shares for clip_id, *_ in share) == sorted(clip_id for clip_id, *_ in whole)
    for clip_id, sound, number in [*whole, *rest, *shares[0], *shares[1]]:
        assert len(sound) == number
        assert (sound == stored[clip_id]).all()


def test_padded_batches_keep_the_length_of_each_sound(tensorflow: Any, sounding: Path) -> None:
    from video_assets.reader import load_dataset

    clips = load_dataset(sounding, "train", with_audio=True)
    spec: Any = clips.element_spec
    assert spec["audio"] == tensorflow.TensorSpec([None], tensorflow.float32)
    assert spec["num_audio_samples"] == tensorflow.TensorSpec([], tensorflow.int64)
    (batch,) = clips.padded_batch(5).as_numpy_iterator()
    assert batch["audio"].shape == (5, 11_200)
    stored = {clip_id.encode(): sound for clip_id, sound, _ in sounds(sounding)}
    for clip_id, sound, number in zip(batch["id"], batch["audio"], batch["num_audio_samples"], strict=True):
        assert (sound[:number] == stored[clip_id]).all()
        assert not sound[number:].any()


def test_sound_is_given_only_where_it_is_asked_for_and_stored(
    tensorflow: Any, sounding: Path, captioned: Stages
) -> None:
    from video_assets.reader import load_dataset

    spec: Any = load_dataset(sounding, "train").element_spec
    assert "audio" not in spec
    version_dir = build(captioned, SEQUENCES)
    told = (
        f"{version_dir} holds no sound, so with_audio cannot give any; build it with "
        "plan.encoding.layout=sequence_example and plan.encoding.audio_sample_rate, such as 16000"
    )
    with pytest.raises(SettingsError, match=f"^{re.escape(told)}$"):
        load_dataset(version_dir, "train", with_audio=True)
