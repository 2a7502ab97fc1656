"""Proxy inputs Z: which target tokens the decoder sees in training."""
