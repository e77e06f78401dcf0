"""What can be said of a dataset before a training: is it there, is it whole, is it what was published."""
