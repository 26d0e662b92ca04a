"""Takes the pictures of the Dagster UI that the documents show. By hand: `.venv/bin/python tools/take_pictures.py`.

Builds the sample dataset under /srv (so that pictures show no personal paths), serves it, looks at it, lets it fail
and grow, removes it.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from video_assets.storage.paths import DatasetPaths  # noqa: E402
from video_assets_tests.browser.browsing import LAUNCHPAD, Page, browse  # noqa: E402
from video_assets_tests.browser.serving import Ui, serve, wait_until  # noqa: E402
from video_assets_tests.datasets import Built  # noqa: E402
from video_assets_tests.pipeline.damage import rewrite_shard, with_frames_turned_round  # noqa: E402

IMAGES = PROJECT / "docs" / "images"
MAX_BYTES = 250_000
WIDTH = 1400
SETTINGS = ("plan.clips_per_shard=12", "plan.encoding.resolution=172")
GROWTH_SECONDS = 300.0
"""Four ticks, half a minute apart, and the runs that they request."""


def main() -> int:
    """Takes all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--place", type=Path, default=Path("/srv"), help="where videos and datasets lie meanwhile")
    place = parser.parse_args().place
    source, root = place / "videos", place / "datasets"
    program = place / "video_assets"
    taken = [folder for folder in (source, root, program) if folder.exists()]
    if taken:
        print(f"{', '.join(map(str, taken))} is there already; name another --place", file=sys.stderr)
        return 2
    try:
        _install(program)
        _build(source, root)
        with tempfile.TemporaryDirectory(prefix="pictures-") as folder, serve(source, root, Path(folder, "log")) as ui:
            ui.wait_until_loaded()
            with browse(Path(folder, "profile"), width=WIDTH) as page:
                _take(page, ui.url)
                _take_launchpad_plan_and_dataset(page, ui.url)
                _take_card(page, root)
                _take_refused_encoding(page, ui)
                _take_failed_check(page, ui, root)
                _take_automation(page, ui, source)
    finally:
        program.unlink(missing_ok=True)
        shutil.rmtree(source, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)
    return 0


def _install(program: Path) -> None:
    """Errors show where the program lies: from now on it lies beside the videos."""
    program.parent.mkdir(parents=True, exist_ok=True)
    program.symlink_to(PROJECT)
    sys.executable = str(program / Path(sys.executable).relative_to(PROJECT))
    os.environ["PYTHONPATH"] = str(program)


def _build(source: Path, root: Path) -> None:
    command = [sys.executable, "-m", "video_assets.cli"]
    subprocess.run([*command, "sample", str(source)], check=True)
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    subprocess.run([*command, "build", "--source", str(source), "--root", str(root), *settings], check=True)


def _take(page: Page, url: str) -> None:
    page.open(f"{url}/asset-groups/", "videos", "dataset")
    _resize(page, 560)
    page.open(f"{url}/asset-groups/", "videos", "dataset")
    page.click_button("Hide navigation")
    # Without the list of assets the graph has the whole width; a double click beside it makes it fill that.
    page.click("//*[@placeholder='Jump to…']/following::button[1]")
    body = page.driver.find_element(By.TAG_NAME, "body")
    ActionChains(page.driver).move_to_element_with_offset(body, 0, 220).double_click().perform()
    _save(page, "asset-graph")

    _resize(page, 800)

    page.open(f"{url}/assets/train_shards?view=partitions&partition=train-00001", "sha256", "Missing (0)")
    _save(page, "partitions")
    page.open_picture()
    _save(page, "contact-sheet")

    page.open_check(
        f"{url}/assets/train_shards?view=checks&checkDetail=shard_matches_source", "train-00001", "Failed (0)"
    )
    page.wait_for("what_was_found")
    _save(page, "checks")

    page.open(f"{url}/assets/test_split?view=events", "balance_against_target")
    page.open_picture()
    _save(page, "balance")

    _resize(page, 2160)
    page.open(f"{url}/assets/manifest?view=events", "clips_by_class", "quarantine")
    _save(page, "manifest")


def _take_launchpad_plan_and_dataset(page: Page, url: str) -> None:
    _resize(page, 620)
    page.open(LAUNCHPAD.format(ui=url, job="build_dataset"), "Launch Run", "No errors", "All defaults expanded")
    _save(page, "launchpad")
    _resize(page, 1040)
    page.open(f"{url}/assets/plan?view=events", "clips_to_encode", "estimated_size")
    _save(page, "plan")
    page.open(f"{url}/assets/dataset?view=events", "card", "version_dir")
    body = page.driver.find_element(By.XPATH, "//*[text()='version_dir']")
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'end'})", body)
    _save(page, "dataset")


def _take_card(page: Page, root: Path) -> None:
    _resize(page, 1060)
    page.open((root / "clips" / "1.0.0" / "card.html").as_uri(), "Quarantine")
    _save(page, "card")


