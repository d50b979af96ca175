"""How many components there are: parallel analysis, shares, and a rest for SPE."""

import numpy as np
import pytest

from streampca import CheckpointStore, StreamingPCA
from streampca.monitor import Monitor
from streampca.solvers import parallel_count


def factors(m, n, k, seed, strength=1.5):
    """Rows (m, n) of k common causes and noise of every feature's own."""
    rng = np.random.default_rng(seed)
    mix = np.linalg.qr(rng.normal(size=(n, max(k, 1))))[0].T * np.sqrt(n) * strength
    return rng.normal(size=(m, k)) @ mix[:k] + rng.normal(size=(m, n))


def chance(m, n, draws=200, seed=5):
    """Horn's analysis as he did it: eigenvalues of that many rows of noise, drawn and solved."""
    rng = np.random.default_rng(seed)
    values = [np.linalg.eigvalsh(np.corrcoef(rng.normal(size=(n, m)))) for _ in range(draws)]
    return np.quantile(np.array(values)[:, ::-1], 0.95, axis=0)


@pytest.mark.parametrize(("m", "n"), [(100, 8), (500, 20), (60, 40), (30, 60)])
def test_chance_is_that_of_rows_that_are_drawn_and_solved(m, n):
    wanted = chance(m, n)
    for place in (0, min(m, n) // 4):
        for factor, above in ((1.08, True), (0.92, False)):
            values = np.full(n, 1e9)
            values[place] = wanted[place] * factor
            count = parallel_count(values, np.ones(n), m - 1, scaled=True)
            assert (count > place) == (above or place == 0), (place, factor)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("k", [1, 3, 6])
@pytest.mark.parametrize(("m", "n"), [(200, 12), (3000, 30), (80, 100)])
def test_common_causes_are_counted(m, n, k, scale):
    counts = [
        StreamingPCA("parallel", scale=scale).fit(factors(m, n, k, seed)).n_components_
        for seed in range(5)
    ]
    assert counts.count(k) >= 4
    assert max(counts) <= k + 1


def test_of_noise_alone_one_is_kept_mostly():
    counts = [
        StreamingPCA("parallel", scale=True).fit(factors(200, 15, 0, s)).n_components_
        for s in range(30)
    ]
    assert np.mean(np.array(counts) > 1) <= 0.2
    assert min(counts) == 1


def test_units_do_not_matter_with_scale_and_constants_are_left_out():
    X = factors(400, 12, 3, 0)
    X = np.hstack([X, np.full((400, 2), 7.0)]) * 10.0 ** np.arange(-7, 7)
    assert StreamingPCA("parallel", scale=True).fit(X).n_components_ == 3


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_have_one_component(rows):
    X = factors(rows, 5, 2, 0)
    assert StreamingPCA("parallel", scale=True).fit(X).n_components_ == 1
    assert StreamingPCA("parallel").fit(X).n_components_ == 1


def test_the_number_follows_the_stream_and_weights_count():
    X = factors(2000, 10, 3, 1, strength=0.45)
    pca = StreamingPCA("parallel", scale=True)
    counts = [pca.partial_fit(X[i : i + 20]).n_components_ for i in range(0, 2000, 20)]
    assert counts[-1] == 3
    assert counts[0] < 3  # twenty rows do not show three causes as weak as these
    light = StreamingPCA("parallel", scale=True).fit(X[:100], sample_weight=np.full(100, 0.01))
    assert light.n_components_ == StreamingPCA("parallel", scale=True).fit(X[:100]).n_components_


@pytest.mark.parametrize("bad", ["paralel", "mle", "", True, 1.0, 0.0, -1, np.nan])
def test_what_is_no_number_of_components_is_refused(bad):
    with pytest.raises(ValueError, match='"parallel" or None'):
        StreamingPCA(bad).fit(np.eye(4))


# --- the monitor -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["all components", "low rank", "two features"])
@pytest.mark.parametrize("method", ["jackson-mudholkar", "saddlepoint", "box", "empirical"])
def test_a_model_that_leaves_nothing_out_has_no_limit_of_spe(kind, method):
    X = factors(300, 6, 2, 0)
    p = None
    if kind == "low rank":
        X, p = X[:, :3] @ np.random.default_rng(0).normal(size=(3, 6)), 3
    elif kind == "two features":
        X = X[:, :2]
    monitor = Monitor(StreamingPCA(p).fit(X)).calibrate(X)
    with pytest.raises(ValueError, match=r"leave nothing for SPE.*n_components=\"parallel\""):
        monitor.spe_limit(0.99, method)
    with pytest.raises(ValueError, match="leave nothing for SPE"):
        monitor.assess(X)
    assert np.isfinite(monitor.t2_limit(0.99))  # along the components there is something to say


@pytest.mark.parametrize(("asked", "kept"), [(2, 2), ("parallel", 2), ("auto", 2), (0.3, 1)])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("moments", [True, False])
def test_a_monitor_of_the_first_components_is_that_of_a_model_of_so_many(
    asked, kept, scale, moments
):
    X = factors(500, 8, 2, 3) * np.linspace(1, 1.2, 8)
    full = StreamingPCA(scale=scale).fit(X).checkpoint()
    monitor = Monitor(full if moments else full.without_moments(), n_components=asked)
    other = Monitor(StreamingPCA(kept, scale=scale).fit(X))
    assert monitor.n_components == kept
    np.testing.assert_allclose(monitor.spe(X), other.spe(X), rtol=1e-8)
    np.testing.assert_allclose(monitor.t2(X), other.t2(X), rtol=1e-8)
    assert monitor.spe_limit(0.99) == pytest.approx(other.spe_limit(0.99))
    assert monitor.t2_limit(0.99) == pytest.approx(other.t2_limit(0.99))
    new = factors(4000, 8, 2, 3) * np.linspace(1, 1.2, 8)
    assert 0.003 < (monitor.spe(new) > monitor.spe_limit(0.99)).mean() < 0.03


def test_auto_takes_all_components_where_they_leave_a_rest():
    assert (
        Monitor(StreamingPCA(5).fit(factors(300, 8, 2, 0)), n_components="auto").n_components == 5
    )


@pytest.mark.parametrize("bad", [0, 9, -1, 1.5, True, "all", 0.0])
def test_a_number_that_the_model_does_not_have_is_refused(bad):
    with pytest.raises(ValueError, match="whole number from 1 to 8"):
        Monitor(StreamingPCA().fit(factors(100, 8, 2, 0)), n_components=bad)


def test_score_of_a_model_with_all_components_does_not_alarm_on_everything(tmp_path, monkeypatch):
    import json

    from typer.testing import CliRunner

    from streampca.cli.commands import app

    monkeypatch.chdir(tmp_path)
    X = factors(2000, 6, 2, 0)
    np.savetxt("rows.csv", X, delimiter=",", header="a,b,c,d,e,f", comments="")

    def run(*arguments):
        found = CliRunner().invoke(app, list(arguments))
        assert found.exit_code == 0, found.stderr
        return found

    run("fit", "rows.csv", "-o", "store", "-q")
    assert len(CheckpointStore("store").latest().components) == 6
    said = run("score", "store", "rows.csv", "--json")
    assert "the first 2 are used (parallel analysis)" in said.stderr
    assert 0 < json.loads(said.stdout)["n_alarms"] < 80
    own = run("score", "store", "rows.csv", "--json", "-n", "2")
    assert own.stdout == said.stdout
    assert "parallel" not in own.stderr
    run("fit", "rows.csv", "-o", "other", "-n", "parallel", "--scale", "-q")
    assert len(CheckpointStore("other").latest().components) == 2


@pytest.mark.parametrize(("n", "says"), [(1, "learn two features or more"), (2, "multiples")])
def test_what_cannot_be_followed_is_not_advised(n, says):
    rows = np.arange(9.0)[:, None] * np.ones(n)
    with pytest.raises(ValueError, match=f"leave nothing for SPE: .*{says}"):
        Monitor(StreamingPCA(1).fit(rows)).spe_limit()
