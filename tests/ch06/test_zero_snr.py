"""Schedules: their ends, the clip of the cosine, and tables that are moved to end in pure noise."""

import pytest
import torch

from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.continuous import cosine_path, interpolated_path, vp_path
from minidiff.process.denoiser import denoiser_of
from minidiff.process.forward import brightness_ratio
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, cosine_betas, linear_betas, scaled_linear_betas
from minidiff.process.targets import EPS, V, X0, to_target
from minidiff.process.zero_snr import check_target, zero_snr
from minidiff.samplers.grids import spaced
from minidiff.samplers.step import ddim_step

BETAS = {"linear": linear_betas, "scaled linear": scaled_linear_betas, "cosine": cosine_betas}
every_schedule = pytest.mark.parametrize("betas", BETAS.values(), ids=BETAS)


@pytest.mark.parametrize("betas, left", [(linear_betas, 6.35e-3), (scaled_linear_betas, 6.83e-2),
                                         (cosine_betas, 4.9e-5)])
def test_what_three_schedules_leave_of_the_picture(betas, left):
    """Pitfall 1."""
    assert float(alpha_bar_of(betas())[-1].sqrt()) == pytest.approx(left, rel=6e-3)


def test_a_cosine_that_is_clipped_has_another_product_than_the_curve():
    """Pitfall 3: clip betas at 0.999, then take the product again. The curve itself would end at 0."""
    betas = cosine_betas()
    table = alpha_bar_of(betas)
    assert betas.max() == 0.999 and (betas == 0.999).sum() == 1
    torch.testing.assert_close(table, torch.cumprod(1 - betas, dim=0), rtol=0, atol=0)
    t = torch.arange(1001, dtype=torch.float64)
    curve = torch.cos((t / 1000 + 0.008) / 1.008 * torch.pi / 2) ** 2
    torch.testing.assert_close(table[:1000], (curve / curve[0])[:1000], rtol=1e-9, atol=0)
    assert curve[-1] < 1e-30 < 1e-9 < table[-1]
    assert alpha_bar_of(cosine_betas(20))[-1] == pytest.approx(float(alpha_bar_of(cosine_betas(20))[-2]) * 1e-3)


@every_schedule
def test_the_rescaled_table_ends_in_pure_noise_and_keeps_its_first_step(betas):
    """Lin et al. 2023, algorithm 1."""
    old = alpha_bar_of(betas())
    new = zero_snr(old)
    assert new[0] == 1 and new[-1] == 0 and new.dtype == torch.float64 and len(new) == len(old)
    assert new[1] == pytest.approx(float(old[1]), rel=1e-14)
    assert (new.diff() < 0).all() and (new[2:] < old[2:]).all()
    step_of_root = new[1:].sqrt().diff() / old[1:].sqrt().diff()  # one shift and one scale for all of the table
    torch.testing.assert_close(step_of_root, step_of_root[:1].expand(len(old) - 2), rtol=1e-6, atol=0)