def _take_refused_encoding(page: Page, ui: Ui) -> None:
    run_id = ui.launch(["plan"], {"ops": {"plan": {"config": {"encoding": {"resolution": 64}}}}})
    assert ui.wait_for_run(run_id) == "FAILURE"
    _resize(page, 560)
    page.open(f"{ui.url}/runs/{run_id}?logs=type:STEP_FAILURE", "exists under another encoding", "new_version")
    page.click("//*[contains(text(), 'Levels')]/following::button[1]")  # gives the events the whole page
    _save(page, "encoding-refused")


def _take_failed_check(page: Page, ui: Ui, root: Path) -> None:
    _resize(page, 800)
    address = f"{ui.url}/assets/train_shards?view=checks&checkDetail="
    shards = root / "clips" / "1.0.0"
    wrong, turned = shards / "clips-train-00003.tfrecord", "train-00005"
    dataset = Built(root, DatasetPaths(root, "clips"))
    with _restored(wrong), _restored(dataset.shard(turned)), _restored(dataset.sidecar(turned)):
        wrong.write_bytes((shards / "clips-train-00004.tfrecord").read_bytes())
        rewrite_shard(dataset, turned, with_frames_turned_round)
        known = ui.run_ids()
        page.open(f"{address}shard_is_complete", "Execute all")
        ui.wait_for_run(page.click_button_until("Execute all", lambda: ui.new_run(known)))
    page.open_check(f"{address}shard_is_complete", "train-00003", "Failed (1)")
    page.wait_for("what_was_found", "is the clip", "planned is")
    _save(page, "check-failed")
    page.open_check(f"{address}shard_matches_source", turned)
    page.wait_for("what_was_found", "[Show Markdown]")
    page.open_picture()
    _save(page, "wrong-frames")


@contextmanager
def _restored(path: Path) -> Generator[None]:
    """Whatever happens to a file meanwhile."""
    content = path.read_bytes()
    try:
        yield
    finally:
        path.write_bytes(content)


def _take_automation(page: Page, ui: Ui, source: Path) -> None:
    video = min(source.glob("Grow/*_g01_*"))
    (source / "Grow" / "v_Grow_g77_c01.mp4").write_bytes(video.read_bytes() + b"\0")
    _turn_on(ui, "sensor", "Sensor", "new_videos", "missing_shards")
    _turn_on(ui, "schedule", "Schedule", "nightly", "nightly_refresh", "nightly_prune")

    def is_committed() -> bool:
        return any(run["jobName"] == "commit_dataset" and run["status"] == "SUCCESS" for run in ui.runs())

    wait_until("a commit that nobody called for", is_committed, GROWTH_SECONDS)
    _resize(page, 520)
    page.open(f"{ui.url}/automation", "new_videos", "missing_shards", "nightly", "nightly_refresh", "ago")

    def is_explained() -> bool:
        ticks = page.driver.find_elements(By.XPATH, "//*[text()='missing_shards']/following::*[@aria-label='status']")
        if len(ticks) == 2:  # Both sensors have nothing to do. What a tick says would cover the row above it.
            ActionChains(page.driver).move_to_element_with_offset(ticks[0], 2, 0).move_to_element(ticks[0]).perform()
        return "planned shards are committed" in page.text()

    wait_until("the sentence of the latest tick", is_explained)
    _save(page, "automation")


def _turn_on(ui: Ui, kind: str, graphql_kind: str, *names: str) -> None:
    for name in names:
        place = {"repositoryLocationName": "video_assets", "repositoryName": "__repository__", f"{kind}Name": name}
        text = f"start{graphql_kind}({kind}Selector: $place) {{ __typename ... on PythonError {{ message }} }}"
        answer = ui.query(f"mutation($place: {graphql_kind}Selector!) {{ {text} }}", place=place)
        found = answer[f"start{graphql_kind}"]
        assert found["__typename"] in ("Sensor", "ScheduleStateResult"), found


def _resize(page: Page, height: int) -> None:
    """Makes what the page is drawn on as wide as all pictures, and so high."""
    frame = page.driver.execute_script("return window.outerHeight - window.innerHeight")
    page.driver.set_window_size(WIDTH, height + frame)


def _save(page: Page, name: str) -> None:
    """Writes what the page shows once it stands still, in as few colours as keep it readable."""
    seen = [b"", b""]

    def stands_still() -> bool:
        seen[:] = [seen[1], page.driver.get_screenshot_as_png()]
        return seen[0] == seen[1]

    wait_until(f"{name} to stand still", stands_still)
    picture = Image.open(io.BytesIO(seen[1])).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    path = IMAGES / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(PROJECT)}: {picture.width}x{picture.height}, {size / 1000:.0f} kB")
    if size > MAX_BYTES:
        raise SystemExit(f"{path} is larger than {MAX_BYTES} bytes")


if __name__ == "__main__":
    sys.exit(main())
