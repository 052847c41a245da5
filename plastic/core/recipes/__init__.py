"""From what the user says to agent, environment and plugins at work."""
