"""Contrastive learning: pictures and texts that belong together come close, all others of a batch are pushed apart."""


def matches(ids):
    """Which text of a batch is right for which picture: ids (N,) int -> (N, N) float, every row of sum 1.

    Row i is spread evenly over all j with ids[j] = ids[i]: where a caption stands twice in a batch, both places are
    right, and the identity matrix would call one of them wrong.
    """
    same = (ids[:, None] == ids).float()
    return same / same.sum(dim=1, keepdim=True)


def info_nce(pictures, texts, scale, ids):
    """The symmetric contrastive loss, in nats: which text for a picture, which picture for a text.

    pictures, texts: (N, D), of length 1 each; scale: what the cosines are multiplied with, 1 / temperature; ids: (N,)
    int, equal where what is said of a picture is equally true of another. The mean of two cross-entropies against
    `matches`: log N where nothing is known, `info_nce_floor` at best. (van den Oord et al. 2018, eq. 4; symmetric, with
    a learned scale: Radford et al. 2021, figure 3; with several right answers: Khosla et al. 2020, eq. 2.) Raises
    ValueError when the shapes do not fit.
    """
    if pictures.shape != texts.shape or ids.shape != texts.shape[:1]:
        raise ValueError(f"pictures and texts must be (N, D) and ids (N,), got {tuple(pictures.shape)}, "
                         f"{tuple(texts.shape)} and {tuple(ids.shape)}")
    logits, right = scale * pictures.float() @ texts.float().T, matches(ids)
    of_text = -(right * logits.log_softmax(dim=1)).sum(dim=1).mean()
    of_picture = -(right * logits.T.log_softmax(dim=1)).sum(dim=1).mean()
    return (of_text + of_picture) / 2


def info_nce_floor(ids):
    """The least value of `info_nce`: the entropy of `matches`, the mean of log(how often an id stands in ids (N,)).

    No embedding can say which of two equal captions belongs to which of their pictures. Returns a scalar tensor.
    """
    return (ids[:, None] == ids).float().sum(dim=1).log().mean()


def caption_log_likelihood(encode, texts, scale):
    """CLIP's say about a picture, as a log-likelihood for guidance: a function (x0 (B, ...), t) -> (B,).

    encode: pictures (B, ...) -> (B, D) of length 1; texts: (D,) for all or (B, D); scale times the cosine, which is, up
    to what is the same for every caption, the log of the probability that a softmax over captions gives. To be given to
    `likelihood_guidance.reconstruction_guided`. (Nichol et al. 2022, GLIDE, section 2.4, whose CLIP learned on noisy
    pictures; here it sees the clean picture that the denoiser expects.)
    """
    return lambda x0, t: scale * (encode(x0) * texts).sum(dim=-1)
