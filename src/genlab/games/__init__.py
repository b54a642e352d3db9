"""Adversarial games on images, in torch: the game, its players, critics and devices, and the
game on a line."""
