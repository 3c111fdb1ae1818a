"""Where the world comes in: both ports, and how much who has not signed in may take there."""
