"""Sets laid out as public ones are become the datasets that they tell of, or are refused and nothing is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from video_assets import cli
from video_assets.defs.config import ManifestConfig
from video_assets.domain.errors import SettingsError
from video_assets.pipeline.manifest.manifest_table import ReadManifest
from video_assets.pipeline.noted_settings import settings_in_force
from video_assets.settings import ManifestSettings, Settings
from video_assets.sources.doubts import refuse_misread
from video_assets.sources.read import list_source, read_source
from video_assets.sources.tree import source_directory
from video_assets.storage.addresses import open_address
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import read_notes
from video_assets_tests.defs.location import failures, open_location
from video_assets_tests.pipeline.stages import Stages
from video_assets_tests.pipeline.videos import FPS, write_video

Row = tuple[str, str, str | None, float | None, float | None]
"""Path, class, split, start, end."""


def put(folder: Path, *paths: str) -> None:
    """Make a video of its own at each path."""
    for path in paths:
        write_video(folder / path, seed=sum(path.encode()) + len(path))


def split_folders(folder: Path) -> tuple[str, list[Row]]:
    paths = [f"{split}/{label}/a.mp4" for split in ("Train", "valid", "test") for label in ("run", "walk")]
    put(folder, *paths)
    words = {"Train": "train", "valid": "val", "test": "test"}
    return "", [(path, path.split("/")[1], words[path.split("/")[0]], None, None) for path in paths]


def kinetics(folder: Path) -> tuple[str, list[Row]]:
    rows: list[Row] = []
    for split in ("train", "val"):
        lines = ["label,youtube_id,time_start,time_end,split"]
        for number, label in enumerate(("playing chess", "surfing water", "playing chess")):
            name = f"aB3_dE-f{split[:2]}{number}"
            path = f"{split}/{name}_{number:06d}_{number + 10:06d}.mp4"
            put(folder, path)
            lines.append(f"{label},{name},{number},{number + 10},{split}")
            rows.append((path, label, split, None, None))
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return "", rows


def table_of_frames(folder: Path) -> tuple[str, list[Row]]:
    put(folder, "raw/a.mp4", "raw/b.mp4")
    lines = "video\tcategory\tstart_frame\tend_frame\nraw/a\trun\t3\t12\nraw/b\twalk\t5\t\n"
    (folder / "spans.tsv").write_text(lines)
    return "spans.tsv", [
        ("raw/a.mp4", "run", None, 3 / FPS, 12 / FPS),
        ("raw/b.mp4", "walk", None, 5 / FPS, None),
    ]


def mmaction2(folder: Path) -> tuple[str, list[Row]]:
    rows: list[Row] = []
    for split in ("train", "val"):
        paths = [f"{label}/{split}.mp4" for label in ("run", "walk")]
        put(folder / f"videos_{split}", *paths)
        text = "".join(f"{path} {number}\n" for number, path in enumerate(paths))
        (folder / f"demo_{split}_list_videos.txt").write_text(text)
        rows += [(f"videos_{split}/{path}", path.split("/")[0], split, None, None) for path in paths]
    (folder / "label_map.txt").write_text("run\nwalk\n")
    return "", rows


@pytest.mark.parametrize("made", [split_folders, kinetics, table_of_frames, mmaction2])
def test_a_public_layout_becomes_its_manifest_without_a_setting(
    tmp_path: Path, made: Callable[[Path], tuple[str, list[Row]]]
) -> None:
    source, expected = made(tmp_path / "set")
    stages = Stages(tmp_path / "set" / source, DatasetPaths(tmp_path / "root", "clips"))
    report = stages.manifest(allow_single_class=False)
    columns = ["path", "label", "official_split", "start_seconds", "end_seconds"]
    found = report.clips[columns].astype(object).where(report.clips[columns].notna(), None)
    assert sorted(found.itertuples(index=False, name=None), key=str) == sorted(expected, key=str)
    assert ReadManifest.of(stages.paths).reading == report.reading
    assert report.reading.sentence.startswith("Read as: ")


def json_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.slow
def test_inspect_and_build_say_alike_how_a_set_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "set"
    kinetics(folder)
    with (folder / "annotations" / "train.csv").open("a") as table:
        table.write("playing chess,zzzzzzzzzzz,0,10,train\n")
    assert cli.main(["inspect", str(folder), "--json"]) == 0
    looked = json_of(capsys)
    assert looked["source_format"] == "kinetics"
    assert looked["classes"] == {"playing chess": 4, "surfing water": 2}
    assert looked["splits"] == {"train": 3, "val": 3}
    assert [(warning["code"], warning["count"]) for warning in looked["warnings"]] == [("missing_files", 1)]
    settings = ["--set", "plan.encoding.resolution=32", "--set", "plan.encoding.num_frames=2"]
    arguments = ["--source", str(folder), "--root", str(tmp_path / "root"), "--workers", "1", "--json", *settings]
    assert cli.main(["plan", *arguments]) == 0
    planned = json_of(capsys)
    assert cli.main(["build", "--no-dagster", *arguments]) == 0
    built = json_of(capsys)
    for name in ("read_as", "source_format", "warnings"):
        assert built[name] == planned[name] == looked[name]
    card = (Path(built["version_dir"]) / "README.md").read_text("utf-8")
    assert "1 listed clips have no file" in card
    assert "Kinetics annotations" in card
    page = (Path(built["version_dir"]) / "card.html").read_text("utf-8")
    assert "1 listed clips have no file" in page.partition('<h2 id="checks">')[0]


def one_class(folder: Path) -> str:
    put(folder, "run/a.mp4", "run/b.mp4")
    return "manifest.allow_single_class"


def splits_beside_classes(folder: Path) -> str:
    put(folder, "train/a.mp4", "walk/b.mp4")
    return "manifest.source_format: folders"


def splits_without_classes(folder: Path) -> str:
    put(folder, "train/a.mp4", "test/b.mp4")
    return "manifest.label_pattern"


def a_third_without_files(folder: Path) -> str:
    put(folder, "a.mp4", "b.mp4")
    (folder / "train.csv").write_text("path,label\na.mp4,run\nb.mp4,walk\nc.mp4,walk\n")
    return "manifest.max_missing_fraction"


def rows_that_match_two_files(folder: Path) -> str:
    put(folder, *(f"{place}/{name}.mp4" for place in ("first", "second") for name in "ab"))
    (folder / "labels.csv").write_text("path,label\na,run\nb,walk\n")
    return "match two files"


TRAPS = [one_class, splits_beside_classes, splits_without_classes, a_third_without_files, rows_that_match_two_files]


@pytest.mark.parametrize("trap", TRAPS)
def test_what_may_be_misread_is_refused_with_the_setting_that_decides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trap: Callable[[Path], str]
) -> None:
    folder, root = tmp_path / "set", tmp_path / "root"
    words = trap(folder)
    arguments = ["--source", str(folder), "--root", str(root), "--workers", "1", "--json"]
    for command in (["inspect", str(folder), "--json"], ["plan", *arguments], ["build", "--no-dagster", *arguments]):
        assert cli.main(command) == 2
        result = json_of(capsys)
        assert words in result["error"]
        assert result["exit_code"] == 2
    assert files_below(root) == []


@pytest.mark.parametrize("trap", TRAPS)
def test_a_run_of_the_manifest_refuses_it_with_the_same_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: Callable[[Path], str]
) -> None:
    folder, root = tmp_path / "set", tmp_path / "root"
    words = trap(folder)
    with pytest.raises(SettingsError) as refused:
        refuse_misread(read_source(folder), ManifestSettings(), ())
    with dg.DagsterInstance.ephemeral() as instance:
        location = open_location(monkeypatch, instance, folder, DatasetPaths(root, "clips"))
        (told,) = failures(location.run("manifest")).values()
    assert words in told
    assert str(refused.value) in told
    assert files_below(root) == []


def files_below(root: Path) -> list[Path]:
    """Return all files, but for those that locks are held on."""
    return [path for path in root.rglob("*") if path.is_file() and path.parent.name != ".lock"]


def test_the_folder_of_the_videos_is_found_again_by_the_stages_after(tmp_path: Path) -> None:
    put(tmp_path / "videos", "a.mp4", "b.mp4")
    table = tmp_path / "tables" / "labels.csv"
    table.parent.mkdir()
    table.write_text("path,label\na.mp4,run\nb.mp4,walk\n")
    stages = Stages(table, DatasetPaths(tmp_path / "root", "clips"))
    report = stages.manifest(videos="../videos")
    directory = source_directory(open_address((read_notes(stages.paths.manifest) or {})["source"]))
    assert all((directory / path).is_file() for path in report.clips["path"])
    assert settings_in_force(stages.paths, Settings()).manifest.videos == "../videos"


def test_a_fixed_order_numbers_a_new_dataset_and_moves_no_class_of_another(tmp_path: Path) -> None:
    put(tmp_path / "set", "run/a.mp4", "walk/b.mp4")
    names = tmp_path / "names.txt"
    names.write_text("walk\nswim\nrun\n")
    stages = Stages(tmp_path / "set", DatasetPaths(tmp_path / "root", "clips"))
    assert stages.manifest(class_names=str(names)).labels == ["walk", "swim", "run"]
    names.write_text("walk\nrun\nswim\n")
    with pytest.raises(SettingsError, match="would give the number 1 to run, but in the dataset it is that of swim"):
        stages.manifest(class_names=str(names))


def test_a_new_row_and_a_new_split_file_are_listed_and_cost_themselves(tmp_path: Path) -> None:
    split_folders(tmp_path / "set")
    stages = Stages(tmp_path / "set", DatasetPaths(tmp_path / "root", "clips"))
    stages.manifest()
    options = settings_in_force(stages.paths, Settings()).manifest
    before = list_source(stages.source, options)
    put(tmp_path / "set", "Train/run/new.mp4")
    assert [file.path for file in list_source(stages.source, options) if file not in before] == ["Train/run/new.mp4"]
    report = stages.manifest()
    assert (report.num_files_probed, report.num_files_reused, len(report.gone)) == (1, len(before), 0)


def test_the_launchpad_takes_columns_as_a_mapping() -> None:
    assert ManifestConfig(columns={"path": "video", "label": ""}).columns == {"path": "video", "label": ""}
    with pytest.raises(ValueError, match="paht is no field of a clip; fields are path, label"):
        ManifestSettings(columns={"paht": "video"})


@pytest.mark.parametrize(
    ("rows", "lost", "warned"),
    [
        (["a,nan", "b,run", "c,walk"], {"a.mp4": "bad_row"}, set()),
        (["a,run,nan,1", "b,run", "c,walk"], {"a.mp4": "bad_span"}, set()),
        (["a,run", "b,Run", "c,walk"], {}, {"near_equal_classes"}),
        (["a,3", "b,3.0", "c,walk"], {}, {"near_equal_classes"}),
    ],
    ids=["a label that is no number", "a time that is no number", "run and Run", "3 and 3.0"],
)
@pytest.mark.slow
def test_doubtful_labels_and_times_are_named_by_the_command(
    rows: list[str], lost: dict[str, str], warned: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "videos", *(f"{name}.mp4" for name in "abc"))
    lines = ["path,label,start,end", *(f"{row[0]}.mp4{row[1:]}{',' * (3 - row.count(','))}" for row in rows)]
    (tmp_path / "videos" / "clips.csv").write_text("\n".join(lines))
    command = ["plan", "--source", str(tmp_path / "videos" / "clips.csv"), "--root", str(tmp_path / "root")]
    cli.main([*command, "--set", "manifest.max_failed_fraction=1", "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {item["source"].partition("#")[0]: item["reason"] for item in told["quarantined"]} == lost
    assert {warning["code"] for warning in told["warnings"]} >= warned
