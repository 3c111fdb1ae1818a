"""`rmactors doctor`: looks at what a server lives on, beside one that runs or without one, and changes nothing.

Each module gives `Finding`s about one thing. Nothing here repairs: the sentence says what to do.
"""
