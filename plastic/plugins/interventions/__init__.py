"""What changes the network or its training to keep it able to learn."""
