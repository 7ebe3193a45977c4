"""What lies in a generator's latent space, and what a discriminator responds to, as pictures."""
