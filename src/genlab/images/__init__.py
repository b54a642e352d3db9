"""Models of images, in torch (NumPy arrays in and out): autoencoders, variational autoencoders,
GANs and critics, VAE-GANs, and the classifier that judges their images."""
