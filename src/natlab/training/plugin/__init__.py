"""What ``fairseq-train --user-dir`` imports. fairseq imports this folder under its bare name, so it holds nothing
itself: the classes register once, in `natlab.training`."""

import natlab.training.criterion
import natlab.training.model
import natlab.training.optimizer
import natlab.training.task
