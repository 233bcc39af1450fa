"""A function per parser, by whose it is; `every` knows them all."""
