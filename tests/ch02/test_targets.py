"""eps, x0 and v are one algebra: there and back, and where there is no way back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.process.forward import q_sample
from minidiff.process.schedules import alpha_bar_of, cosine_betas, linear_betas
from minidiff.process.targets import EPS, V, X0, from_target, predict_x0, to_target

ALPHA_BAR = alpha_bar_of(linear_betas())
every_target = pytest.mark.parametrize("target", [EPS, X0, V], ids=lambda target: target.name)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def levels(t, alpha_bar=ALPHA_BAR):
    return alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()


@given(angles=st.lists(st.floats(0.01, 1.56), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_every_round_trip_finds_picture_and_noise_again(angles, seed):
    angle = torch.tensor(angles, dtype=torch.float64)
    alpha, sigma = angle.cos(), angle.sin()
    x0, eps = normal(2, len(angles), 1, 3, 3, seed=seed)
    x_t = alpha[:, None, None, None] * x0 + sigma[:, None, None, None] * eps
    for target in (EPS, X0, V):
        back_x0, back_eps = from_target(target, to_target(target, x0, eps, alpha, sigma), x_t, alpha, sigma)
        assert (back_x0 - x0).abs().max() < 1e-5 and (back_eps - eps).abs().max() < 1e-5


@given(st.integers(1, 900))
def test_round_trips_hold_in_float32(t):
    """Up to t = 900: there alpha is 0.018, and an error of 1e-7 in x_t becomes 1e-5 in x0."""
    alpha, sigma = levels(t)
    x0, eps = normal(2, 2, 1, 4, 4, dtype=torch.float32).clamp(-1, 1)
    x_t = q_sample(x0, t, eps, ALPHA_BAR)
    for target in (EPS, X0, V):
        back, _ = from_target(target, to_target(target, x0, eps, alpha, sigma), x_t, alpha, sigma)
        assert back.dtype == torch.float32
        assert (back - x0).abs().max() < 1e-5 * max(1, 0.2 / float(alpha))


@every_target
def test_what_comes_back_adds_up_to_x_t_even_for_a_wrong_answer(target):
    t = torch.tensor([1, 300, 1000])
    alpha, sigma = levels(t)
    x_t, out = normal(2, 3, 1, 2, 2)
    x0, eps = from_target(target, out, x_t, alpha, sigma)
    again = alpha[:, None, None, None] * x0 + sigma[:, None, None, None] * eps
    assert torch.allclose(again, x_t, rtol=1e-9, atol=1e-10)


@every_target
def test_times_of_images_do_not_mix_when_the_batch_is_as_wide_as_the_image(target):
    t = torch.arange(100, 900, 100)
    alpha, sigma = levels(t)
    out, x_t = normal(2, 8, 1, 8, 8)
    x0, eps = from_target(target, out, x_t, alpha, sigma)
    y = to_target(target, x0, eps, alpha, sigma)
    for i in range(8):
        one = from_target(target, out[i:i + 1], x_t[i:i + 1], alpha[i], sigma[i])
        assert torch.allclose(x0[i], one[0][0]) and torch.allclose(eps[i], one[1][0])
        assert torch.allclose(y[i], to_target(target, x0[i:i + 1], eps[i:i + 1], alpha[i], sigma[i])[0])


def test_eps_says_nothing_at_zero_terminal_snr_and_v_stays_finite():
    alpha, sigma = torch.tensor([0.6, 0.0]).double(), torch.tensor([0.8, 1.0]).double()
    out, x_t = normal(2, 2, 1, 3, 3)
    with pytest.raises(ValueError, match="eps does not determine x0 and eps at alpha = 0"):
        from_target(EPS, out, x_t, alpha, sigma)
    for target in (V, X0):
        x0, eps = from_target(target, out, x_t, alpha, sigma)
        assert x0.isfinite().all() and eps.isfinite().all()
        assert x0.abs().max() <= max(out.abs().max(), x_t.abs().max()) * 2**0.5


def test_x0_says_nothing_about_the_noise_of_clean_data():
    one, zero = torch.tensor(1.0), torch.tensor(0.0)
    with pytest.raises(ValueError, match="x0 does not determine x0 and eps at sigma = 0"):
        from_target(X0, normal(1, 2), normal(1, 2), one, zero)
    x0, eps = from_target(V, torch.full((1, 2), 3.0), torch.full((1, 2), 2.0), one, zero)
    assert (x0 == 2).all() and (eps == 3).all()


def test_v_is_a_rotation():
    """(x_t, v) is (x0, eps) turned by the angle whose cosine is alpha: lengths stay."""
    alpha, sigma = levels(torch.arange(0, 1001, 50))
    x0, eps = normal(2, 21, 7)
    x_t, v = alpha[:, None] * x0 + sigma[:, None] * eps, to_target(V, x0, eps, alpha, sigma)
    assert torch.allclose(x_t**2 + v**2, x0**2 + eps**2, rtol=1e-12)
    back_x0, back_eps = from_target(V, v, x_t, alpha, sigma)
    assert torch.allclose(back_x0, alpha[:, None] * x_t - sigma[:, None] * v, rtol=1e-12)
    assert torch.allclose(back_eps, sigma[:, None] * x_t + alpha[:, None] * v, rtol=1e-12)


def test_predict_x0_is_the_eps_row_of_the_table():
    t = torch.tensor([1, 20, 500, 1000])
    x_t, eps = normal(2, 4, 1, 3, 3)
    x0, again = from_target(EPS, eps, x_t, *levels(t))
    assert torch.allclose(predict_x0(x_t, t, eps, ALPHA_BAR), x0, rtol=1e-12) and torch.equal(again, eps)


def test_predict_x0_is_exact_at_t_0_and_precise_at_small_t():
    x0, eps = normal(2, 3, 5, dtype=torch.float32)
    assert torch.equal(predict_x0(x0, 0, eps, ALPHA_BAR), x0)
    assert (predict_x0(q_sample(x0, 1, eps, ALPHA_BAR), 1, eps, ALPHA_BAR) - x0).abs().max() < 1e-6


def test_predict_x0_refuses_pure_noise_also_for_one_image_of_a_batch():
    alpha_bar = alpha_bar_of(cosine_betas(20, largest=1.0))
    x = normal(2, 3)
    with pytest.raises(ValueError, match="pure noise"):
        predict_x0(x, torch.tensor([3, 20]), x, alpha_bar)
    assert predict_x0(x, 19, x, alpha_bar).isfinite().all()


def test_network_and_table_agree_on_the_dtype():
    alpha, sigma = levels(torch.tensor([4, 9]))
    x0 = normal(2, 3, dtype=torch.float16)
    assert to_target(V, x0, x0, alpha, sigma).dtype == torch.float16
