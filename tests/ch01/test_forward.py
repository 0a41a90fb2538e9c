"""The forward process: steps, jumps, what is left, and the claims of chapter 01 that are numbers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minidiff.process.forward import brightness_ratio, expand_like, prior_kl, q_sample, q_step, snr
from minidiff.process.schedules import alpha_bar_of, cosine_betas, linear_betas, scaled_linear_betas

BETAS = linear_betas()
ALPHA_BAR = alpha_bar_of(BETAS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@settings(max_examples=40, deadline=None)
@given(B=st.integers(1, 5), rest=st.lists(st.integers(1, 5), max_size=3), seed=st.integers(0, 999))
def test_jump_equals_the_loop_over_images_for_every_shape(B, rest, seed):
    g = generator(seed)
    x0, eps = (torch.randn(B, *rest, generator=g, dtype=torch.float64) for _ in range(2))
    t = torch.randint(0, 1001, (B,), generator=g)
    together = q_sample(x0, t, eps, ALPHA_BAR)
    for i, s in enumerate(t.tolist()):
        a = ALPHA_BAR[s].item()
        assert torch.allclose(together[i], a**0.5 * x0[i] + (1 - a) ** 0.5 * eps[i], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_jump_keeps_the_dtype_of_the_picture(dtype):
    x0 = torch.zeros(3, 1, 4, 4, dtype=dtype)
    assert q_sample(x0, torch.tensor([0, 5, 1000]), x0, ALPHA_BAR).dtype == dtype
    assert q_step(x0, 5, BETAS, generator()).dtype == dtype


def test_a_batch_as_wide_as_its_images_uses_the_time_of_each_image_not_of_each_column():
    t = torch.arange(0, 1000, 125)
    factors = q_sample(torch.ones(8, 1, 8, 8), t, torch.zeros(8, 1, 8, 8), ALPHA_BAR)
    assert torch.equal(factors, ALPHA_BAR[t].sqrt().float()[:, None, None, None].expand(8, 1, 8, 8))


def test_clean_data_stays_clean_bit_for_bit():
    x0 = torch.randn(4, 1, 8, 8, generator=generator())
    assert torch.equal(q_sample(x0, torch.zeros(4, dtype=torch.long), torch.randn_like(x0), ALPHA_BAR), x0)
    assert torch.equal(q_sample(x0, 0, torch.randn_like(x0), ALPHA_BAR), x0)


def test_small_noise_levels_keep_the_digits_of_float32():
    """1 - alpha_bar after the cast to float32 would have an error of 1e-4 at t = 1."""
    zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    assert q_sample(zero, 1, one, ALPHA_BAR).item() == pytest.approx(1e-2, rel=1e-7)


def test_jump_is_linear_in_picture_and_noise_and_lets_gradients_through():
    x0, eps = (torch.randn(2, 3, generator=generator(i), dtype=torch.float64).requires_grad_() for i in range(2))
    t = torch.tensor([3, 700])
    to_x0, to_eps = torch.autograd.grad(q_sample(x0, t, eps, ALPHA_BAR).sum(), [x0, eps])
    assert torch.allclose(to_x0**2 + to_eps**2, torch.ones_like(x0), atol=1e-14)
    assert torch.allclose(to_x0, ALPHA_BAR[t].sqrt()[:, None].expand(2, 3))


@pytest.mark.parametrize("t", [1, 10, 250, 1000])
def test_walking_and_jumping_agree_in_mean_and_variance_within_four_standard_errors(t):
    n, x = 100_000, torch.full((100_000,), 0.7)
    g = generator(t)
    for s in range(1, t + 1):
        x = q_step(x, s, BETAS, g)
    mean, variance = ALPHA_BAR[t].sqrt() * 0.7, 1 - ALPHA_BAR[t]
    assert abs(x.mean() - mean) < 4 * (variance / n) ** 0.5
    assert abs(x.var() / variance - 1) < 4 * (2 / n) ** 0.5


def test_walk_of_a_batch_with_a_time_for_each_image():
    betas = torch.tensor([0.0, 0.0, 1.0])
    x = torch.ones(2, 1, 50, 50)
    stepped = q_step(x, torch.tensor([1, 2]), betas, generator())
    assert torch.equal(stepped[0], x[0]) and abs(stepped[1].mean()) < 0.1 and abs(stepped[1].var() - 1) < 0.12


def test_a_step_draws_from_its_generator_only_and_exactly_once_for_each_number():
    x, state = torch.zeros(3, 7), torch.get_rng_state()
    drawn, counted = generator(3), generator(3)
    assert torch.equal(q_step(x, 9, BETAS, drawn), q_step(x, 9, BETAS, generator(3)))
    torch.randn(3, 7, generator=counted)
    assert torch.equal(drawn.get_state(), counted.get_state()) and torch.equal(state, torch.get_rng_state())


def test_nothing_changes_its_inputs():
    x0, eps, t, table = torch.ones(2, 1, 3, 3), torch.ones(2, 1, 3, 3), torch.tensor([1, 2]), ALPHA_BAR.clone()
    q_sample(x0, t, eps, table), q_step(x0, t, BETAS, generator()), prior_kl(x0, table[-1]), snr(table)
    assert (x0 == 1).all() and (eps == 1).all() and t.tolist() == [1, 2] and torch.equal(table, ALPHA_BAR)


def test_expand_like_shapes_a_batch_and_leaves_a_number_a_number():
    x = torch.zeros(2, 3, 4, 4)
    assert expand_like(ALPHA_BAR[torch.tensor([1, 2])], x).shape == (2, 1, 1, 1)
    assert expand_like(ALPHA_BAR[1], x).shape == () and expand_like(ALPHA_BAR[1], x).dtype == torch.float32
    assert expand_like(torch.ones(2), torch.zeros(2)).shape == (2,)


def test_frames_of_a_film_have_their_own_times_even_when_there_are_as_many_as_films():
    film = torch.zeros(3, 3, 1, 4, 4)
    assert expand_like(torch.rand(3, 3), film).shape == (3, 3, 1, 1, 1)
    with pytest.raises(ValueError, match="got 3 x 2 times for a batch of 3 x 3"):
        expand_like(torch.rand(3, 2), film)


@pytest.mark.parametrize("B", [1, 3, 4])
def test_a_wrong_number_of_times_is_refused(B):
    with pytest.raises(ValueError, match=f"one time per image: got {B} times for a batch of 2"):
        q_sample(torch.zeros(2, 1, 4, 4), torch.ones(B, dtype=torch.long), torch.zeros(2, 1, 4, 4), ALPHA_BAR)


def test_snr_falls_from_infinity_and_does_not_depend_on_scale():
    assert snr(ALPHA_BAR)[0] == float("inf") and (snr(ALPHA_BAR).diff()[1:] < 0).all()
    assert snr(torch.tensor(0.0)) == 0 and snr(torch.tensor(0.5)) == 1


@settings(max_examples=60, deadline=None)
@given(x0=st.floats(-1, 1), a=st.floats(1e-12, 0.999))
def test_prior_kl_is_never_negative_and_grows_with_what_is_left(x0, a):
    less, more = prior_kl(torch.tensor(x0), a / 2), prior_kl(torch.tensor(x0), a)
    assert 0 <= less <= more and more.dtype == torch.float64 and more.shape == ()


def test_prior_kl_agrees_with_the_average_over_draws():
    x0, a = torch.tensor(0.8, dtype=torch.float64), 0.3
    q = torch.distributions.Normal(a**0.5 * x0, (1 - a) ** 0.5)
    x = q.mean + q.stddev * torch.randn(200_000, generator=generator(), dtype=torch.float64)
    ratio = q.log_prob(x) - torch.distributions.Normal(0.0, 1.0).log_prob(x)
    assert abs(ratio.mean() - prior_kl(x0, a)) < 4 * ratio.std() / 200_000**0.5


@settings(max_examples=60, deadline=None)
@given(a=st.floats(0, 1), d=st.integers(1, 5000), sd=st.floats(0.01, 1))
def test_brightness_is_lost_exactly_when_real_brightness_spreads_more_than_noise(a, d, sd):
    ratio, s2 = brightness_ratio(a, d, sd), d * sd**2
    assert type(ratio) is float and (ratio <= 1 + 1e-12 if s2 >= 1 else ratio >= 1 - 1e-12)
    assert brightness_ratio(0.0, d, sd) == 1 and brightness_ratio(1.0, d, sd) == pytest.approx(1 / s2**0.5)


def test_brightness_of_the_schedules_of_the_course():
    def deterministic(betas):
        return brightness_ratio(alpha_bar_of(betas)[-1], d=784, sd=0.5)

    assert deterministic(scaled_linear_betas()) == pytest.approx(0.724, abs=5e-4)
    assert deterministic(linear_betas()) == pytest.approx(0.996, abs=5e-4)
    assert deterministic(cosine_betas()) == pytest.approx(1, abs=1e-6)
    with pytest.warns(UserWarning):
        assert deterministic(linear_betas(200)) == pytest.approx(0.193, abs=5e-4)


def test_what_chapter_01_says_in_words():
    """Half of the time above the noise, a quarter; six powers of ten; a quarter, an eighth, four fifths lost."""
    cosine, linear, sd = (alpha_bar_of(b) for b in (cosine_betas(), linear_betas(), scaled_linear_betas()))
    assert 490 < (snr(cosine) > 1).sum() < 505 and 240 < (snr(linear) > 1).sum() < 270
    assert 10**6 < sd[-1] / cosine[-1] < 10**6.5
    s2, a = 784 * 0.25, sd[-1].item()
    v = a * s2 + 1 - a
    assert brightness_ratio(a, 784, 0.5) < 0.75 and 1.8 < v < 2
    assert 1 - (a * s2 / v**2 + (1 - a) / v) ** 0.5 == pytest.approx(1 / 8, abs=0.005)
    with pytest.warns(UserWarning):
        short = alpha_bar_of(linear_betas(200))[-1]
    assert short.sqrt() > 1 / 3 and brightness_ratio(short, 784, 0.5) < 0.2
    reader = torch.distributions.Normal(0.0, 1.0).cdf(0.5 * (784 * snr(sd[-1])).sqrt())
    assert reader == pytest.approx(5 / 6, abs=0.01)
