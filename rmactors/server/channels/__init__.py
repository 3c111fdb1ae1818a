"""How one notification is sent: a module for each kind of channel."""
