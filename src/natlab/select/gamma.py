"""The weights γ of dynamic KD's candidates, searched without training a NAT (MPLE, appendix F).

With S_n(i, j) the sentence BLEU of candidate j against candidate i as reference, γ chooses T*_n = argmax_j Σ_i γ_i
S_n(i, j), which minimises the stand-in for L_target of equation 21. γ is good when the real L_target of what it
chooses, the mean over sentences of -S(Y, T*_n) for further references Y (equation 14 at β = 1), is low. The paper
searched by hand, from 1 to 3 in steps of 0.1, and publishes values below 1; here a coordinate search runs over 0 to 3
in steps of 0.1.
"""

import numpy as np

GRID = tuple(round(0.1 * step, 1) for step in range(31))


def chosen(pairwise: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """The candidate [N] that γ [K] chooses of each sentence, the first of equals. pairwise: S [N, K, K], reference
    before hypothesis."""
    # rounded, so that equal candidates tie whatever the order of the sum
    return np.tensordot(pairwise, gamma, axes=(1, 0)).round(6).argmax(1)


def l_target(pairwise: np.ndarray, real: np.ndarray, gamma: np.ndarray) -> float:
    """L_target at β = 1 of what γ chooses. real: S(Y, candidate) [N, K], the mean over a sentence's references Y."""
    return -float(np.take_along_axis(real, chosen(pairwise, gamma)[:, None], axis=1).mean())


def search(pairwise: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, list[dict[float, float]]]:
    """(γ [K] on the grid, for each of its weights {value: L_target with the others as found}).

    One weight at a time is set to its best value on the grid, until none can be improved: γ is at least as good as any
    that differs from it in one weight. A weight stays where it is unless another value is strictly better; of several
    best the one nearest to it is taken. That starts from all weights 1, since only γ's direction matters to the choice
    and its size shall be near 1, and again from each candidate's weight 1 with the others 0, for candidates of which
    most are alike outvote the rest, which no one weight can change. The first best is taken.
    """
    count = pairwise.shape[1]
    starts = np.vstack([np.ones(count), np.eye(count)])
    return min((_descent(pairwise, real, start) for start in starts), key=lambda found: min(found[1][0].values()))


def _descent(pairwise: np.ndarray, real: np.ndarray, gamma: np.ndarray) -> tuple[np.ndarray, list[dict[float, float]]]:
    """Where `search` comes to from one start."""
    improved = True
    while improved:
        improved = False
        tried = []
        for weight, before in enumerate(gamma):
            values = {}
            for value in GRID:
                gamma[weight] = value
                values[value] = l_target(pairwise, real, gamma)
            gamma[weight] = min(GRID, key=lambda value: (values[value], abs(value - before)))
            improved |= values[gamma[weight]] < values[round(float(before), 1)]
            tried.append(values)
    return gamma, tried
