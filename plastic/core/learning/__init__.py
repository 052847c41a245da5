"""The learner: one network, its optimizer and its copies, and everything that writes them."""
