"""The pipeline: runs of sections, where they are executed, the gate that judges them, and the pages
they become."""
