"""One thread for every test: results depend on the thread count, and two workers share two cores."""

import torch

torch.set_num_threads(1)
