"""Generative Models, Reproduced: the library behind the book's sections."""
