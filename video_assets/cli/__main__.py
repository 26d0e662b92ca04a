"""`python -m video_assets.cli` is `video-assets`."""

import sys

from video_assets.cli import main

sys.exit(main())
