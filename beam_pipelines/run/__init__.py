r"""The main job: files of rows in, checkpoints of ordered components out.

    python -m beam_pipelines.run --input 'plant/*.parquet' --timestamp-column time \
        --key-column press --window 1h --n-components 4 --output checkpoints

Any Beam pipeline option may follow, for example ``--runner=DataflowRunner``; by default everything
runs in this process on Beam's FnApiRunner, which needs no network.
"""

from beam_pipelines.run.arguments import NEEDED, parser
from beam_pipelines.run.job import job_of, read_arguments
from beam_pipelines.run.record import begin, end
from beam_pipelines.run.steps import build, learned, main, run

__all__ = [
    "NEEDED",
    "begin",
    "build",
    "end",
    "job_of",
    "learned",
    "main",
    "parser",
    "read_arguments",
    "run",
]
