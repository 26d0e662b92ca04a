# ruff: noqa: INP001, T201 - a script beside the documents; printing is its work
"""Takes the pictures of the Dagster UI that the documents show. By hand: `.venv/bin/python docs/take_pictures.py`.

Builds the sample dataset under /srv (so that pictures show no personal paths), serves it, looks at it, removes it.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from video_assets_tests.browser.browsing import Page, browse, serve, wait_until  # noqa: E402

IMAGES = PROJECT / "docs" / "images"
MAX_BYTES = 250_000
WIDTH = 1400
SETTINGS = ("plan.clips_per_shard=12", "plan.encoding.resolution=172")


def main() -> int:
    """Takes all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--place", type=Path, default=Path("/srv"), help="where videos and datasets lie meanwhile")
    place = parser.parse_args().place
    source, root = place / "videos", place / "datasets"
    taken = [folder for folder in (source, root) if folder.exists()]
    if taken:
        print(f"{', '.join(map(str, taken))} is there already; name another --place", file=sys.stderr)
        return 2
    try:
        _build(source, root)
        with tempfile.TemporaryDirectory(prefix="pictures-") as folder, serve(source, root, Path(folder, "log")) as ui:
            ui.wait_until_loaded()
            with browse(Path(folder, "profile"), width=WIDTH) as page:
                _take(page, ui.url)
    finally:
        shutil.rmtree(source, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)
    return 0


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

    page.open(f"{url}/assets/train_shards?view=checks&checkDetail=shard_matches_source", "Evaluation result", "Passed")
    page.click_last("Partitions")
    page.wait_for("Skipped (0)", "train-00001")
    page.click_last("train-00001")
    page.wait_for("what_was_found")
    _save(page, "checks")

    _resize(page, 1640)
    page.open(f"{url}/assets/manifest?view=events", "clips_by_class", "quarantine")
    _save(page, "manifest")


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
