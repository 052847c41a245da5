"""The mechanism every plugin, agent and environment is assembled with; it imports none of them."""
