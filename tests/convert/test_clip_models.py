"""A network that sees clips, from training to evaluation, quantised too: what the commands make of it."""

import torch

torch.set_num_threads(1)
