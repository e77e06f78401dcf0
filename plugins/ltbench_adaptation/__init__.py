"""Methods that adapt a pre-trained vision transformer by few parameters, and text features for them."""
