"""Proxy targets T: what the decoder is trained to predict."""
