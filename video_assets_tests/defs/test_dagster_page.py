"""The YAML of docs/DAGSTER.md, the package as a wheel, and the commands of `dg` in a project that has it as that."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import dagster as dg
import pytest
import yaml

from video_assets import VideoDatasetComponent

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


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(importlib.util.find_spec("dagster_dg_cli") is None, reason="dagster-dg-cli is not installed")
def test_the_commands_of_the_page_work_in_a_project(installed: Path, videos: Path, tmp_path: Path) -> None:
    package = tmp_path / "src" / "theirs"
    (package / "defs").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    for module in (package / "__init__.py", package / "defs" / "__init__.py"):
        module.touch()
    (package / "definitions.py").write_text(DEFINITIONS)
    (tmp_path / "home").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(installed), str(tmp_path / "src")]),
        "VIRTUAL_ENV": str(Path(sys.executable).parents[1]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "DAGSTER_HOME": str(tmp_path / "home"),
        "DAGSTER_TELEMETRY": "0",
    }
    said: dict[str, str] = {}
    for command in COMMANDS:
        if command[1:3] == ["check", "defs"]:  # what was scaffolded is filled in, as a person does
            written = package / "defs" / "ucf101" / "defs.yaml"
            component = yaml.safe_load(written.read_text())
            component["attributes"] |= {
                "source": str(videos),
                "root": str(tmp_path / "root"),
                "encoding": {"num_frames": 2, "resolution": 32},
                "workers": 1,
            }
            written.write_text(yaml.safe_dump(component))
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
        said[" ".join(command[1:3])] = done.stdout
    assert "ucf101/train_shards" in said["list defs"]
    assert (tmp_path / "root" / "ucf101" / "1.0.0" / "dataset_info.json").exists()
