"""How much each noise level counts in the loss: one weight on the error of x0, whatever the network predicts.

A weight is a function of the SNR alone, and multiplies |x0 error|^2. Because of the one identity
|x0 error|^2 = (sigma / d)^2 |output error|^2, with d = alpha B - sigma A, `loss_weight` carries it over to any target.
"""

import torch

LEAST = 1e-12  # alpha and sigma are kept above it: where one of them is 0, a weight is the limit


def constant(snr):
    """Weight 1: every error of x0 counts alike. The plain loss of x0-prediction. (N,) or () -> the same shape."""
    return torch.ones_like(snr)


def snr_weight(snr):
    """Weight SNR: the plain loss of eps-prediction, L_simple (Ho et al. 2020, eq. 14). Any shape -> the same."""
    return snr


def snr_plus_one(snr):
    """Weight SNR + 1: the plain loss of v-prediction where alpha^2 + sigma^2 = 1 (Salimans and Ho 2022, section 4)."""
    return snr + 1


def truncated_snr(snr):
    """Weight max(SNR, 1): noise counts as much as x0 and eps at equal strength do (Salimans and Ho 2022, eq. 9)."""
    return snr.clamp(min=1)


def min_snr(snr, gamma=5.0):
    """Weight min(SNR, gamma): clear pictures count no more than those at SNR = gamma (Hang et al. 2023, eq. 8)."""
    return snr.clamp(max=gamma)


def p2(snr, k=1.0, gamma=1.0):
    """Weight SNR / (k + SNR)^gamma: L_simple, with less weight on clear pictures (Choi et al. 2022, eq. 8)."""
    return snr / (k + snr) ** gamma


def edm(snr, sigma_data=0.5):
    """Weight SNR + 1 / sigma_data^2: the lambda(sigma) of EDM, sigma = 1 / sqrt(SNR) (Karras et al. 2022, table 1)."""
    return snr + 1 / sigma_data**2


def sigmoid(snr, b=0.0):
    """Weight SNR sigmoid(b - log SNR) = SNR / (1 + e^-b SNR): a smooth min(SNR, e^b) (Hoogeboom et al. 2024, SiD2)."""
    return snr / (1 + snr * torch.exp(torch.as_tensor(-b, dtype=snr.dtype)))


def loss_weight(weight, target, alpha, sigma):
    """The weight on the squared error of a network's answer that is `weight` on the squared error of x0.

    weight: function of the SNR; target: what the network predicts; alpha, sigma: () or (B,). Returns float64 of that
    shape: weight(SNR) (sigma / d)^2, or its limit where alpha or sigma is 0. Raises ValueError where that is infinite.
    """
    alpha, sigma = alpha.double().clamp(min=LEAST), sigma.double().clamp(min=LEAST)
    d = alpha * target.B(alpha, sigma) - sigma * target.A(alpha, sigma)
    weights = weight((alpha / sigma) ** 2) * (sigma / d) ** 2
    if (weights > 1 / LEAST).any():
        end = "alpha = 0 (pure noise)" if (alpha <= LEAST).any() else "sigma = 0 (clean data)"
        raise ValueError("this weight on errors of x0 is infinite on errors "
                         f"of {target.name} at {end}: "
                         "take another weight or another target")
    return weights
