"""From images to numbers: metrics, references, records, and the one function that scores a source."""
