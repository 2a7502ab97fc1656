"""What is added to an objective, one class a file (see `natlab.losses.interface`)."""
