"""What the program knows of systemd: the text of units, and how a service tells it how it is."""
