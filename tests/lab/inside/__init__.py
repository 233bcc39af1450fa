"""Files that lie in a guest below /usr/local/lib/lab."""
