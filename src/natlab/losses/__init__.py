"""What a batch costs: the objectives, the terms added to them, and the flow of a batch through both (`batch`)."""
