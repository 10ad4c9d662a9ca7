"""The engine process and its wire: every front end is a client of it."""
