"""Networks that score: loading, Inception, small classifiers, archives, and the check of foreign graphs."""
