"""One small network taught by several large ones: the bundled model, and how it was made."""
