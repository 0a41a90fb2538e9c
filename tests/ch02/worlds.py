"""Data whose reverse process is known exactly, as oracles for the bound: never the code under test."""

import math

import torch


def line(T):
    """alpha_bar of DDPM's straight line, rescaled to T steps: (T + 1,) float64."""
    betas = torch.linspace(0.1 / T, 20 / T, T, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, dim=0)])


def even(T, first=9.0, last=-10.0):
    """alpha_bar with log SNR evenly spaced between two ends: (T + 1,) float64."""
    log_snr = torch.linspace(first, last, T, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), torch.sigmoid(log_snr)])


class Chain:
    """The joint Gaussians of x_0..x_T forward (q, data N(m, v)) and backward (p, the exact denoiser's steps).

    Built step by step with matrices from the definitions; no posterior, no KL and no SNR of the package enters.
    """

    def __init__(self, m, v, alpha_bar):
        self.T = T = len(alpha_bar) - 1
        beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
        self.q_mean, self.q_cov = alpha_bar.sqrt() * m, torch.empty(T + 1, T + 1, dtype=torch.float64)
        for s in range(T + 1):
            for t in range(s, T + 1):
                keep = (alpha_bar[t] / alpha_bar[s]).sqrt()
                self.q_cov[s, t] = self.q_cov[t, s] = keep * (alpha_bar[s] * v + 1 - alpha_bar[s])
        self.p_mean, self.p_cov = torch.zeros(T + 1).double(), torch.zeros(T + 1, T + 1).double()
        self.p_cov[T, T] = 1.0
        for t in range(T, 0, -1):
            slope, offset, spread = self._step(m, v, t, alpha_bar, beta[t - 1])
            self.p_mean[t - 1] = slope * self.p_mean[t] + offset
            self.p_cov[t - 1, t:] = self.p_cov[t:, t - 1] = slope * self.p_cov[t, t:]
            self.p_cov[t - 1, t - 1] = slope**2 * self.p_cov[t, t] + spread

    @staticmethod
    def _step(m, v, t, alpha_bar, beta):
        """x_{t-1} = slope x_t + offset + noise: Bayes with the guessed picture; at t = 1 the decoder's own spread."""
        a, a_s = alpha_bar[t], alpha_bar[t - 1]
        gain = a.sqrt() * v / (a * v + 1 - a)
        if t == 1:
            return gain, m - gain * a.sqrt() * m, v - gain * a.sqrt() * v
        precision = (1 - beta) / beta + 1 / (1 - a_s)
        to_x_t, to_x0 = (1 - beta).sqrt() / beta / precision, a_s.sqrt() / (1 - a_s) / precision
        return to_x_t + to_x0 * gain, to_x0 * (m - gain * a.sqrt() * m), 1 / precision

    def bound(self):
        """The mean over q of log q(x_1..x_T | x_0) - log p(x_0..x_T), in nats."""
        q_rest, _ = _given_first(self.q_cov)
        log_q = -0.5 * (torch.logdet(2 * math.pi * q_rest) + self.T)
        return log_q + cross_entropy(self.q_mean, self.q_cov, self.p_mean, self.p_cov)

    def gap(self):
        """The mean over data of KL(q(x_1..x_T | x_0) || p(x_1..x_T | x_0)), in nats."""
        (q_rest, q_slope), (p_rest, p_slope) = _given_first(self.q_cov), _given_first(self.p_cov)
        offset = (self.q_mean - self.p_mean)[1:] - p_slope * (self.q_mean - self.p_mean)[0]
        apart = torch.outer(offset, offset) + self.q_cov[0, 0] * torch.outer(q_slope - p_slope, q_slope - p_slope)
        ratio = torch.linalg.solve(p_rest, q_rest + apart)
        return 0.5 * (ratio.trace() - self.T + torch.logdet(p_rest) - torch.logdet(q_rest))

    def nll(self):
        """The mean over data of -log p(x_0), in nats."""
        return cross_entropy(self.q_mean[:1], self.q_cov[:1, :1], self.p_mean[:1], self.p_cov[:1, :1])


def cross_entropy(mean_1, cov_1, mean_2, cov_2):
    """The mean of -log N(x; mean_2, cov_2) over x from N(mean_1, cov_1)."""
    moved = cov_1 + torch.outer(mean_1 - mean_2, mean_1 - mean_2)
    return 0.5 * (torch.logdet(2 * math.pi * cov_2) + torch.linalg.solve(cov_2, moved).trace())


def _given_first(cov):
    """Covariance and slope of x_1..x_T given x_0."""
    slope = cov[1:, 0] / cov[0, 0]
    return cov[1:, 1:] - torch.outer(slope, cov[0, 1:]), slope
