"""The demo: the whole way of a device through the product, each link of it observed on real kernels."""
