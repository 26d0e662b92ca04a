"""The process of `video-assets`, also as `python -m video_assets.cli`."""

import os
import sys
from typing import NoReturn

from video_assets.cli import main


def run() -> NoReturn:
    """Run the command of this process, and end the process."""
    exit_code = main()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # Python would look once more at every object of TensorFlow and Dagster, and free each: a second or two of a core.
    os._exit(exit_code)


if __name__ == "__main__":
    run()
