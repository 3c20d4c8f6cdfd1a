"""One adapter an SDK family. Only these files know an SDK."""
