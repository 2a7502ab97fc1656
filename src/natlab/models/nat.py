"""The non-autoregressive Transformer (Gu et al. 2018; Qian et al. 2021; MPLE, appendix G)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from natlab import families
from natlab.kernels import assign
from natlab.models.layers import Linear, attention_mask
from natlab.models.links import Links
from natlab.models.shapes import longest
from natlab.models.transformer import Config, Seq2Seq, Source


class NonAutoregressiveTransformer(Seq2Seq):
    """Predicts all tokens of a target at once, each independent of the others given the source and its length.

    The decoder's canvas has positions for tokens only (no bos or eos).

    lengths: a member of the family `length`, its name and options: how many positions there are.
    fill: of the family `fill`: what they hold where no target token is revealed.
    blank: it may predict ε, which the symbol bos stands for, and which decoding removes (MPLE, appendix E.3).
    codebook: of the family `codebook`, the codes that a fill says the source in.
    masking: it has a head that says which positions a proxy input masks (MPLE, appendix E.6).
    links: it has a head that says which position follows which, so that the canvas is a graph (`natlab.models.links`).
    deep_supervision: every decoder layer is trained to predict (`natlab.losses.batch`), and what each but the last
    predicts, the embedding of its likeliest token, is joined to its states by a linear layer, in training as in
    decoding (DSLP, Huang et al. 2022, "Non-autoregressive translation with layer-wise prediction and deep
    supervision").
    """

    name = "nat"

    def __init__(
        self,
        config: Config,
        lengths: Mapping,
        fill: Mapping,
        blank: bool = False,
        masking: bool = False,
        links: bool = False,
        codebook: Mapping | None = None,
        deep_supervision: bool = False,
    ):
        super().__init__(config)
        self.options = {"lengths": dict(lengths), "fill": dict(fill)} | {
            "blank": blank,
            "masking": masking,
            "links": links,
        }
        if codebook is not None:
            self.options["codebook"] = dict(codebook)
        if deep_supervision:
            self.options["deep_supervision"] = True
        self.blank = blank
        self.fill = families.load("fill", **fill).build(config)
        length = families.load("length", **lengths)
        self.lengths = length.build(config)
        self.free = "free length" in length.offers
        if getattr(length, "summary", False):
            self.encoder.summary = nn.Parameter(torch.randn(config.d_model))
        # last, so that all other parameters start as without them
        self.masking = Linear(config.d_model, 1) if masking else None
        self.links = Links(config) if links else None
        self.codebook = None if codebook is None else families.load("codebook", **codebook).build(config)
        d, joined = config.d_model, config.decoder_layers - 1
        self.joins = nn.ModuleList(Linear(2 * d, d) for _ in range(joined)) if deep_supervision else None

    def canvas(self, source_lengths: Tensor, lengths: Tensor) -> Tensor:
        """How many positions [P] stand for targets of ``lengths`` [P]: as many, or for a free length what follows from
        the sources' tokens [P], eos counted."""
        return self.lengths.of(source_lengths) if self.free else lengths

    def decode(self, source: Source, lengths: Tensor, *given: Tensor | None, **more: Tensor | None) -> Tensor:
        """Decoder states [B, T, d] for canvases of ``lengths`` [B] (T the longest); arguments as `decode_layers`'s."""
        return self.decode_layers(source, lengths, *given, **more)[-1]

    def decode_layers(
        self,
        source: Source,
        lengths: Tensor,
        revealed: Tensor | None = None,
        target: Tensor | None = None,
        memories: list[Tensor] | None = None,
        noise: Tensor | None = None,
        kept: Tensor | None = None,
        order: Tensor | None = None,
    ) -> list[Tensor]:
        """Canvases of ``lengths`` [B] (T the longest) and the states that each decoder layer makes of them, all
        [B, T, d].

        The states at a position do not depend on how far the batch is padded.
        revealed: [B, T] bool, positions that see their token of ``target`` [B, T] as proxy input; none without it.
        memories: the source's keys and values where the caller has them already.
        noise: [B, T, d], added to what the canvas holds.
        kept, order: of a canvas of codes (`natlab.models.fills.codes`), which positions keep theirs, bool [B, T], and
        which position's code comes where [B, T].
        """
        width = longest(lengths)
        padding = torch.arange(width, device=lengths.device) >= lengths[:, None]  # [B, T]
        x = self.filled(source, lengths, kept, order)  # [B, T, d]
        if revealed is not None:
            x = torch.where(revealed[:, :, None], self.embedding.scaled(target), x)
        if noise is not None:
            x = x + noise
        x = self.dropout(x + self.positions(0, width)).to(source.encoded.dtype)
        mask = attention_mask(padding, x.dtype)  # [B, 1, 1, T]
        states = [x]
        for layer, memory in zip(self.layers, memories or source.memories(self.layers), strict=True):
            if self.joins is not None and len(states) > 1:
                x = self.joins[len(states) - 2](torch.cat([x, self._predicted(x)], 2))
            x = layer(x, memory, source.mask, mask)
            states.append(x)
        return states

    def _predicted(self, states: Tensor) -> Tensor:
        """The embedding [B, T, d] of the likeliest token of decoder states [B, T, d], whose choice has no gradient."""
        tokens, _ = self.likeliest(states.flatten(0, 1))
        return self.embedding.scaled(tokens.view(states.shape[:2])).to(states.dtype)

    def filled(self, source: Source, lengths: Tensor, kept: Tensor | None, order: Tensor | None) -> Tensor:
        """What canvases of ``lengths`` [B] hold before anything of a target is revealed [B, T, d]."""
        if self.codebook is None:
            return self.fill(source, lengths)
        return self.fill(source, lengths, self.codebook, kept, order)

    @torch.no_grad()
    def reordering(self, source: Source, target: Tensor, lengths: Tensor, how: str) -> Tensor:
        """Aligned reordering of a canvas of codes (AEQA-NAT, Qu et al. 2025, equation 14 and Algorithm 1): which
        position's code [B, T] comes to each position of canvases of ``lengths`` [B], by how near it is to the token of
        ``target`` [B, T] there. Where that is padding, the position keeps its code.

        how: "argmax", the nearest of all, as printed, by which a code can come to several positions and another to
        none; "permutation", each of the codes of positions with a token to one of these, so that they are nearest in
        all.
        """
        codes = self.codebook(self.fill.copied(source, lengths)).states
        scores = (self.embedding.scaled(target) @ codes.to(self.embedding.weight.dtype).transpose(1, 2)).double()
        width = target.shape[1]
        own, said = torch.arange(width, device=target.device), target.ne(self.config.pad)  # [T], [B, T]
        inside = own < lengths[:, None]
        itself = torch.eye(width, dtype=torch.bool, device=target.device)
        among = said[:, None] if how == "permutation" else inside[:, None]  # whose codes may come
        allowed = torch.where(said[:, :, None], among, itself)  # [B, T, T]
        scores = scores.masked_fill(~allowed, -torch.inf)
        if how == "argmax":
            return scores.argmax(2)
        found = assign(-scores, lengths)
        return found.where(inside, own)

    def coded(self, source: Tensor) -> Tensor:
        """The codes [N] at the positions of the canvases of the likeliest length of sources [B, S]."""
        encoded = self.encoder(source)
        lengths = self.lengths.likely(encoded, 1)[:, 0]  # [B]
        return self.codebook(self.fill.copied(encoded, lengths)).index[self.fill.inside(lengths)]

    def masked_logits(self, states: Tensor) -> Tensor:
        """The logit [B, T] of "z_i is masked" from decoder states [B, T, d] under Z* (MPLE, appendix E.6).

        No gradient reaches the states: the head learns beside the model and changes nothing else of it.
        """
        return self.masking(states.detach().float())[:, :, 0]

    def description(self) -> dict:
        return {**super().description(), "architecture": {"name": self.name, **self.options}}
