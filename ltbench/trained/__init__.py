"""A trained model, found again by its record: what it says of other images, and the forms in which it leaves the suite."""
