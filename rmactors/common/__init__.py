"""What agents and the server share: the protocol, its words, and small tools that know neither side."""
