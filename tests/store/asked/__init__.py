"""What is asked of the database by pages, the API, `/metrics` and the actors, as questions that both engines answer."""
