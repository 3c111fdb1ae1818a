"""What actors are made of: mailboxes, restarts with a budget, rates."""
