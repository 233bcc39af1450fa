"""Parts of a QVD 4.2 installation beside ours."""
