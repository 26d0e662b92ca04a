"""The YAML of docs/DAGSTER.md, the package as a wheel, and the commands of `dg` in a project that has it as that."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml

from video_assets import VideoDatasetComponent
from video_assets.pipeline.dataset_state import committed_counts
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.videos import clip_seed, write_class, write_video

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "DAGSTER.md").read_text("utf-8")
COMPONENTS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [shlex.split(line) for line in re.findall(r"^dg .*$", PAGE, re.MULTILINE)]
PROJECT = """
[project]
name = "theirs"
version = "0.1.0"
[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "theirs"
"""
DEFINITIONS = """
from pathlib import Path
import dagster as dg

@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


TRAINING = """
import dagster as dg

DATASET = dg.AssetKey(["ucf101", "dataset"])

@dg.asset(deps=[DATASET])
def model(context: dg.AssetExecutionContext) -> None:
    told = context.instance.get_latest_materialization_event(DATASET).asset_materialization.metadata
    with open(TRAINED, "a") as file:
        file.write(f"{told['version_dir'].value} {told['records'].value}\\n")
"""


@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")
@pytest.mark.parametrize("text", COMPONENTS, ids=lambda text: text.splitlines()[0])
def test_the_yaml_of_the_page_is_a_dataset(text: str) -> None:
    component = yaml.safe_load(text)
    assert component["type"] == "video_assets.VideoDatasetComponent"
    made = VideoDatasetComponent.resolve_from_yaml(yaml.safe_dump(component["attributes"]))
    definitions = made.build_defs(dg.ComponentTree.for_test().load_context)
    prefix = component["attributes"]["key_prefix"]
    assert dg.AssetKey([*prefix, "dataset"]) in definitions.resolve_asset_graph().get_all_asset_keys()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip would unpack its wheel, in a folder of its own."""
    builder = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    [wheel] = builder.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_has_what_an_instance_needs(installed: Path, tmp_path: Path) -> None:
    code = """
import video_assets, yaml
from pathlib import Path
from video_assets.defs.instance import prepare_home
from video_assets.storage.paths import DatasetPaths
home = prepare_home(DatasetPaths(Path("root"), "clips"))
print(video_assets.__file__, *yaml.safe_load((home / "dagster.yaml").read_text()))
"""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    environment.pop("DAGSTER_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    module, *keys = done.stdout.split()
    assert module == str(installed / "video_assets" / "__init__.py")
    assert {"concurrency", "run_monitoring", "run_retries"} <= set(keys)
    assert (installed / "video_assets" / "workspace.yaml").exists()


@dataclass(frozen=True)
class Project:
    """A project of `dg`, with the package installed, an instance, and an asset that trains on one of its datasets."""

    folder: Path
    environment: dict[str, str]

    def run(self, *commands: Sequence[str]) -> str:
        """Run commands at the same time, and return what they printed."""
        pipe = subprocess.PIPE
        at_work = [
            subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=self.environment, cwd=self.folder)
            for command in commands
        ]
        printed = ""
        for command, started in zip(commands, at_work, strict=True):
            out, err = started.communicate()
            assert started.returncode == 0, (command, out[-2000:], err[-2000:])
            printed += out
        return printed

    def fill_in(self, name: str, source: Path) -> None:
        """Fill in what was scaffolded, as a person does."""
        written = self.folder / "src" / "theirs" / "defs" / name / "defs.yaml"
        component = yaml.safe_load(written.read_text())
        component["attributes"] |= {
            "source": str(source),
            "root": str(self.folder / "root"),
            "encoding": {"num_frames": 2, "resolution": 32},
            "plan": {"clips_per_shard": 2},
            "workers": 1,
        }
        written.write_text(yaml.safe_dump(component))

    def num_encoded(self) -> dict[str, int]:
        """Clips that were encoded for each dataset since the beginning, as the instance was told."""
        with dg.DagsterInstance.from_config(self.environment["DAGSTER_HOME"]) as instance:
            return {
                name: sum(
                    int(str(record.asset_materialization.metadata["clips_encoded"].value))
                    for split in ("train", "test")
                    for record in instance.fetch_materializations(dg.AssetKey([name, f"{split}_shards"]), 100).records
                    if record.asset_materialization is not None
                )
                for name in ("ucf101", "listed")
            }

    def num_records(self, name: str) -> int:
        """Records of the committed dataset."""
        counts = committed_counts(DatasetPaths(self.folder / "root", name), "1.0.0")
        return sum(split["records"] for split in counts.values())


@pytest.fixture
def project(installed: Path, tmp_path: Path) -> Project:
    package = tmp_path / "src" / "theirs"
    (package / "defs").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for module in (package / "__init__.py", package / "defs" / "__init__.py"):
        module.touch()
    (package / "definitions.py").write_text(DEFINITIONS)
    (package / "defs" / "training.py").write_text(f"TRAINED = {str(tmp_path / 'trained.txt')!r}\n{TRAINING}")
    (tmp_path / "home").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(installed), str(tmp_path / "src")]),
        "VIRTUAL_ENV": str(Path(sys.executable).parents[1]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "DAGSTER_HOME": str(tmp_path / "home"),
        "DAGSTER_TELEMETRY": "0",
    }
    return Project(tmp_path, environment)


def write_listed(source: Path, clips: range) -> None:
    """Write videos of two classes into one folder, and the table that lists them."""
    rows = ["path,label"]
    for label in ("jump", "run"):
        for clip in clips:
            video = source / f"{label}{clip}.mp4"
            rows.append(f"{video.name},{label}")
            if not video.exists():
                write_video(video, clip_seed(label, 50, clip))
    (source / "clips.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(importlib.util.find_spec("dagster_dg_cli") is None, reason="dagster-dg-cli is not installed")
def test_a_project_of_dg_with_two_datasets_is_built_and_grows_by_the_commands_of_the_page(
    project: Project, tmp_path: Path
) -> None:
    folders, listed = tmp_path / "folders", tmp_path / "listed"
    for label in ("jump", "run"):
        write_class(folders, label, range(1, 4), range(1, 2))
    write_listed(listed, range(1, 4))
    scaffold, check, list_defs, launch = COMMANDS
    project.run(scaffold, [*scaffold[:-1], "listed"])
    project.fill_in("ucf101", folders)
    project.fill_in("listed", listed / "clips.csv")
    printed = project.run(check, list_defs)
    assert {"ucf101/train_shards", "listed/train_shards", "model"} <= set(re.findall(r"[\w/]+", printed))

    launch_both = (launch, [*launch[:-1], "listed__build_dataset"])
    project.run(*launch_both)
    assert project.num_encoded() == {"ucf101": 6, "listed": 6}
    write_video(folders / "run" / "v_run_g77_c01.mp4", seed=1)
    write_listed(listed, range(1, 5))
    project.run(*launch_both)
    assert project.num_encoded() == {"ucf101": 6 + 1, "listed": 6 + 2}
    assert {name: project.num_records(name) for name in ("ucf101", "listed")} == {"ucf101": 7, "listed": 8}

    project.run(["dg", "launch", "--assets", "model"])
    version = DatasetPaths(tmp_path / "root", "ucf101").version("1.0.0").directory
    assert (tmp_path / "trained.txt").read_text() == f"{version} 7\n"
