"""``python -m beam_pipelines.run``."""

import sys

from beam_pipelines.run import main

sys.exit(main())
