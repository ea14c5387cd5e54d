"""The photo example: a store of photographs, a job that makes thumbnails, and the proof that each was made once."""
