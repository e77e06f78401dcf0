"""Methods that mix images, or make images of a rare class out of others."""
