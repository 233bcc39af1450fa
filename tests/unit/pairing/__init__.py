"""Client and host together, over real sockets with TLS."""
