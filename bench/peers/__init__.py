"""One program a peer; each says in its header what it needs and what it can. They run in environments of their own."""
