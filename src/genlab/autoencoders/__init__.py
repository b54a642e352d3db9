"""Autoencoders of images, in torch: convolutional, deep, variational, and with a discriminator's
eye."""
