"""An estimator crosses processes by fork, spawn, pickle and copy; same rows give same bits."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys

import numpy as np
import processes
import pytest
from extras import needs_torch, torch_for
from processes import KINDS, ROWS, digest, digest_of, go_on, learned, send, with_more

from streampca import StreamingPCA

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

EACH_KIND = torch_for(KINDS, lambda kind: kind == "first order")
METHODS = [
    m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()
]


@pytest.fixture(scope="module", params=METHODS)
def pool(request):
    """One other process, started in each of the ways there are."""
    context = multiprocessing.get_context(request.param)
    with context.Pool(1) as pool:
        yield pool


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", EACH_KIND)
def test_the_same_rows_and_seed_give_the_same_bits_here_and_in_another_process(pool, kind, dtype):
    here = digest_of(kind, dtype)
    assert digest_of(kind, dtype) == here
    assert pool.apply(digest_of, (kind, dtype)) == here


@pytest.mark.parametrize("kind", EACH_KIND)
def test_an_estimator_goes_on_in_another_process_as_it_would_have_here(pool, kind):
    there = pool.apply(go_on, (pickle.dumps(learned(kind)),))
    assert there == digest(with_more(learned(kind)))


@pytest.mark.parametrize("kind", EACH_KIND)
def test_a_child_has_its_own_copy(kind):
    if "fork" not in METHODS:
        pytest.skip("this system has no fork")
    context = multiprocessing.get_context("fork")
    pca = learned(kind)
    before, answers = digest(copy.deepcopy(pca)), context.SimpleQueue()
    child = context.Process(target=send, args=(pca, answers))
    child.start()
    learned_there = answers.get()
    child.join()
    assert digest(copy.deepcopy(pca)) == before
    assert digest(with_more(pca)) == learned_there != before


@pytest.mark.parametrize(
    "again",
    [
        copy.deepcopy,
        *(
            pytest.param(lambda x, p=p: pickle.loads(pickle.dumps(x, p)), id=f"pickle {p}")
            for p in (2, 5)
        ),
        pytest.param(
            lambda x: pickle.loads(
                pickle.dumps(x, 5, buffer_callback=(buffers := []).append),
                buffers=[bytes(buffer.raw()) for buffer in buffers],
            ),
            id="pickle out of band",
        ),
    ],
)
@pytest.mark.parametrize("kind", EACH_KIND)
def test_a_copy_goes_on_by_itself_bit_for_bit(kind, again):
    pca = learned(kind)
    other = again(pca)
    assert other.get_params() == pca.get_params()
    expected = digest(with_more(learned(kind)))
    assert digest(with_more(other)) == expected
    assert digest(with_more(pca)) == expected  # it did not learn with the copy


def test_an_estimator_that_has_seen_nothing_crosses_too():
    pca = StreamingPCA(3, half_life=9.0)
    for other in (copy.deepcopy(pca), pickle.loads(pickle.dumps(pca))):
        assert other.get_params() == pca.get_params()
        assert digest(other.partial_fit(ROWS)) == digest(StreamingPCA(3, half_life=9.0).fit(ROWS))


ANEW = "import processes, sys; print(processes.digest_of(sys.argv[1], sys.argv[2]))"


@pytest.mark.parametrize("seed", ["0", "1"])
def test_a_process_started_anew_gives_the_same_bits_whatever_its_hash_seed(seed):
    path = os.pathsep.join([os.path.dirname(processes.__file__), *filter(None, sys.path)])
    printed = subprocess.run(
        [sys.executable, "-c", ANEW, "factored", "float32"],
        env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == digest_of("factored", "float32")


@needs_torch
def test_another_seed_is_another_start():
    one, other = (
        StreamingPCA(3, solver="first_order", memory="minibatch", random_state=seed).fit(ROWS)
        for seed in (3, 4)
    )
    assert not np.array_equal(one.decoder_, other.decoder_)
