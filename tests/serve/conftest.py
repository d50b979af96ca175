import contextlib
import socket
import threading

import numpy as np
import pandas as pd
import pytest
import uvicorn
from starlette.testclient import TestClient

from streampca import CheckpointStore, StreamingPCA
from streampca.serve import create_app

HOUR = 3_600_000_000
NAMES = ("oil", "air", "<b>load</b>")


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "store")


@pytest.fixture
def client(store):
    return TestClient(create_app(store), base_url="http://localhost")


@pytest.fixture
def fill():
    """Write hours of a model into a store; returns its checkpoints."""

    def write(store, key=None, hours=3, start=0, names=NAMES, ends=True, seed=0):
        rng, pca, written = np.random.default_rng(seed), StreamingPCA(2), []
        for hour in range(start + hours):
            rows = rng.normal(size=(50, 3)) * [3, 2, 1] + 10
            frame = {name: rows[:, i] for i, name in enumerate(names)} if names else rows
            pca.partial_fit(pd.DataFrame(frame) if names else frame)
            if hour >= start:
                when = {"window_end": HOUR * (hour + 1)} if ends else {"sequence": hour}
                checkpoint = pca.checkpoint(key=key, **when)
                written.append(checkpoint)
                store.write(checkpoint)
        return written

    return write


@pytest.fixture
def start(store):
    """Shows the store from a thread of this process while a block runs, and gives the port."""

    @contextlib.contextmanager
    def starting(port=0, rows=None, rules=None):
        app = create_app(store, rows=rows, rules=rules, is_stopping=lambda: server.should_exit)
        config = uvicorn.Config(
            app, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", port)) as listening:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            try:
                yield listening.getsockname()[1]
            finally:
                server.should_exit = True
                thread.join()

    return starting


@pytest.fixture
def port(start):
    with start() as port:
        yield port
