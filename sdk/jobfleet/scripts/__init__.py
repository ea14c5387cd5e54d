"""The verbs of a queue: each function returns a ``Command``, a value that says what to run and how to read the answer.

Nothing here does I/O; the clients in ``jobfleet.clients`` run Commands, async and sync alike.
"""
