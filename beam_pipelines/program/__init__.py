"""A job as one asks for it: options, checks before it is submitted, its record."""

from beam_pipelines.program.arguments import NEEDED, parser
from beam_pipelines.program.bad_files import WriteBadFiles, bad_line
from beam_pipelines.program.job import Job, job_of, read_arguments, say
from beam_pipelines.program.progress import KeepProgress
from beam_pipelines.program.record import begin, end
from beam_pipelines.program.submission import check_workers
from beam_pipelines.program.topic_job import KafkaInput, grain_of, reach_of

__all__ = [
    "NEEDED",
    "Job",
    "KafkaInput",
    "KeepProgress",
    "WriteBadFiles",
    "bad_line",
    "begin",
    "check_workers",
    "end",
    "grain_of",
    "job_of",
    "parser",
    "reach_of",
    "read_arguments",
    "say",
]
