"""Models of images, in torch: autoencoders and variational autoencoders (NumPy arrays in and out)."""
