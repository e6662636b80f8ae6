"""Training a sparse autoencoder: settings, shuffled buffer, losses, the loop `jaxtrunc.sae.training.loop.train_sae`."""
