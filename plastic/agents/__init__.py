"""The agents, and what they share: replay and augmentation."""
