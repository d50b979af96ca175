"""A tensor is answered with a tensor, on its device."""

import numpy as np
import pytest

from streampca import StreamingPCA, StreamingReducedRankRegression

torch = pytest.importorskip("torch")

X = np.random.default_rng(0).normal(size=(300, 6)) * [6, 5, 4, 3, 2, 1] + 1
Y = X[:, :3] @ np.random.default_rng(1).normal(size=(3, 3))


@pytest.mark.parametrize("learned_from", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("dtype", "answer"),
    [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.int64, torch.float64),
    ],
)
def test_a_tensor_answers_with_a_tensor(learned_from, dtype, answer):
    rows = X if learned_from == "numpy" else torch.tensor(X)
    pca = StreamingPCA(3).fit(rows)
    given = torch.tensor(X).to(dtype)
    for tensors in (given, [given], given.clone().requires_grad_(given.is_floating_point())):
        Z = pca.transform(tensors)
        back = pca.inverse_transform(Z)
        scores = pca.score_samples(tensors)
        saved = pca.checkpoint().transform(tensors)
        assert {type(x) for x in (Z, back, scores, saved)} == {torch.Tensor}
        assert (Z.dtype, back.dtype, scores.dtype) == (answer, answer, torch.float64)
        assert not Z.requires_grad
        same = given.double().numpy().astype(str(answer).removeprefix("torch."))
        np.testing.assert_array_equal(Z, pca.transform(same))
        np.testing.assert_array_equal(saved, Z)
        np.testing.assert_array_equal(scores, pca.score_samples(same))
    assert isinstance(pca.score(given), float)
    assert isinstance(pca.components_, np.ndarray)
    assert isinstance(pca.fit_transform(given), torch.Tensor)
    assert isinstance(pca.transform(given[:0]), torch.Tensor)


def test_a_regression_answers_a_tensor_with_a_tensor():
    model = StreamingReducedRankRegression(2).fit(torch.tensor(X), torch.tensor(Y))
    for use in (model.predict, model.transform):
        assert isinstance(use(torch.tensor(X)), torch.Tensor)
        np.testing.assert_array_equal(use(torch.tensor(X)), use(X))
    single = StreamingReducedRankRegression(1).fit(torch.tensor(X), torch.tensor(Y[:, 0]))
    assert tuple(single.predict(torch.tensor(X)).shape) == (300,)
