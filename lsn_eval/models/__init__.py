"""Where neurons are in a model: hookpoints, the rows of architectures, layouts."""
