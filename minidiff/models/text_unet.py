"""A U-Net that is told by a text what it looks at."""

from torch import nn

from minidiff.models.cross_attention import CrossAttention2d, JointAttention2d, TextAttention2d
from minidiff.models.text_encoder import pool_mean

READERS = {"self+cross": TextAttention2d, "cross": CrossAttention2d, "joint": JointAttention2d}


class TextUNet(nn.Module):
    """A text encoder and a U-Net, trained together: net(x (B, C, H, W), t, tokens=(B, L), **cond) -> as x.

    encoder(tokens, mask) -> (B, L, width): its vectors go to every attention layer of the U-Net, which reads them as
    the context (vectors, mask). With `mean`, their mean, projected to `time_width`, is also added to the time's vector
    (Nichol et al. 2022, GLIDE, section 3, who add the last token's): quick to learn, and a short cut past the words.
    pad: the number of the token that fills up short texts; other conditions go to the U-Net.
    """

    def __init__(self, encoder, width, unet, time_width, pad=0, mean=True):
        super().__init__()
        self.encoder, self.unet, self.pad, self.mean = encoder, unet, pad, mean
        if mean:
            unet.embed.extra["text"] = nn.Linear(width, time_width)

    @property
    def embed(self):
        """The U-Net's embedding of the time, to whose `extra` further conditions are added."""
        return self.unet.embed

    def forward(self, x, t, tokens, **cond):
        mask = tokens != self.pad
        vectors = self.encoder(tokens, mask)
        if self.mean:
            cond["text"] = pool_mean(vectors, mask)
        return self.unet(x, t, context=(vectors, mask), **cond)
