"""What may grow, how long it is kept, and how much of it there is."""
