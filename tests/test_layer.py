"""The nested loss inside networks: closed-form gradients, order at the end, other targets."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds
from torch.autograd import gradcheck, gradgradcheck

from streampca import StreamingReducedRankRegression
from streampca.layer import NestedLinearAutoencoder, NestedMSELoss, nested_mse_loss
from streampca.loss import nested_loss_definition
from streampca.metrics import ordered_share

F64 = torch.float64


def tensors(m, n, p, seed=0, *, requires_grad=False):
    draws = torch.Generator().manual_seed(seed)
    shapes = [(m, p), (n, p), (m, n), (n,)]
    return [torch.randn(s, generator=draws, dtype=F64, requires_grad=requires_grad) for s in shapes]


def by_definition(latent, weight, target, bias):
    p = latent.shape[-1]
    cuts = [latent[..., :i] @ weight[:, :i].T + bias for i in range(1, p + 1)]
    return sum((target - cut).square().sum() for cut in cuts)


@settings(max_examples=40)
@given(m=st.integers(1, 9), n=st.integers(1, 9), p=st.integers(1, 9), seed=seeds)
def test_loss_and_gradients_equal_the_definition_s(m, n, p, seed):
    ours, theirs = (tensors(m, n, p, seed, requires_grad=True) for _ in range(2))
    loss = nested_mse_loss(*ours, reduction="sum")
    expected = by_definition(*theirs)
    torch.testing.assert_close(loss, expected)
    (3 * loss).backward()
    (3 * expected).backward()
    scale = max(t.grad.abs().max() for t in theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-12 * float(scale))


@pytest.mark.parametrize("needed", range(1, 16))
def test_gradcheck_for_every_choice_of_tensors_that_need_gradients(needed):
    given_tensors = tensors(5, 4, 3)
    for i, t in enumerate(given_tensors):
        t.requires_grad_(bool(needed >> i & 1))
    assert gradcheck(nested_mse_loss, given_tensors)


def test_gradcheck_without_bias_and_through_a_nonlinear_encoder():
    latent, weight, target, _ = tensors(5, 4, 3, requires_grad=True)
    assert gradcheck(lambda h, w, y: nested_mse_loss(torch.tanh(h), w, y), (latent, weight, target))


def test_mean_divides_by_the_entries_of_the_target_and_leading_dimensions_are_rows():
    latent, weight, target, bias = tensors(12, 4, 3)
    total = nested_mse_loss(latent, weight, target, bias, reduction="sum")
    torch.testing.assert_close(NestedMSELoss()(latent, weight, target, bias), total / 48)
    deep = latent.reshape(2, 2, 3, 3), weight, target.reshape(2, 2, 3, 4), bias
    torch.testing.assert_close(NestedMSELoss("sum")(*deep), total)


def test_one_component_is_the_mean_squared_error():
    latent, weight, target, bias = tensors(12, 4, 1)
    expected = torch.nn.functional.mse_loss(latent @ weight.T + bias, target)
    torch.testing.assert_close(nested_mse_loss(latent, weight, target, bias), expected)


def test_it_is_the_loss_of_the_paper():
    latent, weight, target, _ = tensors(12, 4, 3)
    expected = nested_loss_definition(weight, torch.eye(3, dtype=F64), latent.T, target.T)
    torch.testing.assert_close(nested_mse_loss(latent, weight, target, reduction="sum"), expected)


def test_second_derivatives_are_right_too():
    given_tensors = tensors(4, 3, 2, requires_grad=True)
    assert gradgradcheck(nested_mse_loss, given_tensors)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((5, 3), (4, 2), (5, 4), (4,)), "do not fit"),
        (((5, 3), (4, 3), (6, 4), (4,)), "do not fit"),
        (((5, 3), (4, 3), (5, 4), (3,)), r"bias has shape \(3,\): it must be \(4,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shapes, message):
    with pytest.raises(ValueError, match=message):
        nested_mse_loss(*(torch.zeros(s) for s in shapes))


def test_what_cannot_be_built_or_asked_is_refused():
    with pytest.raises(ValueError, match="reduction='none'"):
        nested_mse_loss(*tensors(2, 2, 2), reduction="none")
    with pytest.raises(ValueError, match="n_components=5 is more than the narrowest"):
        NestedLinearAutoencoder(9, 5, encoder_widths=[4])
    with pytest.raises(ValueError, match="at least 1 wide"):
        NestedLinearAutoencoder(9, 0)
    with pytest.raises(ValueError, match="the model has 2"):
        NestedLinearAutoencoder(9, 2)(torch.zeros(1, 9), n_components=3)


# --- trained ------------------------------------------------------------------------------------


def problem(n_in=6, n=None, m=400, seed=1):
    draws = np.random.default_rng(seed)
    X = draws.normal(size=(m, n_in)) * np.linspace(3, 1, n_in)
    X = X @ np.linalg.qr(draws.normal(size=(n_in, n_in)))[0] + 0.5
    if n is None:
        return X, X
    C = draws.normal(size=(n_in, n)) * np.linspace(2, 0.5, n)
    return X, X @ C + draws.normal(size=(m, n)) - 1.0


def trained(model, X, Y, steps=2000):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.998)
    X, Y = torch.tensor(X), torch.tensor(Y)
    for _ in range(steps):
        optimizer.zero_grad()
        model.loss(X, Y).backward()
        optimizer.step()
        schedule.step()
    return model


@pytest.mark.parametrize(
    ("n_in", "n", "deep"),
    [
        (6, None, {}),
        (6, 4, {}),
        (4, 7, {}),
        (6, None, {"encoder_widths": [8], "decoder_widths": [5, 6]}),
        (6, 4, {"encoder_widths": [5], "decoder_widths": [9]}),
    ],
)
def test_linear_layers_end_at_the_ordered_minimum(n_in, n, deep):
    X, Y = problem(n_in, n)
    torch.manual_seed(0)
    model = trained(NestedLinearAutoencoder(n_in, 3, n, **deep, dtype=F64), X, Y)
    exact = StreamingReducedRankRegression(3).fit(X, Y)
    assert ordered_share(model.components(), exact.decoder_.T, 0.999) == 1.0
    assert float(model.loss(torch.tensor(X), torch.tensor(Y)).detach()) == pytest.approx(
        exact.loss_ / Y.shape[1], rel=1e-3
    )
    with torch.no_grad():
        for k in (1, 2, 3):  # cut anywhere, it is the best model of that rank
            fit = model(torch.tensor(X), n_components=k).numpy()
            best = Y.mean(0) + (X - X.mean(0)) @ (exact.decoder_[:, :k] @ exact.encoder_[:k]).T
            assert ((Y - fit) ** 2).sum() <= 1.01 * ((Y - best) ** 2).sum() + 1e-3
        latent = model.encoder(torch.tensor(X)).numpy()
        assert np.abs(latent[:, 1:].mean(0) / latent[:, 1:].std(0)).max() < 0.05  # biases centre


def test_a_nonlinear_encoder_s_bottleneck_is_ordered_by_its_own_features():
    # the last layer before the bottleneck is linear, so Theorem 1 holds given what feeds it: the
    # pairs are those of the reduced-rank regression of the targets on the hidden features
    X, Y = problem(5, 4)
    torch.manual_seed(0)
    hidden = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh()).to(F64)
    bottleneck = NestedLinearAutoencoder(8, 2, 4, dtype=F64)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.bottleneck = hidden, bottleneck

        def loss(self, X, Y):
            return self.bottleneck.loss(self.hidden(X), Y)

    before = hidden[0].weight.detach().clone()
    trained(Network(), X, Y, steps=4000)
    assert not torch.equal(hidden[0].weight, before)  # end to end
    features = hidden(torch.tensor(X)).detach().numpy()
    exact = StreamingReducedRankRegression(2).fit(features, Y)
    assert ordered_share(bottleneck.components(), exact.decoder_.T, 0.99) == 1.0


def test_a_bottleneck_without_bias_learns_about_zero():
    X, Y = problem(5, 4)
    torch.manual_seed(0)
    model = trained(NestedLinearAutoencoder(5, 2, 4, bias=False, dtype=F64), X, Y)
    exact = StreamingReducedRankRegression(2, fit_intercept=False).fit(X, Y)
    assert ordered_share(model.components(), exact.decoder_.T, 0.999) == 1.0


def test_state_dict_device_and_dtype_are_torch_s_own():
    model = NestedLinearAutoencoder(5, 2, 4, encoder_widths=[3])
    again = NestedLinearAutoencoder(5, 2, 4, encoder_widths=[3])
    again.load_state_dict(model.state_dict())
    X = torch.randn(3, 5)
    torch.testing.assert_close(model(X), again(X))
    torch.testing.assert_close(model.decoder(model.encoder(X)), model(X))
    meta = NestedLinearAutoencoder(5, 2, 4, device="meta", dtype=torch.float32)
    loss = meta.loss(X.to("meta"), torch.zeros(3, 4, device="meta"))
    loss.backward()
    assert loss.device.type == "meta"
