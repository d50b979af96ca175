"""Beam's Java side for tests: the service that knows ReadFromKafka, and the worker that runs it."""

import os
import shutil
from pathlib import Path

from engines import ROOT, start_server

JARS = Path(os.environ.get("BEAM_JARS", ROOT / "build/beam-java"))


def lacks():
    """Why it cannot be started here; None if it can."""
    if shutil.which("java") is None:
        return "there is no Java"
    if not list(JARS.glob("beam-sdks-java-io-kafka-*.jar")):
        return "there are no jars of Beam's Java side: make kafka-jars, which needs Maven"
    return None


def start():
    """A service of one's own, with a worker in its process; `stop` ends it."""
    name = "org.apache.beam.sdk.expansion.service.ExpansionService"
    given = ["java", "-Xmx512m", "-cp", f"{JARS}/*", name]
    return start_server(lambda port: [*given, str(port), "--alsoStartLoopbackWorker"], seconds=300)
