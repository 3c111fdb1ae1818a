"""How one notification is sent: a folder for each kind of channel, and `net` for connections."""
