"""Listeners that write or draw what a run does."""
