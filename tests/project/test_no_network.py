"""Importing and running ask no other machine for anything."""

import shutil
import subprocess

import children
import pytest

# Raised where a socket is opened to anywhere, or a name is looked up. In a process of its own,
# since an audit hook stays for good.
WATCH = """
import sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname",
                 "urllib.Request", "ftplib.connect", "smtplib.connect", "http.client.connect"):
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(watch)
"""

IMPORTS = """
import importlib, pkgutil
import streampca, beam_pipelines

for package in (streampca, beam_pipelines):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ImportError as error:  # without torch the layer and its solvers say so
            if error.name != "torch":
                raise
"""

LEARN = """
import tempfile
import numpy as np
from streampca import CheckpointStore, StreamingPCA
from streampca.river import PCA

rows = np.random.default_rng(0).normal(size=(500, 5))
store = CheckpointStore(tempfile.mkdtemp())
store.write(StreamingPCA(2).partial_fit(rows).checkpoint())
assert StreamingPCA.from_checkpoint(store.latest()).transform(rows).shape == (500, 2)
pca = PCA(2)
for row in rows.tolist():
    pca.learn_one(dict(enumerate(row)))
assert len(pca.components_) == 2
"""

PIPELINE = """
import tempfile
import apache_beam as beam
import numpy as np
from beam_pipelines import LearnComponents, WriteCheckpoints
from streampca import CheckpointStore

store = tempfile.mkdtemp()
with beam.Pipeline("FnApiRunner") as pipeline:
    rows = pipeline | beam.Create(list(np.random.default_rng(0).normal(size=(200, 4))))
    _ = rows | LearnComponents(2) | WriteCheckpoints(store)
assert CheckpointStore(store).latest().n_samples_seen == 200
"""


def test_the_watch_sees_what_it_is_for():
    with pytest.raises(AssertionError, match=r"RuntimeError: urllib\.Request"):
        children.run(WATCH + "import urllib.request; urllib.request.urlopen('http://example.org')")


def may_unshare():
    command = ["unshare", "--net", "--map-root-user", "true"]
    return shutil.which("unshare") and not subprocess.run(command, capture_output=True).returncode


def test_no_socket_is_connected_and_no_name_looked_up():
    """Below Python there is none either, where Linux allows it: not even the loopback device."""
    alone = ("unshare", "--net", "--map-root-user") if may_unshare() else ()
    children.run(WATCH + IMPORTS + LEARN + PIPELINE, prefix=alone)
