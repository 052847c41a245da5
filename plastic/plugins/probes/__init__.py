"""What measures and changes nothing."""
