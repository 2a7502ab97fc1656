"""Aligned cross entropy (AXE, Ghazvininejad et al. 2020)."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from natlab.kernels import axe_align
from natlab.kernels.axe_align import NONE, SKIP_PREDICTION, SKIP_TARGET, AxeAlignment
from natlab.losses.interface import SHARE, Cost, Decoded, Value, in_place
from natlab.models.transformer import Config
from natlab.proxy.interface import Positions


@dataclass
class Axe:
    """The cost of the cheapest monotonic alignment of the target with the predictions (equation 2, Table 1): -log
    P_j(Y_i) of an aligned pair, -log P_j(ε) of a skipped prediction, -δ log P_j(Y_i) of a skipped target.

    delta: δ, which the paper tunes on the validation set; of its Table 6, 5 is the best for En-De, 4 for De-En.
    predict: "all" predicts the whole target whatever the input shows; with "masks" a token that it shows has P_i(Y_i) =
    1 at its own position i, P_i(ε) as it is (section 3.3), and sums are divided by the masked tokens.

    The paper does not say how its label smoothing enters: here the alignment is found on the unsmoothed probabilities,
    aligned and skipped predictions are then smoothed as usual, skipped targets are not.
    """

    needs: ClassVar[tuple[str, ...]] = ("target length", "plain target")
    blank: ClassVar[bool] = True
    kernels: ClassVar[bool] = True
    decoding: ClassVar[str] = "argmax"

    delta: Annotated[float, "> 0"] = 5.0
    predict: Literal["all", "masks"] = "masks"

    align = staticmethod(in_place)

    def __call__(self, batch: Decoded, smoothing: float) -> Cost:
        model, target, lengths = batch.model, batch.target, batch.lengths
        shown = None if self.predict == "all" else batch.revealed
        with torch.no_grad():
            positions = Positions.of(model, batch.states.detach(), lengths)
            operations = self._alignment(positions, target, shown).operations  # [B, 2 T]
        # how many targets and predictions have been read after each operation
        done = operations.ne(NONE)
        targets = (done & operations.ne(SKIP_PREDICTION)).cumsum(1)
        predictions = (done & operations.ne(SKIP_TARGET)).cumsum(1)
        sentence, step = done.nonzero(as_tuple=True)  # [N], of all operations
        operation = operations[sentence, step]
        # target i and prediction j of each; the first prediction pays for what is skipped before it
        i, j = (read[sentence, step].sub(1).clamp(min=0) for read in (targets, predictions))
        token = torch.where(operation.eq(SKIP_PREDICTION), model.config.bos, target[sentence, i])
        skipped = operation.eq(SKIP_TARGET)
        paid = torch.ones_like(skipped)
        if shown is not None:
            paid = ~(operation.ne(SKIP_PREDICTION) & i.eq(j) & shown[sentence, i])

        loss = nll = 0
        for of, weight, smooth in ((paid & ~skipped, 1.0, smoothing), (paid & skipped, self.delta, 0.0)):
            summed, each = model.token_loss(batch.states[sentence[of], j[of]], token[of], smooth)
            loss = loss + weight * summed
            nll = nll + each.new_zeros(len(target)).index_add_(0, sentence[of], weight * each)
        predicted = lengths if shown is None else batch.hidden.sum(1)
        values = {
            "skipped_targets": Value(operations.eq(SKIP_TARGET).sum(1), lengths, SHARE),
            "skipped_predictions": Value(operations.eq(SKIP_PREDICTION).sum(1), lengths, SHARE),
        }
        return Cost(loss, nll, predicted, values)

    def nll(self, positions: Positions, target: Tensor) -> Tensor:
        return self._alignment(positions, target, None).cost

    def _alignment(self, positions: Positions, target: Tensor, shown: Tensor | None) -> AxeAlignment:
        """The cheapest alignment of targets [P, T] with as many predictions."""
        logp = positions.log_probs_everywhere(target)  # [P, T, T], of token t at position l
        blank = positions.log_probs(torch.full_like(target, Config.bos))  # [P, T]
        return axe_align(logp, blank, positions.lengths, positions.lengths, self.delta, shown)
