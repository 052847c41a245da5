"""Units of a network: which there are, where their weights stand, how active they are, and drawing them anew."""
