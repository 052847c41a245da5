"""What changes how gradients become steps, or what is kept of them."""