@every_schedule
def test_the_rescaled_betas_are_those_of_an_independent_implementation(betas):
    ddim = pytest.importorskip("diffusers.schedulers.scheduling_ddim")
    new, theirs = zero_snr(alpha_bar_of(betas())), ddim.rescale_zero_terminal_snr(betas()[1:])
    torch.testing.assert_close(1 - new[1:] / new[:-1], theirs, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("alpha_bar", [[1.0, 0.0], [1.0, 0.004, 0.004], [1.0, float("nan"), 0.0]])
def test_a_table_that_cannot_be_rescaled_is_refused(alpha_bar):
    with pytest.raises(ValueError, match="falls over at least 2 steps, got"):
        zero_snr(torch.tensor(alpha_bar, dtype=torch.float64))


def test_a_table_that_ends_in_noise_already_stays():
    table = torch.tensor([1.0, 0.6, 0.1, 0.0], dtype=torch.float64)
    torch.testing.assert_close(zero_snr(table), table, rtol=1e-14, atol=0)


@pytest.mark.parametrize("path", [discrete_path(zero_snr(alpha_bar_of(linear_betas()))), cosine_path()],
                         ids=["table", "formula"])
def test_eps_on_a_path_that_ends_in_noise_is_refused_and_v_and_x0_are_not(path):
    """Pitfall 2, before training."""
    with pytest.raises(ValueError, match=r"the target eps cannot be used on a path that ends in pure noise "
                                         r"\(SNR = 0 at T = 10?0?0?\): .* predict v or x0"):
        check_target(EPS, path)
    check_target(V, path)
    check_target(X0, path)


def test_eps_is_welcome_where_a_little_of_the_picture_is_left():
    table = alpha_bar_of(cosine_betas())
    for path in (vp_path(), interpolated_path(table), discrete_path(table)):
        check_target(EPS, path)


def test_at_the_first_step_of_a_sampler_eps_raises_and_v_is_finite():
    """Pitfall 2, at sampling."""
    path, x = discrete_path(zero_snr(alpha_bar_of(linear_betas()))), torch.randn(2, 1, 3, 3)
    with pytest.raises(ValueError, match="eps does not determine x0 and eps at alpha = 0"):
        denoiser_of(lambda x, t: x, path, EPS)(x, torch.tensor(1000))
    x0, eps = denoiser_of(lambda x, t: x, path, V)(x, torch.tensor(1000))
    assert torch.equal(x0, -x) and torch.equal(eps, x)


# --- bright and dark pictures ---------------------------------------------------------------------------------------

D, SD = 784, 0.5


def walked(alpha_bar, eta, steps, generator=None):
    """Spread of brightness, generated over true, of pictures of one shade: 20,000 walks with the exact net for v."""
    shades, path = Gaussian(0, D * SD**2), discrete_path(alpha_bar)  # the coordinate sum(x) / sqrt(D) of a picture

    def net(x, t):  # answers with v, which says x0 at alpha = 0 too
        t = (t * path.T / 1000).round().long()
        x0 = shades.denoise(x, path.alpha(t), path.sigma(t))
        eps = (x - path.alpha(t) * x0) / path.sigma(t)
        return to_target(V, x0, eps, path.alpha(t), path.sigma(t))

    denoiser, times = denoiser_of(net, path, V), spaced(path.T, steps)
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x / x.std()
    for t, s in zip(times[:-1], times[1:]):
        x = ddim_step(*denoiser(x, t), t, s, path, eta=eta, generator=generator)
    return float(x.std()) / (D**0.5 * SD)


SD_TABLE = alpha_bar_of(scaled_linear_betas())


def test_stable_diffusions_schedule_loses_a_quarter_of_the_spread_of_brightness():
    assert brightness_ratio(SD_TABLE[-1], D, SD) == pytest.approx(0.724, abs=1e-3)
    assert walked(SD_TABLE, eta=0, steps=1000) == pytest.approx(0.724, abs=2e-3)
    ancestral = walked(SD_TABLE, eta=1, steps=1000, generator=torch.Generator().manual_seed(1))
    assert ancestral == pytest.approx(0.879, abs=0.02)


def test_a_table_that_ends_in_noise_gives_the_whole_spread_back():
    assert 0.995 < walked(zero_snr(SD_TABLE), eta=0, steps=1000) < 1  # what is missing is the price of finite steps
    assert walked(zero_snr(SD_TABLE), eta=0, steps=500) < walked(zero_snr(SD_TABLE), eta=0, steps=1000)
    ancestral = walked(zero_snr(SD_TABLE), eta=1, steps=1000, generator=torch.Generator().manual_seed(1))
    assert ancestral == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("pixels, kept", [(784, [1, 1, 0.95, 0.80]), (512 * 512 * 3, [1, 0.49, 0.09, 0.04])])
def test_a_sampler_that_starts_before_T_loses_brightness_on_a_repaired_table(pixels, kept):
    """The model answer of exercise 6.7."""
    repaired = zero_snr(SD_TABLE)
    found = [round(brightness_ratio(repaired[t], pixels, SD), 2) for t in (1000, 991, 951, 901)]
    assert found == kept
