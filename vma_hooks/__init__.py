"""EFFECT: the image's side: device nodes, the receiver of the slave channel."""
