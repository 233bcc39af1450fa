"""What the picker shows and what happens when it is used."""
