"""Models in plain torch; `natlab.training` puts them under fairseq's trainer."""
