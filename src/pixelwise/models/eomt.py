"""EoMT: a plain vision transformer in which queries, each of which becomes a mask and its class, join the last blocks.

Kerssies et al., CVPR 2025, arXiv:2503.19108. Implemented from the paper and from the graphs of the authors' code (MIT)
and of Hugging Face transformers (Apache-2.0). Learnt queries are put before the tokens of the last blocks; what they
predict before each of these blocks and after the last one, from tokens after the transformer's own last normalisation,
and how they see in training, is in `queried`.

Initial weights: PyTorch's defaults, queries from a normal distribution.

Deviations: scores are computed at stride 4 and enlarged from there, while the original enlarges the logits of the
masks. Predictions never mask the attention, not even in the middle of a training. Images whose sides are no multiples
of the patches are padded.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pixelwise.backbones.tokens import TokenEncoder
from pixelwise.errors import RecipeError
from pixelwise.layers.padding import pad_to_multiple
from pixelwise.models.building import builds
from pixelwise.models.encoding import crop_to_image
from pixelwise.models.queried import STRIDE, QueriedTransformer
from pixelwise.recipes.families.eomt import EoMTSpec


class EoMT(QueriedTransformer):
    """A plain transformer and its queries; scores at stride 4.

    Raises:
        RecipeError: R203, the transformer has fewer blocks than queries pass through; R207, the encoder is unknown or
            not a plain transformer.
    """

    def __init__(self, spec: EoMTSpec, classes: Sequence[str], encoder: TokenEncoder | None = None) -> None:
        if encoder is None:
            encoder = TokenEncoder(spec.encoder, spec.patch_size, spec.side, spec.preprocessing.in_channels)
        if encoder.blocks < spec.blocks:
            raise RecipeError(
                "R203",
                f"model.blocks is {spec.blocks}, but '{spec.encoder}' has {encoder.blocks} blocks",
                f"set model.blocks to {encoder.blocks} or less",
            )
        super().__init__(spec, classes, encoder)
        self.first = encoder.blocks - spec.blocks

    def training_outputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """Masks and classes of the queries, see `QueriedTransformer`."""
        padded = pad_to_multiple(images, self.encoder.multiple)
        grid = padded.shape[-2] // self.encoder.multiple, padded.shape[-1] // self.encoder.multiple
        tokens, rotary = self.encoder.embed(padded)
        outputs: list[Tensor] = []
        for block in range(self.encoder.blocks):
            mask = None
            if block == self.first:
                tokens, rotary = self.encoder.with_queries(tokens, rotary, self.queries.weight)
            if block >= self.first and self.training:
                masks, classes = self.predicted(self.encoder.normalised(tokens), grid)
                outputs += [crop_to_image(masks, images, STRIDE), classes]
                mask = self.seen(masks, grid, tokens.shape[1], block - self.first)
            tokens = self.encoder.run(block, tokens, rotary, mask)
        masks, classes = self.predicted(self.encoder.normalised(tokens), grid)
        return (*outputs, crop_to_image(masks, images, STRIDE), classes)


@builds(EoMTSpec)
def build(spec: EoMTSpec, classes: tuple[str, ...]) -> EoMT:
    """EoMT with the encoder's default initial weights."""
    return EoMT(spec, classes)
