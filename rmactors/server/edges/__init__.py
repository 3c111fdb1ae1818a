"""Where the world comes in: both ports, and how much a stranger may take there."""
