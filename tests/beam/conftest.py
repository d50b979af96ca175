"""Fixtures for tests of pipelines."""

import engines
import pytest
import streams

_LATE = "ignore:.*(read_grpc_client_inputs|Rendezvous):pytest.PytestUnhandledThreadExceptionWarning"
"""grpcio: Beam's thread that reads from Prism still does when Prism has let its worker go."""


def pytest_generate_tests(metafunc):
    """A test of the fixture `engine` runs on every runner; by default on the first."""
    if "engine" in metafunc.fixturenames:
        needs = [m.args[0] for m in metafunc.definition.iter_markers("needs")]
        local = any(metafunc.definition.iter_markers("bundle_based"))
        params = []
        for name in engines.NAMES:
            lacks = [engines.LACKS[need][name] for need in needs if name in engines.LACKS[need]]
            marks = [pytest.mark.xfail(reason=lacks[0], strict=True)] if lacks else []
            if chance := engines.CHANCE.intersection(lacks):
                marks = [pytest.mark.skip(reason=min(chance))]
            if name in engines.ON_PRISM:
                marks.append(pytest.mark.filterwarnings(_LATE))
            if name != "direct" and not (local and name == "bundle_based"):
                marks.append(pytest.mark.engines)
            params.append(pytest.param(name, marks=marks, id=name))
        metafunc.parametrize("engine", params, indirect=True)


@pytest.fixture
def engine(request):
    """The runner of a test's pipelines: see `engines`."""
    name = request.param
    if name in engines.ON_PRISM and engines.prism_path() is None:
        pytest.skip("there is no Prism: make prism, which needs Go")
    engines.use(name)
    yield name
    engines.use("direct")


@pytest.fixture
def told(monkeypatch):
    """What counters are told from now on, by name, on runners that lose some of it."""
    for module in ("rows.blocks", "learning.pending", "learning.carry"):
        monkeypatch.setattr(f"beam_pipelines.{module}.Metrics", streams.Metrics)
    streams.TOLD.clear()
    return streams.TOLD
