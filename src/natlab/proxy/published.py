"""What MPLE reports to have found for dynamic KD, by data set (Huang et al. 2022, appendix F)."""

# the weights of candidates from a tiny, small, base and big teacher, and of the raw reference
GAMMA = {"wmt14_ende": [0.7, 0.6, 1.3, 1.5, 2.3], "wmt17_zhen": [0.9, 1.4, 1.3, 0.9, 2.0]}
BETA = {"wmt14_ende": 0.2, "wmt17_zhen": 0.1}
