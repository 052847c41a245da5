"""What plugins cost: the time of an update, of a plugin's moments, of a whole run."""
