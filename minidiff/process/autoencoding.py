"""What an autoencoder is trained for: pictures that come back, and a code that is no larger than it has to be."""

import torch


def kl_diag(mean, log_var):
    """KL(N(mean, exp(log_var)) || N(0, 1)) of each picture, summed over its numbers, in nats: (B, ...) -> (B,).

    By definition E_q[log q(z) - log p(z)]. With v = exp(log_var), the normalising constants 2 pi cancel and leave
    E_q[-log_var / 2 - (z - mean)^2 / (2 v) + z^2 / 2]; E_q (z - mean)^2 = v and E_q z^2 = mean^2 + v, so it is
    (mean^2 + v - 1 - log_var) / 2 (Kingma and Welling 2014, appendix B). exp(log_var) - 1 is computed at once, so that
    the KL of almost standard numbers has all its digits. Independent numbers: the KL of all is the sum of theirs.
    """
    return 0.5 * (mean.square() + torch.expm1(log_var) - log_var).flatten(1).sum(dim=1)


def vae_loss(picture, x, mean, log_var, weight):
    """(|picture - x|^2 + weight KL) / d of each picture of d numbers, in the mean over the batch.

    picture, x: (B, C, H, W); mean, log_var: (B, c, h, w). Both terms are sums over all numbers of a picture, divided by
    d together. Up to a constant it is 2 s^2 / d times the negative ELBO for pixels N(picture, s^2) with 2 s^2 = weight
    (Kingma and Welling 2014, eq. 10), and with weight / (2 s^2) as beta that of Higgins et al. 2017. Returns (scalar,
    logs), logs: "mse", the first term; "kl", nats a picture.
    """
    square, kl = (picture - x).square().flatten(1).sum(dim=1).mean(), kl_diag(mean, log_var).mean()
    d = x[0].numel()
    return (square + weight * kl) / d, {"mse": (square / d).detach(), "kl": kl.detach()}


def weight_of_sums(weight, d, k):
    """The weight between sums that does what `weight` does between means: mean error + weight mean KL, times d.

    d: numbers of a picture; k: numbers of its latents. The mean of the KL over k is the sum over k, and that of the
    error the sum over d; so the weight grows by d / k.
    """
    return weight * d / k


def vq_loss(picture, x, z, q, commitment=0.25):
    """Mean squares of picture - x, of q - z, and `commitment` times the latter (van den Oord et al. 2017, eq. 3).

    picture, x: (B, C, H, W); z, q: (B, c, h, w), the encoder's output and the codes in its place. The second term moves
    the codes to z, which stays; the third z to the codes, which stay: else the encoder could run away from them.
    Returns (scalar, logs).
    """
    mse = (picture - x).square().mean()
    codes, committed = (q - z.detach()).square().mean(), (z - q.detach()).square().mean()
    return mse + codes + commitment * committed, {"mse": mse.detach(), "committed": committed.detach()}


def perceptual_loss(some, others):
    """How unlike two pictures are to a net that has learned to see: the mean over layers of LPIPS (Zhang et al. 2018).

    some, others: lists of features (B, C_l, h_l, w_l), layer by layer. At each place the C_l numbers become a vector of
    length 1; the squared distances are averaged over places (their eq. 1, with all weights equal). Returns (B,), each
    in 0..4.
    """
    far = [(unit(a) - unit(b)).square().sum(dim=1).flatten(1).mean(dim=1) for a, b in zip(some, others, strict=True)]
    return torch.stack(far).mean(dim=0)


def unit(features):
    """Features (B, C, h, w), at each place divided by their length there; where all are 0 they stay 0."""
    return features / (features.square().sum(dim=1, keepdim=True) + 1e-10).sqrt()


def hinge_critic(real, fake):
    """What the critic minimises: it wants logits above 1 for real patches and below -1 for drawn ones; a scalar.

    real, fake: logits (B, 1, h, w) (Lim and Ye 2017; halved, as in Esser et al. 2021). 1 where it says 0 to all.
    """
    return 0.5 * (torch.relu(1 - real).mean() + torch.relu(1 + fake).mean())


def hinge_drawer(fake):
    """What the decoder minimises against the critic: minus the mean of its logits (B, 1, h, w); a scalar."""
    return -fake.mean()


def adaptive_weight(reconstruction, adversarial, last_weight, least=1e-6, most=1e4):
    """How much the critic's loss counts: |d reconstruction| / (|d adversarial| + least) (Esser et al. 2021, eq. 7).

    reconstruction, adversarial: scalars, both with a graph, that stays; last_weight: the weights (out, in, k, k) of the
    decoder's last layer, with respect to which both slopes are taken, so that both losses move it by the same length.
    Returns a scalar without gradient, at most `most`.
    """
    steep = [torch.autograd.grad(loss, last_weight, retain_graph=True)[0].norm()
             for loss in (reconstruction, adversarial)]
    return (steep[0] / (steep[1] + least)).clamp(max=most).detach()
