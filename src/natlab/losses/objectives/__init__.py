"""Objectives: what the target T costs given the proxy input Z, one class a file (see `natlab.losses.interface`)."""
