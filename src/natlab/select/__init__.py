"""What dynamic KD chooses from (MPLE, section 3.4 and appendix F): candidates, their pairwise BLEU, the weights γ."""
