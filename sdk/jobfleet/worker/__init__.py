"""A worker process: claim loop, lease keeper, execution and supervision, each a room of its own."""
