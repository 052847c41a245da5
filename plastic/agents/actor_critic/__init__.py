"""What agents with an actor and twin critics share."""
